"""The main job on real input: a file dropped in a directory becomes products.

Starts Scale in a home of its own (SCALE_HOME, else var/demo, which is emptied first), works through the REST API alone,
checks what comes out against the elevation model, and exits 0 only when all of it is right.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from examples import images, terrain
from examples.display import Display
from examples.rest import Api, DemoFailed
from scale_core.errors import ScaleError
from scale_core.settings import CHECKOUT, Settings
from scale_server import ports, postgres, redis

DOCUMENTS = Path(__file__).parent / "documents"
PNG, CSV = "jacksboro.png", "jacksboro.csv"
SUFFIX = "_tmp"
START_TIMEOUT_S, WORK_TIMEOUT_S = 180.0, 120.0
LEAST_PROMINENCE = 100.0  # metres; what point-detector calls a summit
SCRIPTS = {
    "geotiff-maker": "geotiff_maker/make_geotiff.py",
    "point-detector": "point_detector/detect_points.py",
    "thumbnailer": "thumbnailer/make_thumbnail.py",
}


@dataclass
class Demo:
    """What is known so far."""

    home: Path
    api: Api
    display: Display
    with_docker: bool
    ids: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, datetime] = field(default_factory=dict)
    ingests: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    products: list[dict[str, Any]] = field(default_factory=list)

    @property
    def incoming(self) -> Path:
        return self.home / "incoming"


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    options = parser.parse_args()
    display = Display()
    home = Path(os.environ.get("SCALE_HOME") or CHECKOUT / "var" / "demo").resolve()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        Settings.from_environ()  # a setting that makes no sense is told before anything is built
        with_docker = prepare_images(display)
        with server(home, display, options.keep) as api:
            demo = Demo(home, api, display, with_docker)
            configure(demo)
            drop(demo)
            follow(demo)
            report(demo)
            verify(demo)
            if options.keep:
                pid = (home / "server.lock").read_text().strip()
                display.title(f"Scale is still running: {api.address}")
                display.say(f"Drop more files into {demo.incoming}. To stop it: kill {pid}")
        display.title("All of it is right.")
        return 0
    except (DemoFailed, ScaleError) as error:
        logs = f"\nLogs: {home / 'server.out'} and {home / 'logs'}" if (home / "server.out").exists() else ""
        print(f"\nscript/demo failed: {error}{logs}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"\nscript/demo failed: {error}; make room, or set SCALE_HOME to an empty directory of your own",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130


def prepare_images(display: Display) -> bool:
    """Whether the algorithms will run as Docker images; says so."""
    engine = images.engine()
    if engine is None:
        display.say("No Docker Engine answers: the algorithms run as plain commands.")
        return False
    try:
        images.build_all(engine, display.say)
    except images.CannotBuild as error:
        display.say(f"The Docker images cannot be built ({error}): the algorithms run as plain commands.")
        return False
    display.say("The algorithms run as Docker images.")
    return True


# ------------------------------------------------------------------------------------------------------------- server


@contextmanager
def server(home: Path, display: Display, keep: bool) -> Iterator[Api]:
    """A fresh Scale in `home`; stopped at the end unless all went well and `keep`."""
    empty(home)
    port = int(os.environ.get("SCALE_PORT") or ports.free_port())
    with (home / "server.out").open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "scale_server"], cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,  # Ctrl-C is for the demo, which stops the server in order
            env={**os.environ, "SCALE_HOME": str(home), "SCALE_PORT": str(port)},
        )  # fmt: skip

    def check() -> None:
        if child.poll() is not None:
            raise DemoFailed(why_it_ended((home / "server.out").read_text(errors="replace")))

    finished = False
    try:
        host = os.environ.get("SCALE_HOST") or ports.HOST
        api = Api(f"http://{host}:{port}/", check)
        with display.step("start PostgreSQL, Redis and every process of Scale"):
            api.wait_for("the API", api.answers, START_TIMEOUT_S)
        display.say(f"  {api.address}")
        yield api
        finished = True
    finally:
        if not (keep and finished) and child.poll() is None:
            with display.step("stop the server"):
                child.terminate()
                child.wait()


def why_it_ended(output: str) -> str:
    """The sentence by which script/server ends when somebody can do something about it; else the end of its output."""
    lines = output.splitlines()
    said = [line.removeprefix("script/server: ") for line in lines if line.startswith("script/server: ")]
    return said[-1] if said else "the server ended:\n" + "\n".join(lines[-15:])


def empty(home: Path) -> None:
    """An empty directory. One that the user names must be empty already; raises DemoFailed when it is not."""
    if home != (CHECKOUT / "var" / "demo").resolve():
        home.mkdir(parents=True, exist_ok=True)
        if any(home.iterdir()):
            raise DemoFailed(f"SCALE_HOME {home} is not empty; the demo wants a fresh one")
        return
    lock = home / "server.lock"
    pid = lock.read_text().strip() if lock.exists() else ""
    if pid and "scale_server" in _command_line(pid):
        raise DemoFailed(f"Scale is still running in {home}; stop it first: kill {pid}")
    if home.exists():
        redis.stop(home)
        postgres.destroy(home)
        shutil.rmtree(home)
    home.mkdir(parents=True)


def _command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


# -------------------------------------------------------------------------------------------------------------- set-up


def configure(demo: Demo) -> None:
    """Workspaces, job types, the recipe type and the Strike, through the REST API."""
    api, display = demo.api, demo.display
    display.title("Tell Scale what to do")
    for name, title in (("raw", "Raw files"), ("products", "Products")):
        path = demo.home / "workspaces" / name
        path.mkdir(parents=True)
        with display.step(f"create the workspace {name}"):
            demo.ids[name] = api.post("workspaces/", workspace(name, title, path))["id"]
    for name in SCRIPTS:
        document = job_type(name, demo.with_docker)
        with display.step(f"create the job type {name} {document['version']}"):
            demo.ids[name] = api.post("job-types/", document)["id"]
    with display.step("create the recipe type summits: geotiff-maker, then point-detector"):
        demo.ids["summits"] = api.post("recipe-types/", read_document("recipe-type-summits"))["id"]
    demo.incoming.mkdir()
    with display.step(f"create a Strike that watches {demo.incoming}"):
        api.post("strike/create/", strike(demo.incoming))


def read_document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DOCUMENTS / f"{name}.json").read_text())
    return document


def job_type(name: str, with_docker: bool) -> dict[str, Any]:
    """The job type's document; without Docker its algorithm is a command of this machine."""
    document = read_document(f"job-type-{name}")
    if not with_docker:
        script = Path(__file__).parent / "algorithms" / SCRIPTS[name]
        document["docker_image"] = None
        document["interface"]["command"] = shlex.join([sys.executable, str(script)])
    return document


