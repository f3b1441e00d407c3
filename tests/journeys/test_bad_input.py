"""What users get wrong, and what goes wrong around them: each is said where they look for it, and all else goes on."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from scale_core.settings import CHECKOUT
from scale_server import postgres
from tests.docker_images import busybox_image
from tests.journeys.scale_process import Scale, strike_configuration
from tests.patience import wait_for

ODD_VALUES = (
    "two  blanks ",
    'it\'s "quoted" \\ twice',
    "$(touch /tmp/x) `id` ${HOME} $HOME",
    "line\nbreak\ttab\r\n",
    "; rm -rf * | cat > y && z &",
    "${other} ${job_output_dir}",
    "-rf",
    "*.txt ~ {a,b} !!",
    "ünïcødé ☃ 🎉",
)
LOAD = 24


@pytest.fixture(scope="module")
def store(scale: Scale) -> int:
    return scale.make_workspace("kept")[0]


@pytest.fixture(scope="module")
def well_behaved(scale: Scale, store: int) -> dict[str, Any]:
    command = "-c 'echo fine > fine.txt; echo ARTIFACT:fine:fine.txt'"
    return scale.make_job_type("well-behaved", "/bin/sh", command, outputs=[{"name": "fine", "type": "file"}])


@pytest.fixture(autouse=True)
def _the_system_goes_on(scale: Scale, store: int, well_behaved: dict[str, Any]) -> Iterator[None]:
    yield
    job_id = scale.queue(well_behaved, output_data=[{"name": "fine", "workspace_id": store}])
    (product,) = scale.until(job_id, "COMPLETED", "FAILED")["products"]
    assert scale.content(product["id"]) == b"fine\n"


@pytest.fixture(scope="module")
def fails(scale: Scale) -> Callable[..., dict[str, Any]]:
    """Runs a job that must fail at its first try with the error of that name; its `reason` tells why."""
    numbers = itertools.count(1)

    def fails(error: str, command: str, arguments: str = "", **fields: Any) -> dict[str, Any]:
        outputs = fields.pop("output_data", [])
        given = {"max_tries": 1, **fields}
        job_type = scale.make_job_type(f"bad-{next(numbers)}", command, arguments, **given)
        job = scale.until(scale.queue(job_type, output_data=outputs), "FAILED", "COMPLETED")
        execution = job["job_exes"][0]
        assert (job["status"], job["error"] and job["error"]["name"]) == ("FAILED", error), job["reason"]
        assert execution["error"]["name"] == error
        assert execution["message"] == job["reason"]
        assert job["num_exes"] == 1
        assert job["products"] == []
        wait_for("the log to say it too", lambda: job["reason"] in scale.log("worker"))
        return job

    return fails


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"filename_regex": "*.txt"}, "'*.txt' is not a regular expression that RE2 understands"),
        ({"filename_regex": "(a"}, "'(a' is not a regular expression that RE2 understands"),
        ({"workspace_name": "no-such"}, "there is no workspace called 'no-such'"),
        ({"workspace_path": "../../etc"}, "must stay inside the workspace"),
    ],
)
def test_a_strike_with_a_wrong_rule(scale: Scale, change: dict[str, str], sentence: str) -> None:
    rule = {"filename_regex": ".*", "data_types": [], "workspace_path": "x", "workspace_name": "kept", **change}
    body = {"name": "wrong", "configuration": strike_configuration(scale.home, [rule])}

    answer = json.loads(scale.refused("strike/create/", body))

    (field,) = change
    assert [problem["path"] for problem in answer["problems"]] == [f"configuration.files_to_ingest[0].{field}"]
    assert sentence in answer["detail"]
    assert scale.results("strikes/", name="wrong") == []


def test_a_strike_of_no_directory(scale: Scale) -> None:
    rule = {"filename_regex": ".*", "data_types": [], "workspace_path": "x", "workspace_name": "kept"}
    body = {"name": "nowhere", "configuration": strike_configuration(scale.home / "nowhere", [rule])}
    answer = json.loads(scale.refused("strike/create/", body))
    assert [problem["path"] for problem in answer["problems"]] == ["configuration.mount"]
    assert f"the directory {scale.home / 'nowhere'} does not exist" in answer["detail"]


def test_a_job_with_a_workspace_that_does_not_exist(scale: Scale, well_behaved: dict[str, Any]) -> None:
    data = {"version": "1.0", "output_data": [{"name": "fine", "workspace_id": 987654}]}
    answer = scale.refused("queue/new-job/", {"job_type_id": well_behaved["id"], "job_data": data})
    assert "987654" in answer
    assert "does not exist" in answer


def test_a_job_with_a_file_that_does_not_exist(scale: Scale) -> None:
    inputs = [{"name": "text", "type": "file"}]
    job_type = scale.make_job_type("wants-a-file", "/bin/cat", "${text}", inputs=inputs)
    data = {"version": "1.0", "input_data": [{"name": "text", "file_id": 987654}]}
    answer = scale.refused("queue/new-job/", {"job_type_id": job_type["id"], "job_data": data})
    assert "text" in answer
    assert "987654" in answer


def test_a_workspace_that_vanished(scale: Scale, fails: Callable[..., dict[str, Any]]) -> None:
    """It is not made again: more likely its file system is not mounted, and the disk below would be filled."""
    workspace_id, root = scale.make_workspace("vanished")
    root.rmdir()
    job = fails(
        "filesystem-io",
        "/bin/sh",
        "-c 'touch x; echo ARTIFACT:made:x'",
        outputs=[{"name": "made", "type": "file"}],
        output_data=[{"name": "made", "workspace_id": workspace_id}],
    )
    assert job["reason"] == f"output 'made': the workspace's directory {root} does not exist or is not mounted"


def test_a_command_that_does_not_exist(fails: Callable[..., dict[str, Any]]) -> None:
    job = fails("task-launch", "no-such-program --at all")
    assert job["reason"] == "the command 'no-such-program' does not exist on the node"


@pytest.mark.docker
def test_an_image_that_does_not_exist(fails: Callable[..., dict[str, Any]]) -> None:
    """No registry answers here: an address that nobody has fails like one that does not know the image."""
    job = fails("docker-image-pull", "true", docker_image="127.0.0.1:9/scale-test/no-such-image:1")
    assert job["reason"].startswith("the image 127.0.0.1:9/scale-test/no-such-image:1 ")
    assert "cannot be pulled" in job["reason"]


@pytest.mark.docker
def test_a_container_whose_command_does_not_exist(fails: Callable[..., dict[str, Any]]) -> None:
    job = fails("docker-task-launch", "/no/such/program", docker_image=busybox_image())
    assert "/no/such/program" in job["reason"]


@pytest.mark.docker
def test_a_container_that_exits_3(scale: Scale, fails: Callable[..., dict[str, Any]]) -> None:
    script = "-c 'echo so far so good; echo out of ideas >&2; exit 3'"
    job = fails("algorithm-unknown", "/bin/sh", script, docker_image=busybox_image())
    assert job["reason"] == "exited with status 3"
    assert job["job_exes"][0]["job_exit_code"] == 3
    logs = scale.logs(job)
    assert (logs["stdout"], logs["stderr"]) == ("so far so good\n", "out of ideas\n")


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ("not { JSON", "results_manifest.json is invalid: "),
        ('{"version": "1.0"', "results_manifest.json is invalid: "),
        ("[]", "results_manifest.json is invalid: "),
        (json.dumps({"version": "1.0", "files": [{"name": "made", "path": "absent.txt"}]}), "does not exist"),
        (
            json.dumps({"version": "1.0", "files": [{"name": "made", "path": "/etc/passwd"}]}),
            "'/etc/passwd' is outside of the output directory",
        ),
        (
            json.dumps({"version": "1.0", "files": [{"name": "made", "path": "../../../secret"}]}),
            "'../../../secret' is outside of the output directory",
        ),
        (
            json.dumps({"version": "1.0", "files": [{"name": "made", "path": "link"}]}),
            "'link' is outside of the output directory",
        ),
    ],
)
def test_a_wrong_results_manifest(
    store: int, fails: Callable[..., dict[str, Any]], manifest: str, sentence: str
) -> None:
    script = f"ln -s /etc/passwd link; printf %s {shlex.quote(manifest)} > results_manifest.json"
    job = fails(
        "invalid-results-manifest",
        "/bin/sh",
        f"-c {shlex.quote(script)}",
        outputs=[{"name": "made", "type": "file"}],
        output_data=[{"name": "made", "workspace_id": store}],
    )
    assert sentence in job["reason"]
    execution = job["job_exes"][0]
    assert (execution["job_exit_code"], execution["post_exit_code"]) == (0, 1)


def test_a_missing_output(store: int, fails: Callable[..., dict[str, Any]]) -> None:
    job = fails(
        "missing-required-output",
        "/bin/true",
        outputs=[{"name": "made", "type": "file"}],
        output_data=[{"name": "made", "workspace_id": store}],
    )
    assert job["reason"] == "the required output 'made' was not produced"


@pytest.mark.parametrize("image", [None, pytest.param("busybox", marks=pytest.mark.docker)])
def test_values_arrive_unchanged(scale: Scale, image: str | None) -> None:
    """Each value is one argument, whatever is in it: no shell reads it, and no placeholder is looked for in it."""
    inputs = [{"name": f"value {number}", "type": "property"} for number in range(len(ODD_VALUES))]
    shown = " ".join(f"'${{value {number}}}'" for number in range(len(ODD_VALUES)))
    script = """-c 'for each in "$@"; do printf "%s\\0" "$each" >&2; done' sh """
    job_type = scale.make_job_type(
        f"odd-values-{image}",
        "/bin/sh",
        script + shown + " '--flag=${-x :value 0}'",
        inputs=inputs,
        docker_image=image and busybox_image(),
    )
    given = [{"name": f"value {number}", "value": value} for number, value in enumerate(ODD_VALUES)]

    job = scale.until(scale.queue(job_type, input_data=given), "COMPLETED", "FAILED")

    assert job["status"] == "COMPLETED", job["reason"]
    expected = [*ODD_VALUES, f"--flag=-x {ODD_VALUES[0]}"]
    assert scale.logs(job)["stderr"].split("\ufffd") == [*expected, ""]  # a database holds no NUL
    assert [entry["value"] for entry in job["inputs"]] == list(ODD_VALUES)
    assert not Path("/tmp/x").exists()


def test_a_port_that_is_taken(scale: Scale, tmp_path: Path) -> None:
    port = scale.address.rstrip("/").rpartition(":")[2]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SCALE_")}
    second = subprocess.run(
        [sys.executable, "-m", "scale_server"],
        check=False, cwd=CHECKOUT, env={**environ, "SCALE_HOME": str(tmp_path), "SCALE_PORT": port},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
    )  # fmt: skip
    assert second.returncode == 1
    (line,) = second.stdout.splitlines()
    expected = f"port {port} of 127.0.0.1 is taken by another program; set SCALE_PORT to a free one"
    assert line == f"script/server: {expected}"


def test_a_home_that_is_taken(scale: Scale) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SCALE_")}
    second = subprocess.run(
        [sys.executable, "-m", "scale_server"],
        check=False, cwd=CHECKOUT, env={**environ, "SCALE_HOME": str(scale.home), "SCALE_PORT": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
    )  # fmt: skip
    assert second.returncode == 1
    (line,) = second.stdout.splitlines()
    assert f"Scale is already running in {scale.home}, pid {scale.process.pid}" in line


def test_postgresql_crashes_under_load_and_comes_back(scale: Scale, store: int) -> None:
    """Nothing is lost, nothing done twice; meanwhile the API says that it is not its fault."""
    lines = scale.home / "ran"
    job_type = scale.make_job_type(
        "under-load",
        "/bin/sh",
        f"-c 'sleep 0.2; echo $SCALE_JOB_ID >> {lines}; echo x > x.txt; echo ARTIFACT:made:x.txt'",
        outputs=[{"name": "made", "type": "file"}],
    )
    jobs = [scale.queue(job_type, output_data=[{"name": "made", "workspace_id": store}]) for _ in range(LOAD)]
    wait_for("some of the jobs to be over", lambda: lines.exists() and len(lines.read_text().splitlines()) >= 3)

    with watching(scale) as statuses:
        postgres.stop(scale.home, "immediate")
        wait_for("the API to miss its database", lambda: 503 in statuses)
        wait_for("PostgreSQL to be back", lambda: statuses[-1] == 200)
        for job_id in jobs:
            scale.until(job_id, "COMPLETED", "FAILED")

    assert set(statuses) == {200, 503}
    assert "PostgreSQL is gone; starting it again" in (scale.home / "server.out").read_text()
    found = [scale.job(job_id) for job_id in jobs]
    assert [job["status"] for job in found] == ["COMPLETED"] * LOAD
    # a commit whose answer the crash swallowed may have started an execution that was never launched: it is lost
    ends = [sorted((each["status"], (each["error"] or {}).get("name")) for each in job["job_exes"]) for job in found]
    assert {end for job in ends for end in job} <= {("COMPLETED", None), ("FAILED", "mesos-lost")}
    assert [job.count(("COMPLETED", None)) for job in ends] == [1] * LOAD
    assert [len(job["products"]) for job in found] == [1] * LOAD
    assert sorted(map(int, lines.read_text().split())) == sorted(jobs)


@contextmanager
def watching(scale: Scale) -> Iterator[list[int]]:
    """The status codes of requests for the list of jobs, one after the other, until the end of the block."""
    statuses: list[int] = []
    enough = threading.Event()

    def watch() -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not enough.wait(0.02):
                statuses.append(session.get(f"{scale.address}jobs/", timeout=30).status_code)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield statuses
    finally:
        enough.set()
        thread.join()
