"""Journey 2: a queued job runs on a node, and its product starts the next one; or it ends otherwise."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.docker_images import busybox_image
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

FEATURE = {
    "type": "Feature",
    "geometry": {"type": "Polygon", "coordinates": [[[10, 50], [11, 50], [11, 51], [10, 51], [10, 50]]]},
    "properties": {"cloud_cover": 7},
}
MANIFEST = {
    "version": "1.1",
    "output_data": [
        {
            "name": "upper",
            "file": {
                "path": "upper.txt",
                "geo_metadata": {
                    "data_started": "2026-01-02T03:04:05Z",
                    "data_ended": "2026-01-02T03:14:05Z",
                    "geo_json": FEATURE,
                },
            },
        }
    ],
}
MAKE = f"""
set -e
cd "$SCALE_OUTPUT_DIR"
cat "$1" > upper.txt; echo and more >> upper.txt
printf '%s' '{json.dumps(MANIFEST)}' > results_manifest.json
echo made
"""
COPY = 'cp "$1" "$SCALE_OUTPUT_DIR/copy.txt"; echo ARTIFACT:copy:copy.txt'


@pytest.fixture(scope="module")
def source(scale: Scale) -> dict[str, Any]:
    """A file that is catalogued, in the workspace `inputs`."""
    scale.make_workspace("inputs")
    rule = {"filename_regex": ".*", "data_types": [], "workspace_path": "given", "workspace_name": "inputs"}
    return scale.ingest_file(scale.make_strike("inputs", [rule])[1], "in.txt", b"given\n")


@pytest.fixture(scope="module")
def products(scale: Scale) -> int:
    return scale.make_workspace("outputs")[0]


@pytest.fixture(params=["plain", pytest.param("container", marks=pytest.mark.docker)])
def image(request: pytest.FixtureRequest) -> str | None:
    """Each test that asks for it runs twice: as a plain command and in a container."""
    return busybox_image() if request.param == "container" else None


@pytest.fixture(scope="module")
def make(scale: Scale) -> Callable[..., dict[str, Any]]:
    """A job type that runs a shell script."""
    numbers = itertools.count(1)

    def make(script: str, image: str | None = None, arguments: str = "", **fields: Any) -> dict[str, Any]:
        words = f"{shlex.quote(script)} sh {arguments}"
        return scale.make_job_type(f"shell-{next(numbers)}", "/bin/sh -c", words, docker_image=image, **fields)

    return make


def test_the_second_job_of_a_recipe_gets_the_product_of_the_first(
    scale: Scale, source: dict[str, Any], products: int, make: Callable[..., dict[str, Any]], image: str | None
) -> None:
    recipe_type = two_step_recipe(scale, make, image, MAKE)
    recipe = queue_recipe(scale, recipe_type, source, products)
    first, second = (job_of(scale, recipe["id"], name) for name in ("first", "second"))
    first, second = (scale.until(job["id"], "COMPLETED", "FAILED", "BLOCKED") for job in (first, second))

    assert (first["status"], second["status"]) == ("COMPLETED", "COMPLETED"), (first["reason"], scale.logs(first))
    assert wait_for("the recipe", lambda: scale.get(f"recipes/{recipe['id']}/")["completed"])
    (upper,), (copy,) = first["products"], second["products"]
    assert scale.content(upper["id"]) == scale.content(copy["id"]) == b"given\nand more\n"
    assert [(file["id"], file["file_name"]) for file in second["input_files"]] == [(upper["id"], "upper.txt")]
    assert second["queued"] >= first["ended"]
    assert (first["num_exes"], second["num_exes"]) == (1, 1)

    assert upper["geometry"].startswith("POLYGON")
    assert upper["center_point"] == "POINT (10.5 50.5)"
    assert upper["meta_data"]["cloud_cover"] == 7
    assert (upper["data_started"], upper["data_ended"]) == ("2026-01-02T03:04:05Z", "2026-01-02T03:14:05Z")
    assert copy["geometry"] is None
    assert upper["is_published"]
    assert upper["media_type"] == "text/plain"
    ancestors = scale.run_sql(f"SELECT ancestor_id FROM file_ancestry_link WHERE descendant_id = {copy['id']}")
    assert {ancestor for (ancestor,) in ancestors} == {source["id"], upper["id"]}

    logs = scale.logs(first)
    assert (logs["is_finished"], logs["stdout"], logs["status"]) == (True, "made\n", "COMPLETED")
    execution = first["job_exes"][0]
    phases = [execution[f"{name}_{moment}"] for name in ("pre", "job", "post") for moment in ("started", "completed")]
    assert phases == sorted(phases)
    assert [execution[f"{name}_exit_code"] for name in ("pre", "job", "post")] == [0, 0, 0]


def test_a_failure_blocks_what_depends_on_it_until_it_is_put_back(
    scale: Scale, source: dict[str, Any], products: int, make: Callable[..., dict[str, Any]]
) -> None:
    mended = scale.home / "mended"
    script = f"test -e {mended} || {{ echo still broken >&2; exit 3; }}; {MAKE}"
    recipe_type = two_step_recipe(scale, make, None, script, max_tries=1)
    recipe = queue_recipe(scale, recipe_type, source, products)["id"]

    first = scale.until(job_of(scale, recipe, "first")["id"], "FAILED")
    second = scale.until(job_of(scale, recipe, "second")["id"], "BLOCKED")
    assert (first["error"]["name"], first["reason"]) == ("algorithm-unknown", "exited with status 3")
    assert first["job_exes"][0]["job_exit_code"] == 3
    assert scale.logs(first)["stderr"] == "still broken\n"
    assert second["num_exes"] == 0
    assert scale.get(f"recipes/{recipe}/")["completed"] is None

    mended.touch()
    assert scale.post("queue/requeue-jobs/", {"job_ids": [first["id"]]})["count"] == 1
    first, second = (scale.until(job["id"], "COMPLETED") for job in (first, second))
    assert (first["num_exes"], first["error"], first["reason"]) == (2, None, None)
    assert second["num_exes"] == 1
    assert [execution["status"] for execution in first["job_exes"]] == ["COMPLETED", "FAILED"]
    assert len(first["products"]) == len(second["products"]) == 1
    assert wait_for("the recipe", lambda: scale.get(f"recipes/{recipe}/")["completed"])


def test_logs_are_there_while_the_job_runs_and_afterwards(
    scale: Scale, make: Callable[..., dict[str, Any]], image: str | None
) -> None:
    """The job waits for a sign in its own output directory, which a container has too."""
    script = "echo first; echo trouble >&2; until test -e $SCALE_OUTPUT_DIR/go; do sleep 0.1; done; echo last"
    job = scale.until(scale.queue(make(script, image)), "RUNNING")

    live = wait_for("its first words", lambda: (logs := scale.logs(job))["stdout"] and logs["stderr"] and logs)
    assert (live["is_finished"], live["stdout"], live["stderr"]) == (False, "first\n", "trouble\n")
    (output_directory(scale, job) / "go").touch()
    kept = scale.logs(scale.until(job["id"], "COMPLETED"))
    assert (kept["is_finished"], kept["stdout"], kept["stderr"]) == (True, "first\nlast\n", "trouble\n")


def test_an_outcome_too_large_for_a_status_update_arrives_all_the_same(
    scale: Scale, make: Callable[..., dict[str, Any]]
) -> None:
    """Noise does not compress: 700 kB of it stay in the sandbox, and a worker reads them through the agent."""
    noise = make("head -c 500000 /dev/urandom | base64; echo the end")
    job = scale.until(scale.queue(noise), "COMPLETED")
    stdout = scale.logs(job)["stdout"]
    assert stdout.endswith("the end\n")
    assert len(stdout) > 600_000
    assert job["job_exes"][0]["job_exit_code"] == 0
    assert list(scale.home.glob("devcluster/**/outcome.json")), "it was small enough for the status update"


def test_a_canceled_job_stops(scale: Scale, make: Callable[..., dict[str, Any]], image: str | None) -> None:
    """Even one that does not want to."""
    job = scale.until(scale.queue(make("trap '' TERM; echo up; while :; do sleep 0.1; done", image)), "RUNNING")
    wait_for("the job to be up", lambda: scale.logs(job)["stdout"])
    processes = processes_of(job["job_exes"][0]["id"])
    assert processes

    canceled = scale.patch(f"jobs/{job['id']}/", {"status": "CANCELED"})

    assert canceled["status"] == "CANCELED"
    wait_for("its processes to end", lambda: not any(process.is_running() for process in processes))
    job = scale.job(job["id"])
    assert (job["status"], job["job_exes"][0]["status"]) == ("CANCELED", "CANCELED")
    assert job["products"] == []
    (task_id,) = scale.run_sql(f"SELECT task_id FROM job_exe WHERE job_id = {job['id']}")[0]
    wait_for(
        f"the end of {task_id} to be written",
        lambda: scale.run_sql(f"SELECT id FROM job_exe WHERE job_id = {job['id']} AND task_ended IS NOT NULL"),
    )
    assert scale.run_sql(
        f"SELECT l.job_exe_id FROM job_exe_log l JOIN job_exe e ON e.id = l.job_exe_id WHERE e.job_id = {job['id']}"
    ), "its logs are kept"
    assert scale.logs(job)["stdout"].startswith("up")
    response = scale.request("PATCH", f"jobs/{job['id']}/", json={"status": "CANCELED"})
    assert response.status_code == 400
    assert scale.until(scale.queue(make("true", image)), "COMPLETED"), "its resources are free again"


def test_a_queued_job_that_is_canceled_never_starts(scale: Scale, make: Callable[..., dict[str, Any]]) -> None:
    job_type = make("echo never", cpus_required=100_000.0)
    job_id = scale.queue(job_type)

    def reason() -> str | None:
        rows = scale.get("queue/status/")["results"]
        return next((row["reason"] for row in rows if row["job_type"]["name"] == job_type["name"]), None)

    assert "cpus" in wait_for("the reason why it waits", lambda: reason() or "").lower()
    scale.patch(f"jobs/{job_id}/", {"status": "CANCELED"})
    job = scale.job(job_id)
    assert (job["status"], job["job_exes"][0]["started"]) == ("CANCELED", None)
    assert reason() is None


def test_a_job_that_takes_too_long_is_stopped(
    scale: Scale, make: Callable[..., dict[str, Any]], image: str | None
) -> None:
    job = scale.until(scale.queue(make("echo up; sleep 600", image, timeout=2, max_tries=1)), "FAILED", "COMPLETED")

    assert (job["status"], job["error"]["name"], job["num_exes"]) == ("FAILED", "timeout", 1)
    assert job["reason"] == "did not end within its timeout of 2 s and was stopped"
    assert job["job_exes"][0]["message"] == job["reason"]
    assert scale.logs(job)["stdout"] == "up\n"
    assert processes_of(job["job_exes"][0]["id"]) == []


def test_a_job_sees_its_own_environment_and_none_of_scales_secrets(
    scale: Scale, make: Callable[..., dict[str, Any]], image: str | None
) -> None:
    job = scale.until(scale.queue(make("cd $SCALE_OUTPUT_DIR; pwd; env", image)), "COMPLETED", "FAILED")

    where, *lines = scale.logs(job)["stdout"].splitlines()
    environ = dict(line.partition("=")[::2] for line in lines)
    assert environ["SCALE_JOB_ID"] == str(job["id"])
    assert environ["SCALE_JOB_EXE_ID"] == str(job["job_exes"][0]["id"])
    assert environ["SCALE_OUTPUT_DIR"] == where
    ours = {name for name in environ if name.startswith(("SCALE_", "MESOS_"))}
    assert ours == {"SCALE_JOB_ID", "SCALE_JOB_EXE_ID", "SCALE_OUTPUT_DIR"}


def test_more_failures_than_tries_is_a_failure(scale: Scale, make: Callable[..., dict[str, Any]]) -> None:
    """A SYSTEM error is tried again, an ALGORITHM error is not: another try would end the same way."""
    exit_codes = {"version": "1.0", "exit_codes": {"4": "filesystem-io"}}
    system = make("exit 4", error_mapping=exit_codes, max_tries=2)
    algorithm = make("exit 5", error_mapping=exit_codes, max_tries=2)
    ends = [scale.until(job_id, "FAILED") for job_id in (scale.queue(system), scale.queue(algorithm))]
    assert [(end["error"]["name"], end["num_exes"]) for end in ends] == [
        ("filesystem-io", 2),
        ("algorithm-unknown", 1),
    ]


def two_step_recipe(
    scale: Scale, make: Callable[..., dict[str, Any]], image: str | None, script: str, **fields: Any
) -> int:
    inputs = [{"name": "text", "type": "file", "media_types": ["text/plain"]}]
    upper = {"name": "upper", "type": "file", "media_type": "text/plain"}
    first = make(script, image, "${text}", inputs=inputs, outputs=[upper], **fields)
    second = make(COPY, image, "${text}", inputs=inputs, outputs=[{"name": "copy", "type": "file"}])
    link = {"name": "first", "connections": [{"output": "upper", "input": "text"}]}
    jobs = [
        {"name": "second", "job_type": key(second), "dependencies": [link]},
        {"name": "first", "job_type": key(first), "recipe_inputs": [{"recipe_input": "text", "job_input": "text"}]},
    ]
    return scale.make_recipe_type(first["name"], input_data=inputs, jobs=jobs)


def key(job_type: dict[str, Any]) -> dict[str, str]:
    return {"name": job_type["name"], "version": job_type["version"]}


def queue_recipe(scale: Scale, recipe_type: int, source: dict[str, Any], workspace: int) -> dict[str, Any]:
    data = {"version": "1.0", "input_data": [{"name": "text", "file_id": source["id"]}], "workspace_id": workspace}
    made: dict[str, Any] = scale.post("queue/new-recipe/", {"recipe_type_id": recipe_type, "recipe_data": data})
    return made


def job_of(scale: Scale, recipe_id: int, name: str) -> dict[str, Any]:
    jobs: list[dict[str, Any]] = scale.get(f"recipes/{recipe_id}/")["jobs"]
    return next(entry["job"] for entry in jobs if entry["job_name"] == name)


def statuses(scale: Scale, recipe_id: int) -> dict[str, str]:
    return {entry["job_name"]: entry["job"]["status"] for entry in scale.get(f"recipes/{recipe_id}/")["jobs"]}


def output_directory(scale: Scale, job: dict[str, Any]) -> Path:
    (found,) = (scale.home / "devcluster").rglob(f"executions/{job['job_exes'][0]['id']}-*/output")
    return found


def processes_of(job_exe_id: int) -> list[psutil.Process]:
    """Those of the execution, inside of its container too: they can be seen from here."""
    found = []
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("SCALE_JOB_EXE_ID") == str(job_exe_id):
            found.append(process)
    return found


def test_a_node_tells_what_is_really_used(scale: Scale, make: Callable[..., dict[str, Any]]) -> None:
    assert scale.until(scale.queue(make("true")), "COMPLETED")
    wait_for("its executor to tell", lambda: scale.run_sql("SELECT id FROM node WHERE usage ->> 'version' IS NOT NULL"))
    (node,) = scale.results("nodes/")
    assert scale.get(f"nodes/{node['id']}/")["resources"]["used"]["mem"] > 0