def workspace(name: str, title: str, path: Path) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "description": f"{title} of the demo",
        "base_url": None,
        "is_active": True,
        "json_config": {"version": "1.0", "broker": {"type": "host", "host_path": str(path)}},
    }


def strike(incoming: Path) -> dict[str, Any]:
    rules = [
        {"filename_regex": r".*\.png", "data_types": ["elevation"]},
        {"filename_regex": r".*\.csv", "data_types": ["georeference"]},
    ]
    return {
        "name": "terrain",
        "title": "Terrain",
        "description": "Elevation and its georeference, as they arrive",
        "configuration": {
            "version": "1.0",
            "mount": f"localhost:{incoming}",
            "transfer_suffix": SUFFIX,
            "files_to_ingest": [{**rule, "workspace_path": "terrain", "workspace_name": "raw"} for rule in rules],
        },
    }


# ------------------------------------------------------------------------------------------------------------ the work


def drop(demo: Demo) -> None:
    """Let both files arrive as a feed would: under a transfer name first, renamed when they are whole."""
    demo.display.title("Drop two files")
    with demo.display.step(f"copy {PNG} and {CSV} with the suffix {SUFFIX}, then rename them"):
        names = {name: demo.incoming / (name + SUFFIX) for name in (PNG, CSV)}
        terrain.render(terrain.load(), names[PNG], names[CSV])
        time.sleep(1.5)  # long enough for Scale to see that the transfer goes on
        for name, path in names.items():
            path.rename(demo.incoming / name)
            demo.dropped[name] = datetime.now(UTC)


