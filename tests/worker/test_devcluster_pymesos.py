"""pymesos, unmodified, on both sides of the devcluster: its scheduler driver and its executor driver."""

from __future__ import annotations

import queue
import sys
from pathlib import Path
from typing import Any

from pymesos import MesosSchedulerDriver, Scheduler

from tests.devcluster_process import ROOT, devcluster
from tests.mesos_client import scalar, task

EXECUTOR = f"{sys.executable} {ROOT / 'tests' / 'fixtures' / 'pymesos_executor.py'}"


class Recorder(Scheduler):
    """Callbacks put what they were given on a queue, and no more."""

    def __init__(self) -> None:
        self.seen: queue.Queue[tuple[str, Any]] = queue.Queue()

    def registered(self, driver: Any, framework_id: Any, master_info: Any) -> None:
        self.seen.put(("registered", framework_id["value"]))

    def reregistered(self, driver: Any, master_info: Any) -> None:
        self.seen.put(("reregistered", master_info["port"]))

    def resourceOffers(self, driver: Any, offers: Any) -> None:
        self.seen.put(("offers", offers))

    def statusUpdate(self, driver: Any, update: Any) -> None:
        self.seen.put(("update", update))

    def until(self, kind: str) -> Any:
        while True:
            name, value = self.seen.get(timeout=10)
            if name == kind:
                return value


def driver_for(recorder: Recorder, master: str, framework_id: str | None = None) -> Any:
    info = {"user": "root", "name": "pymesos", "failover_timeout": 60, "checkpoint": True}
    if framework_id:
        info["id"] = {"value": framework_id}
    driver = MesosSchedulerDriver(recorder, info, master, use_addict=False, implicit_acknowledgements=False)
    driver.start()
    return driver


def test_a_framework_and_an_executor_on_pymesos(tmp_path: Path) -> None:
    count = 50
    with devcluster(tmp_path, cpus=16) as cluster:
        recorder = Recorder()
        driver = driver_for(recorder, cluster.master)
        framework_id = recorder.until("registered")
        offer = recorder.until("offers")[0]
        executor = {"executor_id": {"value": "py"}, "command": {"value": EXECUTOR}, "resources": [scalar("cpus", 0.1)]}
        tasks = [
            {**task(f"t-{number}", executor=executor, data="aGk="), "agent_id": offer["agent_id"]}
            for number in range(count)
        ]
        driver.launchTasks(offer["id"], tasks, {"refuse_seconds": 0})
        states: dict[str, list[str]] = {}
        while sum(found[-1] == "TASK_FINISHED" for found in states.values()) < count:
            update = recorder.until("update")
            states.setdefault(update["task_id"]["value"], []).append(update["state"])
            driver.acknowledgeStatusUpdate(update)
        assert states == {f"t-{number}": ["TASK_RUNNING", "TASK_FINISHED"] for number in range(count)}
        driver.stop(failover=True)
        driver.join()

        again = Recorder()
        driver = driver_for(again, cluster.master, framework_id)
        assert again.until("reregistered") == cluster.port
        driver.reconcileTasks([{"task_id": {"value": "t-0"}}])
        assert again.until("update")["state"] == "TASK_LOST"
        driver.stop()
        driver.join()
