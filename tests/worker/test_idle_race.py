"""A launch that meets an executor that is just leaving: the task runs, or is lost without having run and without
costing its job a try. A real executor on a devcluster; it is stopped until both are due, and then let go."""

from __future__ import annotations

import base64
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from scale_core.domain.failure import classify_task
from scale_core.domain.task import TaskState
from scale_core.settings import CHECKOUT
from tests.devcluster_process import Cluster, devcluster
from tests.mesos_client import Framework, scalar, task
from tests.worker.executions import Bench

ROUNDS = 6
IDLE_S = 1
PATIENCE_S = 60.0
FINAL = {"TASK_FINISHED", "TASK_FAILED", "TASK_LOST", "TASK_KILLED", "TASK_ERROR", "TASK_DROPPED", "TASK_GONE"}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with devcluster(tmp_path / "devcluster") as running:
        yield running


def executor_of(framework: Framework) -> psutil.Process | None:
    """The executor that the agent runs for this framework now."""
    for process in psutil.process_iter(["cmdline"]):
        try:
            is_one = (process.info["cmdline"] or [])[1:3] == ["-m", "scale_worker.executor"]
            if is_one and process.environ().get("MESOS_FRAMEWORK_ID") == framework.id:
                return process
        except psutil.Error:
            continue
    return None


def launch(framework: Framework, bench: Bench, ran: Path, number: int) -> None:
    variables = [{"name": "SCALE_EXECUTOR_IDLE_S", "value": str(IDLE_S)}]
    command = f"cd {CHECKOUT} && exec {sys.executable} -m scale_worker.executor"
    executor = {
        "executor_id": {"value": "scale"},
        "command": {"value": command, "environment": {"variables": variables}},
        "resources": [scalar("cpus", 0.1), scalar("mem", 64)],
    }
    spec = bench.spec(f"'echo {number} >> {ran}'", task_id=f"t-{number}", job_exe_id=number)
    data = base64.b64encode(spec.to_json().encode()).decode()
    framework.accept(framework.offer(), task(spec.task_id, executor=executor, data=data))


def updates(framework: Framework, number: int) -> list[dict[str, Any]]:
    """All updates of a task, the last is its end."""
    found: list[dict[str, Any]] = []
    while not found or found[-1]["state"] not in FINAL:
        status = framework.stream.next("UPDATE", timeout=PATIENCE_S)["update"]["status"]
        if "uuid" in status:
            framework.acknowledge(status)
        if status["task_id"]["value"] == f"t-{number}":
            found.append(status)
    return found


def test_a_launch_meets_an_executor_that_leaves(cluster: Cluster, tmp_path: Path) -> None:
    framework = Framework(cluster.master).registered()
    bench, ran = Bench(tmp_path), tmp_path / "ran"
    ended: dict[int, list[dict[str, Any]]] = {}
    for number in range(ROUNDS):
        process = executor_of(framework)
        if process is not None:
            process.send_signal(signal.SIGSTOP)
        launch(framework, bench, ran, number)
        if process is not None:
            time.sleep(IDLE_S + 0.5)  # the launch lies in its socket, and it has been idle for long enough
            process.send_signal(signal.SIGCONT)
        ended[number] = updates(framework, number)
    framework.call("TEARDOWN")
    executed = [int(line) for line in ran.read_text().split()]
    for number, seen in ended.items():
        last = seen[-1]
        if last["state"] == "TASK_FINISHED":
            assert executed.count(number) == 1
        else:
            assert executed.count(number) == 0, f"it ran, and was reported as {last}"
            said = last.get("reason", ""), last.get("message", "")
            failure = classify_task(TaskState(last["state"]), *said, has_started=len(seen) > 1)
            assert failure.lost, f"it would cost a try: {last}"
    assert ended[0][-1]["state"] == "TASK_FINISHED", "nobody leaves who has just begun"