def follow(demo: Demo) -> None:
    """Watch the files become products."""
    api, display = demo.api, demo.display
    display.title("Watch")
    for name in (PNG, CSV):
        with display.step(f"{name} is ingested"):
            demo.ingests[name] = api.wait_for(f"the ingest of {name}", partial(ingested, api, name), WORK_TIMEOUT_S)
    with display.step("queue the recipe: POST /queue/new-recipe/"):
        recipe = api.post("queue/new-recipe/", recipe_request(demo))
    with display.step("the INGEST rule has started thumbnailer, which ends"):
        thumbnail_jobs = api.wait_for(
            "thumbnailer", lambda: completed(api, api.results("jobs/", job_type_name="thumbnailer")), WORK_TIMEOUT_S
        )
    with display.step("the recipe is completed: geotiff-maker, then point-detector with its product"):
        recipe = api.wait_for("the recipe", lambda: recipe_completed(api, recipe["id"]), WORK_TIMEOUT_S)
    ingest_jobs = api.results("jobs/", job_type_name="scale-ingest")
    demo.jobs = sorted(
        [*ingest_jobs, *thumbnail_jobs, *(entry["job"] for entry in recipe["jobs"])], key=lambda job: job["queued"]
    )
    demo.products = sorted(api.results("products/"), key=lambda product: product["id"])


def ingested(api: Api, name: str) -> dict[str, Any] | None:
    for ingest in api.results("ingests/"):
        if ingest["file_name"] == name and ingest["status"] in ("ERRORED", "DUPLICATE"):
            raise DemoFailed(f"the ingest of {name} is {ingest['status']}: {json.dumps(ingest)}")
        if ingest["file_name"] == name and ingest["status"] == "INGESTED":
            return ingest
    return None


def recipe_request(demo: Demo) -> dict[str, Any]:
    files = {"image": PNG, "georeference_data": CSV}
    inputs = [{"name": key, "file_id": demo.ingests[name]["source_file"]["id"]} for key, name in files.items()]
    return {
        "recipe_type_id": demo.ids["summits"],
        "recipe_data": {"version": "1.0", "input_data": inputs, "workspace_id": demo.ids["products"]},
    }


