"""Reports of what a node uses."""

import json
from pathlib import Path

import pytest

from scale_core import VERSION
from scale_worker.executor import orphans
from scale_worker.executor.usage import NodeUsage, Reports, Usage
from scale_worker.executor.watch import cap_log
from tests.worker.test_executor_process import Executor


def test_only_news_is_reported() -> None:
    reports = Reports()
    usage = Usage(1.0, 1000.0, 5000.0)
    first = reports.message(usage, 3, now=100.0)
    assert first is not None
    assert json.loads(first) == {
        "usage": {"cpus": 1.0, "mem": 1000.0, "disk": 5000.0},
        "running": 3,
        "version": VERSION,
    }
    assert reports.message(Usage(1.005, 1009.0, 5040.0), 3, now=110.0) is None
    assert reports.message(Usage(1.0, 1011.0, 5000.0), 3, now=120.0) is not None
    assert reports.message(Usage(1.0, 1011.0, 5000.0), 2, now=130.0) is not None
    assert reports.message(Usage(1.0, 1011.0, 5000.0), 2, now=189.0) is None
    assert reports.message(Usage(1.0, 1011.0, 5000.0), 2, now=190.0) is not None


def test_a_look_at_this_machine(tmp_path: Path) -> None:
    usage = NodeUsage(tmp_path).look()
    assert usage.cpus >= 0
    assert usage.mem > 10
    assert usage.disk > 0


def test_the_executor_reports(tmp_path: Path) -> None:
    executor = Executor(tmp_path)
    try:
        message = json.loads(executor.agent.messages.get(timeout=20))
        assert set(message) == {"usage", "running", "version"}
        assert message["usage"]["mem"] > 0
    finally:
        executor.close()


@pytest.mark.parametrize(("size", "cut"), [(200, False), (201, True)])
def test_logs_are_cut_when_twice_too_long(tmp_path: Path, size: int, cut: bool) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * size)
    with open(log, "ab", buffering=0) as writer:
        assert cap_log(log, 100) is cut
        writer.write(b"more")
    content = log.read_bytes()
    assert content.endswith(b"more")
    assert (b"101 bytes are cut out here" in content) is cut


def test_files_of_former_runs_go_and_logs_stay(tmp_path: Path) -> None:
    for run in ("runs/1", "runs/2"):
        for name in ("input", "output/deep"):
            (tmp_path / run / "executions" / "7-x" / name).mkdir(parents=True)
        (tmp_path / run / "executions" / "7-x" / "stdout").write_text("log")
    orphans.remove_stale_files(tmp_path / "runs" / "2")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not list(path.glob("*"))}
    assert left == {"runs/1/executions/7-x/stdout", "runs/2/executions/7-x/stdout"}
