"""Jobs that break the rules, on a real executor: each ends with its own error, and the executor lives on, small."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scale_core.domain.execution import Outcome
from scale_worker.executor import cgroups
from tests.worker.executions import file_output, prop
from tests.worker.test_executor_process import Executor

MAX_EXECUTOR_MIB = 200
needs_cgroups = pytest.mark.skipif(not cgroups.can_account(), reason="no control groups of version 1 for us here")


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.setenv("SCALE_JOB_LOG_MIB", "2")
    monkeypatch.setenv("SCALE_JOB_PIDS", "60")
    executor = Executor(tmp_path)
    yield executor
    try:
        assert executor.run(executor.bench.spec("'exit 0'", task_id="after"))[0] == "TASK_FINISHED", "it lives on"
        peak = Path(f"/proc/{executor.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        assert int(peak) / 1024 < MAX_EXECUTOR_MIB
    finally:
        executor.close()


def run(executor: Executor, script: str, **more: Any) -> Outcome:
    return executor.run(executor.bench.spec("${script}", inputs=(prop("script", script),), **more))[1]


def manifest(path: str) -> str:
    document = {"version": "1.1", "output_data": [{"name": "result", "file": {"path": path}}]}
    return f"printf '%s' '{json.dumps(document)}' > results_manifest.json"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exit 0", "missing-required-output"),
        ("truncate -s 1G results_manifest.json", "invalid-results-manifest"),
        ("mkfifo results_manifest.json", "invalid-results-manifest"),
        ("ln -s /dev/zero results_manifest.json", "invalid-results-manifest"),
        (manifest("../../etc/passwd"), "invalid-results-manifest"),
        (manifest("/etc/passwd"), "invalid-results-manifest"),
        (f"ln -s /etc/passwd x; {manifest('x')}", "invalid-results-manifest"),
        (f"mkfifo x; {manifest('x')}", "invalid-results-manifest"),
        (f"ln -s /dev/zero x; {manifest('x')}", "invalid-results-manifest"),
        (f"mknod x c 1 5; {manifest('x')}", "invalid-results-manifest"),
        (f"echo secret > ../x; ln ../x x; {manifest('../x')}", "invalid-results-manifest"),
        (f"mkdir x; {manifest('x')}", "invalid-results-manifest"),
    ],
)
def test_results_that_are_none(executor: Executor, script: str, error: str) -> None:
    outcome = run(executor, script, outputs=(file_output(),))
    assert (outcome.succeeded, outcome.error) == (False, error), outcome.message
    assert executor.bench.stored() == {}


def test_a_geometry_that_is_no_number(executor: Executor) -> None:
    script = """echo '{"version": "1.1", "parse_results": [{"filename": "x", "geo_metadata": {"geo_json":
        {"type": "Point", "coordinates": [NaN, 1]}}}]}' > results_manifest.json"""
    assert run(executor, script).error == "invalid-results-manifest"


def test_a_log_without_end(executor: Executor) -> None:
    outcome = run(executor, "timeout 4 yes | tr -d '\\n'; echo; echo last >&2; exit 0")
    assert outcome.succeeded, outcome.message
    assert "[scale] the log grew past its limit" in outcome.stdout
    log = next(executor.sandbox.glob("executions/7-*/stdout"))
    assert log.stat().st_size < 5 * 1024**2


def test_more_output_than_its_disk(executor: Executor) -> None:
    outcome = run(executor, "head -c 20000000 /dev/zero > x; sleep 100", disk_out=4.0)
    assert outcome.error == "out-of-disk"
    assert "more than the 4 MiB" in outcome.message
    outcome = run(executor, "head -c 20000000 /dev/zero > x", disk_out=4.0, task_id="short")
    assert (outcome.error, outcome.job.exit_code) == ("out-of-disk", 0)


def test_a_timeout_that_is_ignored(executor: Executor) -> None:
    outcome = run(executor, "trap '' TERM; while true; do sleep 1; done", timeout_s=1)
    assert outcome.error == "timeout"


@needs_cgroups
def test_a_fork_bomb(executor: Executor) -> None:
    marker = f"77.{os.getpid()}"
    bomb = f"for i in $(seq 200); do setsid sleep {marker} & done; wait"
    outcome = run(executor, bomb, timeout_s=3)
    assert not outcome.succeeded
    assert "fork" in outcome.stderr.lower()
    assert subprocess.run(["pgrep", "-f", f"sleep {marker}"], check=False, capture_output=True).returncode == 1


@needs_cgroups
def test_more_memory_than_scheduled(executor: Executor) -> None:
    outcome = run(executor, "x=$(head -c 400000000 /dev/zero | tr '\\0' x); echo $?", mem=32.0)
    assert outcome.error == "out-of-memory" or "memory" in outcome.stderr.lower(), outcome
    assert 20 < outcome.used["mem_peak"] <= 32


def test_arguments_are_no_shell(executor: Executor) -> None:
    hostile = '$(reboot) `reboot` ; \'a "b"\n --privileged -v /:/host'
    outcome = executor.run(executor.bench.spec("%s ${x}", command="printf", inputs=(prop("x", hostile),)))[1]
    assert outcome.stdout == hostile


def test_an_idle_executor_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALE_EXECUTOR_IDLE_S", "1")
    executor = Executor(tmp_path)
    try:
        executor.launch(executor.bench.spec("'sleep 4'"))
        assert [executor.next()[1] for _ in range(2)] == ["TASK_RUNNING", "TASK_FINISHED"]
        deadline = time.monotonic() + 20
        while executor.process.poll() is None:
            assert time.monotonic() < deadline, "it stays"
            time.sleep(0.05)
        assert executor.process.returncode == 0
    finally:
        executor.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk(tmp_path: Path) -> None:
    """Row 13: the execution says so, the executor lives on, and when there is room again jobs succeed."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    executor = Executor(small)
    try:
        outcome = run(executor, "head -c 9000000 /dev/zero > x || exit 3")
        assert (outcome.succeeded, outcome.job.exit_code) == (False, 3)
        (small / "filler").write_bytes(b"x" * (3 * 1024**2))
        outcome = run(
            executor,
            "head -c 700000 /dev/zero > x; echo ARTIFACT:result:x",
            task_id="stored",
            outputs=(file_output(),),
        )
        assert (outcome.succeeded, outcome.error) == (False, "filesystem-io"), outcome
        assert executor.bench.stored() == {}
        (small / "filler").unlink()
        assert executor.run(executor.bench.spec("'exit 0'", task_id="room"))[0] == "TASK_FINISHED"
    finally:
        executor.close()
        subprocess.run(["umount", "-l", str(small)], check=False)