def completed(api: Api, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The jobs once all are COMPLETED, else none. Raises DemoFailed when one has failed for good."""
    for job in jobs:
        if job["status"] in ("FAILED", "CANCELED"):
            error = job.get("error") or {}
            executions = api.get(f"jobs/{job['id']}/").get("job_exes") or [{}]
            logs = f"job-executions/{executions[0].get('id')}/logs/"
            raise DemoFailed(
                f"job {job['id']} ({job['job_type']['name']}) is {job['status']}: {error.get('title')}: "
                f"{error.get('description')}\nIts output: {json.dumps(api.get(logs), indent=1)[:4000]}"
            )
    return jobs if all(job["status"] == "COMPLETED" for job in jobs) else []


def recipe_completed(api: Api, recipe_id: int) -> dict[str, Any] | None:
    recipe: dict[str, Any] = api.get(f"recipes/{recipe_id}/")
    return recipe if completed(api, [entry["job"] for entry in recipe["jobs"]]) and recipe["completed"] else None


# -------------------------------------------------------------------------------------------------------------- report


def report(demo: Demo) -> None:
    start = min(demo.dropped.values())
    steps = ["dropped", "seen", "ingested", "queued", "started", "ended"]

    def since(value: str | datetime | None) -> str:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return f"{(moment - start).total_seconds():.2f}" if moment else ""

    files = [
        [f"file {name}", since(demo.dropped[name]), since(ingest["created"]), since(ingest["ingest_ended"]), "", "", ""]
        for name, ingest in demo.ingests.items()
    ]
    jobs = [
        [f"job {job['id']} {job['job_type']['name']}", *[""] * 3, *(since(job[key]) for key in steps[3:])]
        for job in demo.jobs
    ]
    demo.display.table(
        f"What happened when, in seconds since {start:%H:%M:%S} UTC (seen: while its transfer went on)",
        ["what", *steps], [*files, *jobs], right=steps,
    )  # fmt: skip
    products = [
        [p["file_name"], p["media_type"], f"{p['file_size']:,}", shorten(p["geometry"]), p["url"]]
        for p in demo.products
    ]
    demo.display.table("Products", ["file", "media type", "bytes", "geometry", "download"], products, right=["bytes"])


def shorten(geometry: str | None, limit: int = 60) -> str:
    text = geometry or ""
    return text if len(text) <= limit else text[: limit - 1] + "…"


# -------------------------------------------------------------------------------------------------------------- checks


def verify(demo: Demo) -> None:
    """Compare every product with the elevation model. Raises DemoFailed."""
    demo.display.title("Check the products against the elevation model")
    truth = terrain.load()
    with demo.display.step("the GeoTIFF has the right elevation in the right place"):
        check_geotiff(truth, download(demo, "geotiff-maker"))
    with demo.display.step(f"the points are its summits of {LEAST_PROMINENCE:.0f} m prominence, all of them"):
        summits = check_summits(truth, download(demo, "point-detector"))
    with demo.display.step("the thumbnail is a small picture"):
        path = demo.home / "thumbnail.png"
        path.write_bytes(download(demo, "thumbnailer"))
        check_thumbnail(path)
    longitude, latitude, elevation = summits[0]
    demo.display.say(
        f"  {len(summits)} summits; the highest: {elevation:.0f} m at {latitude:.4f} N, {-longitude:.4f} W"
    )
    demo.display.say(f"  a picture worth a look: {path}")


def download(demo: Demo, job_type_name: str) -> bytes:
    found = [p for p in demo.products if p["job_type"]["name"] == job_type_name]
    if len(found) != 1:
        raise DemoFailed(f"{job_type_name} should have one product, not {len(found)}")
    content = demo.api.download(found[0]["url"])
    if len(content) != found[0]["file_size"]:
        raise DemoFailed(f"{found[0]['url']} gives {len(content)} bytes instead of {found[0]['file_size']}")
    return content


def check_geotiff(truth: terrain.Terrain, content: bytes) -> None:
    with Image.open(io.BytesIO(content)) as image:
        if not isinstance(image, TiffImagePlugin.TiffImageFile):
            raise DemoFailed(f"the GeoTIFF is a {image.format}")
        scale, tiepoint = image.tag_v2[33550], image.tag_v2[33922]
        elevation = np.asarray(image)
    expected = (truth.pixel_width, truth.pixel_height, 0, 0, truth.west, truth.north)
    if not np.allclose((*scale[:2], *tiepoint[:2], *tiepoint[3:5]), expected, rtol=0, atol=1e-9):
        raise DemoFailed(f"the GeoTIFF lies elsewhere: pixel scale {scale}, tie point {tiepoint}")
    if elevation.shape != truth.elevation.shape or np.abs(elevation - truth.elevation).max() > 0.01:
        raise DemoFailed("the GeoTIFF's elevation differs from the model's")


def check_summits(truth: terrain.Terrain, content: bytes) -> list[tuple[float, float, float]]:
    features = json.loads(content)["features"]
    summits: list[tuple[float, float, float]] = [tuple(f["geometry"]["coordinates"]) for f in features]
    if not summits:
        raise DemoFailed("no summit was found")
    if problems := terrain.summit_problems(truth, summits, LEAST_PROMINENCE):
        raise DemoFailed("wrong summits: " + "; ".join(problems[:5]))
    return summits


def check_thumbnail(path: Path) -> None:
    with Image.open(path) as image:
        colours = image.convert("RGB").getcolors(maxcolors=image.width * image.height) or []
        if image.format != "PNG" or max(image.size) > 512 or len(colours) < 1000:
            what = f"{image.format} {image.size}, {len(colours)} colours"
            raise DemoFailed(f"{path} is not the picture it should be: {what}")


if __name__ == "__main__":
    sys.exit(main())
