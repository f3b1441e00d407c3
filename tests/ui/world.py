"""What the pages show in tests and pictures: made through the REST API of a running server, as its users would."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update

from scale_core.db.job import Job
from scale_core.db.session import make_engine, make_sessions, transaction
from scale_core.services import metrics
from scale_core.timestamps import utcnow
from scale_server import postgres
from tests.journeys.scale_process import Scale

SCENES = ("harbour", "reef", "bay")
FEET = [(-84.4, 36.4), (-70.2, 41.9), (-96.1, 28.8)]
PRINTS = r"""
i=0
while [ $i -lt 1500 ]; do
    i=$((i + 1))
    printf '\033[36mstep %d\033[0m of 1500: tile %d read\n' $i $((i * 7 % 64))
    [ $((i % 10)) != 0 ] || printf '\033[33mwarning:\033[0m tile %d has a seam\n' $((i * 7 % 64))
    sleep 0.4
done
"""
FAILS = r"""
echo "reading header"
echo "error: the checksum of line 17 is wrong" >&2
exit 3
"""
FIRST_TRY = 'echo "scene has $(wc -l <"$1") lines"; exit 1'
COPIES = 'cp "$1" "$SCALE_OUTPUT_DIR/copy.txt"; echo ARTIFACT:copy:copy.txt'


@dataclass(frozen=True)
class World:
    """Ids of what there is."""

    incoming: Path
    workspace: int
    source: int
    finder: int  # job types
    checker: int
    talker: int
    giant: int
    completed: int  # jobs
    failed: tuple[int, ...]
    running: int
    waiting: int
    recipe_type: int
    recipe: int
    strike: int
    node: int
    liner: int  # job types that failed last month
    tides: int
    month: date  # its first day


NOWHERE = World(Path(), 0, 0, 0, 0, 0, 0, 0, (0, 0, 0), 0, 0, 0, 0, 0, 0, 0, 0, date.min)


def make_world(scale: Scale) -> World:
    scale.make_workspace("scenes")
    products = scale.make_workspace("found")[0]
    rule = {
        "filename_regex": r"scene_.*\.txt",
        "data_types": ["scene"],
        "workspace_path": "in",
        "workspace_name": "scenes",
    }
    strike, incoming = scale.make_strike("coast", [rule])
    scale.post("errors/", {"name": "bad-checksum", "title": "Bad checksum", "category": "DATA",
                           "description": "A line of the scene does not have the sum that its end says"})  # fmt: skip
    finder = make_finder(scale)
    checker = shell_type(
        scale, "checksum-check", FAILS, title="Checksum check", category="quality", max_tries=1,
        error_mapping={"version": "1.0", "exit_codes": {"3": "bad-checksum"}},
    )  # fmt: skip
    talker = shell_type(scale, "tile-reader", PRINTS, title="Tile reader", category="imagery", timeout=3600)
    giant = shell_type(scale, "mosaic", "true", title="Mosaic", category="imagery", cpus_required=64, mem_required=512)
    shell_type(scale, "copier", COPIES, title="Copier", category="delivery", outputs="copy")
    source = scale.ingest_file(incoming, "scene_harbour.txt", b"boats 12\nbuoys 4\n")
    others = [
        scale.ingest_file(incoming, name, content)["id"]
        for name, content in (("scene_reef.txt", b"reef\n"), ("scene_bay.txt", b"bay\n"))
    ]
    (incoming / "notes.doc").write_text("no rule wants this\n")
    (incoming / "scene_reef.txt").write_bytes(b"reef\n")
    inputs = [{"name": "scene", "type": "file", "media_types": ["text/plain"]}]
    find = {
        "name": "find",
        "job_type": {"name": "feature-finder", "version": "1.0"},
        "recipe_inputs": [{"recipe_input": "scene", "job_input": "scene"}],
    }
    copy = {
        "name": "copy",
        "job_type": {"name": "copier", "version": "1.0"},
        "dependencies": [{"name": "find", "connections": [{"output": "features", "input": "scene"}]}],
    }
    recipe_type = scale.make_recipe_type("find-and-copy", input_data=inputs, jobs=[find])
    definition = {"version": "1.0", "input_data": inputs, "jobs": [find, copy]}
    scale.patch(f"recipe-types/{recipe_type}/", {"definition": definition})
    data = {"input_data": [{"name": "scene", "file_id": source["id"]}], "workspace_id": products}
    recipe = scale.post("queue/new-recipe/", {"recipe_type_id": recipe_type, "recipe_data": {"version": "1.0", **data}})
    first = next(each["job"]["id"] for each in recipe["jobs"] if each["job_name"] == "find")
    last = next(each["job"]["id"] for each in recipe["jobs"] if each["job_name"] == "copy")
    given = {"input_data": data["input_data"]}
    failed = tuple(scale.queue(checker, **given) for _ in range(3))
    waiting = scale.queue(giant, **given)
    running = scale.queue(talker, **given)
    for job in (first, last):
        scale.until(job, "COMPLETED")
    for job in failed:
        scale.until(job, "FAILED")
    scale.until(running, "RUNNING")
    for other in others:
        into = {"output_data": [{"name": "features", "workspace_id": products}]}
        scale.until(scale.queue(finder, input_data=[{"name": "scene", "file_id": other}], **into), "COMPLETED")
    month = last_month()
    liner = shell_type(scale, "coast-line", "exit 3", title="Coast line", category="imagery", max_tries=1,
                       error_mapping={"version": "1.0", "exit_codes": {"3": "bad-checksum"}})  # fmt: skip
    tides = shell_type(scale, "tides", "exit 4", title="Tides", category="quality", max_tries=1)
    fail_on(scale, liner, given, [month + timedelta(days=day) for day in (2, 2, 3, 5)])
    fail_on(scale, tides, given, [month + timedelta(days=5)])
    scale.ingest_until("scene_reef.txt", "DUPLICATE")
    scale.ingest_until("notes.doc", "DEFERRED")
    return World(
        incoming, products, source["id"], finder["id"], checker["id"], talker["id"], giant["id"], first, failed,
        running, waiting, recipe_type, recipe["id"], strike,
        scale.results("nodes/")[0]["id"], liner["id"], tides["id"], month,
    )  # fmt: skip


def written(place: int) -> str:
    """Shell that writes what was found of a scene, where and when it lies."""
    west, south = FEET[place]
    ring = [[west, south], [west + 2, south], [west + 2, south + 2], [west, south + 2], [west, south]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {"boats": 12}}
    day = f"2026-01-0{2 + place}"
    geo = {"data_started": f"{day}T03:04:05Z", "data_ended": f"{day}T03:14:05Z", "geo_json": feature}
    output = {"name": "features", "file": {"path": "features.geojson", "geo_metadata": geo}}
    manifest = json.dumps({"version": "1.1", "output_data": [output]})
    features = f"printf '%s' '{json.dumps(feature)}' >features.geojson"
    return f"{features}; printf '%s' '{manifest}' >results_manifest.json"


def last_month() -> date:
    """The first day of the newest month that is over."""
    return (utcnow().date().replace(day=1) - timedelta(days=1)).replace(day=1)


def fail_on(scale: Scale, job_type: dict[str, Any], data: dict[str, Any], days: list[date]) -> None:
    """Jobs that really fail, with their end on these days, and the figures of the days as the clock computes them."""
    jobs = [scale.queue(job_type, **data) for _ in days]
    for job in jobs:
        scale.until(job, "FAILED")
    engine = make_engine(postgres.url(scale.home).replace("postgresql://", "postgresql+psycopg2://", 1))
    with transaction(make_sessions(engine)) as session:
        for job, day in zip(jobs, days, strict=True):
            session.execute(update(Job).where(Job.id == job).values(ended=day))
        for day in set(days):
            metrics.compute_day(session, day)
    engine.dispose()


def shell_type(scale: Scale, name: str, script: str, outputs: str = "", **fields: Any) -> dict[str, Any]:
    """A job type that runs a shell script with the path of its one input, `scene`."""
    made = [{"name": outputs, "type": "file", "media_type": "text/plain"}] if outputs else []
    inputs = [{"name": "scene", "type": "file", "media_types": ["text/plain", "application/vnd.geo+json"]}]
    words = f"{shlex.quote(script)} sh ${{scene}}"
    return scale.make_job_type(name, "/bin/sh -c", words, inputs=inputs, outputs=made, **fields)


def make_finder(scale: Scale) -> dict[str, Any]:
    """Its products lie somewhere on the globe and in time, each scene's elsewhere."""
    scripts = "".join(f"*{name}*) {written(place)};;\n" for place, name in enumerate(SCENES))
    script = f"""
cd "$SCALE_OUTPUT_DIR"
echo "scene has $(wc -l <"$1") lines"
printf '\\033[32mfound\\033[0m 12 boats\\n'
case "$1" in
{scripts}esac
"""
    finder = scale.make_job_type(
        "feature-finder", "/bin/sh -c", f"{shlex.quote(FIRST_TRY)} sh ${{scene}}", title="Feature finder",
        category="imagery", description="Finds what floats in a scene of the coast",
        inputs=[{"name": "scene", "type": "file", "media_types": ["text/plain"]}],
        outputs=[{"name": "features", "type": "file", "media_type": "application/vnd.geo+json"}],
    )  # fmt: skip
    interface = {**finder["interface"], "command_arguments": f"{shlex.quote(script)} sh ${{scene}}"}
    edited: dict[str, Any] = scale.patch(f"job-types/{finder['id']}/", {"interface": interface})
    return edited
