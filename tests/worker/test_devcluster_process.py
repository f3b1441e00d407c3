"""The devcluster as a process: what a kill -9, a SIGTERM and a taken port do."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.devcluster_process import ECHO_EXECUTOR, ROOT, devcluster, free_ports
from tests.mesos_client import Framework, cpus_of, scalar, task

ECHO = {"executor_id": {"value": "echo"}, "command": {"value": ECHO_EXECUTOR}, "resources": [scalar("cpus", 0.1)]}


def work(task_id: str, data: str) -> dict[str, Any]:
    return task(task_id, executor=ECHO, data=base64.b64encode(data.encode()).decode())


def test_a_killed_devcluster_adopts_what_lived_on(tmp_path: Path) -> None:
    with devcluster(tmp_path) as cluster:
        framework = Framework(cluster.master).registered()
        offer = framework.offer()
        framework.accept(offer, work("long", "60"), work("ends-meanwhile", "0.5"), task("command", "sleep 100"))
        states = [framework.update() for _ in range(4)]
        pid = next(s for s in states if s["task_id"]["value"] == "long")["container_status"]["executor_pid"]
        cluster.kill()
        assert framework.stream.ends()
        cluster.restart()

        again = Framework(cluster.master, framework.id).registered()
        ended: dict[str, dict[str, Any]] = {}
        while len(ended) < 2:
            status = again.update()
            if status["state"] in {"TASK_FINISHED", "TASK_FAILED"}:
                ended[status["task_id"]["value"]] = status
        assert ended["ends-meanwhile"]["state"] == "TASK_FINISHED"
        assert (ended["command"]["state"], ended["command"]["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
        again.call("RECONCILE", reconcile={"tasks": [{"task_id": {"value": name}} for name in ("long", "command")]})
        answers = {s["task_id"]["value"]: s for s in (again.update() for _ in range(2))}
        assert answers["long"]["state"] == "TASK_RUNNING"
        assert answers["command"]["state"] == "TASK_LOST"

        fresh = again.offer(lambda offer: cpus_of(offer) == 3.8)
        assert fresh["agent_id"] == offer["agent_id"]
        again.accept(fresh, work("after", "x"))
        after = again.updates_of("after")[-1]
        assert after["container_status"]["executor_pid"] == pid
        again.call("KILL", kill={"task_id": {"value": "long"}})
        assert again.updates_of("long")[-1]["state"] == "TASK_KILLED"


def test_executors_that_died_with_it_are_reported(tmp_path: Path) -> None:
    with devcluster(tmp_path) as cluster:
        framework = Framework(cluster.master).registered()
        framework.accept(framework.offer(), work("t", "60"))
        executor = psutil.Process(framework.update()["container_status"]["executor_pid"])
        cluster.kill()
        executor.kill()
        cluster.restart()
        again = Framework(cluster.master, framework.id).registered()
        last = again.updates_of("t")[-1]
        assert (last["state"], last["reason"]) == ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
        assert again.offer()["resources"][1]["scalar"]["value"] == 4.0
        again.call("TEARDOWN")
        cluster.kill()
        cluster.restart()
        assert Framework(cluster.master, framework.id).stream.next()["error"]["message"] == "Framework has been removed"


def test_sigterm_ends_everything(tmp_path: Path) -> None:
    with devcluster(tmp_path) as cluster:
        framework = Framework(cluster.master).registered()
        framework.accept(framework.offer(), work("t", "60"), task("c", "sleep 61; true"))
        pids = {framework.update()["container_status"]["executor_pid"] for _ in range(3)}
        assert cluster.stop() == 0
        assert not [pid for pid in pids if psutil.pid_exists(pid)]
        assert framework.stream.ends()


def test_an_executor_that_ignores_its_shutdown_is_killed(tmp_path: Path) -> None:
    with devcluster(tmp_path) as cluster:
        framework = Framework(cluster.master).registered()
        framework.accept(
            framework.offer(), task("c", f"trap '' TERM; touch {tmp_path}/trapped; while :; do sleep 0.1; done")
        )
        pid = framework.update()["container_status"]["executor_pid"]
        framework.update()
        while not (tmp_path / "trapped").exists():
            time.sleep(0.05)
        assert cluster.stop() == 0
        assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("taken", ["port", "agent port", "work directory"])
def test_what_is_taken_is_said_in_one_line(tmp_path: Path, taken: str) -> None:
    with devcluster(tmp_path) as cluster:
        one, two = free_ports(2)
        port = cluster.port if taken == "port" else one
        agent_port = cluster.agent_port if taken == "agent port" else two
        work_dir = tmp_path if taken == "work directory" else tmp_path / "other"
        command = [sys.executable, "-m", "scale_worker.devcluster", f"--port={port}", f"--agent-port={agent_port}"]
        result = subprocess.run(
            [*command, f"--work-dir={work_dir}"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
        )
        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1
        assert (
            "in use" if taken == "work directory" else str(cluster.port if taken == "port" else agent_port)
        ) in result.stderr
        assert requests.get(f"http://{cluster.master}/health", timeout=5).ok
