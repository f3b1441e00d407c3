"""Deaths at one exact point, and what must be seen then. The processes are real; a trap kills them at an event."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from faults.system import System, signal_all, wait_for
from scale_core.domain import history
from scale_core.history import TRAP
from scale_server import postgres
from tests import prepared

pytestmark = pytest.mark.journey
PATIENCE_S = 90.0
RUNNING, ENDED_MEANWHILE = 200, 50


@dataclass
class Jobs:
    """Jobs that note each run in a file of their own, and end when their gate is opened."""

    system: System
    kinds: dict[str, int]

    def queue(self, kind: str, count: int = 1) -> list[int]:
        body = {"job_type_id": self.kinds[kind], "job_data": {"version": "1.0"}}
        return [self.system.post("queue/new-job/", body)["id"] for _ in range(count)]

    def open_gate(self, kind: str) -> None:
        """Whoever waits at the gate goes on, and whoever comes later does not wait."""
        gate = self.system.home / f"gate-{kind}"
        descriptor = os.open(gate, os.O_RDWR | os.O_NONBLOCK)
        opened = gate.with_suffix(".open")
        opened.touch()
        opened.replace(gate)
        os.close(descriptor)

    def runs(self, job_id: int) -> int:
        path = self.system.home / f"ran.{job_id}"
        return len(path.read_text().split()) if path.exists() else 0

    def count(self, jobs: list[int], status: str) -> int:
        return self.system.sql("SELECT count(*) FROM job WHERE id = ANY(%s) AND status = %s", jobs, status)[0][0]

    def until(self, jobs: list[int], status: str) -> None:
        wait_for(f"{len(jobs)} jobs {status}", lambda: self.count(jobs, status) == len(jobs), PATIENCE_S)

    def executions(self, jobs: list[int]) -> list[dict[str, Any]]:
        names = ("job_id", "id", "task_id", "status", "error")
        rows = self.system.sql(
            "SELECT x.job_id, x.id, x.task_id, x.status, e.name FROM job_exe x LEFT JOIN error e ON e.id = x.error_id "
            "WHERE x.job_id = ANY(%s) ORDER BY x.id",
            jobs,
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def events(self, kind: str, tasks: set[str]) -> list[str]:
        return [e.facts["task_id"] for e in self.system.events() if e.kind == kind and e.facts["task_id"] in tasks]


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    with prepared.system(SCALE_DEVCLUSTER_CPUS="16", SCALE_DEVCLUSTER_MEM="64000") as system:
        made = Jobs(system, {kind: make_type(system, kind) for kind in ("one", "early", "late")})
        yield made
        assert history.check_events(system.events()) == []


def make_type(system: System, kind: str) -> int:
    gate, ran = system.home / f"gate-{kind}", system.home / "ran"
    script = f"echo $SCALE_JOB_EXE_ID >> {ran}.$SCALE_JOB_ID"
    if kind != "one":
        os.mkfifo(gate)
        script += f"; cat {gate}"
    interface = {
        "version": "1.0", "command": "/bin/sh", "command_arguments": f"-c {shlex.quote(script)}",
        "input_data": [], "output_data": [],
    }  # fmt: skip
    small = {"cpus_required": 0.05, "mem_required": 16, "disk_out_const_required": 1}
    return int(system.post("job-types/", {"name": kind, "version": "1.0", "interface": interface, **small})["id"])


@contextmanager
def trap(system: System, kind: str) -> Iterator[Path]:
    path = system.history / f"{TRAP}{kind}"
    path.touch()
    yield path
    wait_for(f"somebody to die at {kind}", lambda: not path.exists(), PATIENCE_S)


def test_the_scheduler_dies_between_commit_and_launch(jobs: Jobs) -> None:
    """Mesos knows nothing of the attempt: it is lost, costs no try, and the job runs in a new one, once."""
    with trap(jobs.system, "committed"):
        queued = jobs.queue("one", 3)
    jobs.until(queued, "COMPLETED")

    executions = jobs.executions(queued)
    lost = [each for each in executions if each["status"] == "FAILED"]
    assert lost, "at least one was committed"
    assert {each["error"] for each in lost} == {"mesos-lost"}
    assert jobs.events("begun", {each["task_id"] for each in lost}) == []
    assert [jobs.runs(job_id) for job_id in queued] == [1, 1, 1]
    ((lost_sum,),) = jobs.system.sql("SELECT sum(num_lost) FROM job WHERE id = ANY(%s)", queued)
    assert lost_sum == len(lost), "no try was spent"


def test_the_scheduler_dies_after_launching(jobs: Jobs) -> None:
    """The next one takes the task over: the same attempt, one run."""
    with trap(jobs.system, "launched"):
        queued = jobs.queue("one", 3)
    jobs.until(queued, "COMPLETED")

    launched = {each["task_id"] for each in jobs.executions(queued)}
    assert set(jobs.events("launched", launched)), "one was launched by whoever died"
    assert [jobs.runs(job_id) for job_id in queued] == [1, 1, 1]
    assert len(jobs.executions(queued)) == 3


def test_tasks_end_while_no_scheduler_lives(jobs: Jobs) -> None:
    """200 run, 50 of them end meanwhile: the 50 ends arrive, once each, and the others run on in the same attempt."""
    early, late = jobs.queue("early", ENDED_MEANWHILE), jobs.queue("late", RUNNING - ENDED_MEANWHILE)
    wait_for("all to run", lambda: all(jobs.runs(job_id) for job_id in early + late), PATIENCE_S)
    schedulers = jobs.system.pids("scheduler")
    leader = jobs.system.leader()
    signal_all(schedulers, signal.SIGSTOP)
    tasks = {each["task_id"] for each in jobs.executions(early)}

    jobs.open_gate("early")
    wait_for("50 to end", lambda: len(jobs.events("ended", tasks)) == ENDED_MEANWHILE, PATIENCE_S)
    signal_all([leader], signal.SIGKILL)
    signal_all([pid for pid in schedulers if pid != leader], signal.SIGCONT)

    jobs.until(early, "COMPLETED")
    assert jobs.count(late, "RUNNING") == len(late)
    jobs.open_gate("late")
    jobs.until(late, "COMPLETED")
    assert {each["status"] for each in jobs.executions(early + late)} == {"COMPLETED"}
    assert len(jobs.executions(early + late)) == RUNNING
    assert {jobs.runs(job_id) for job_id in early + late} == {1}


def test_an_update_is_written_and_its_scheduler_dies_before_acknowledging(jobs: Jobs) -> None:
    """Mesos repeats it; that changes nothing."""
    with trap(jobs.system, "written"):
        queued = jobs.queue("one", 3)
    jobs.until(queued, "COMPLETED")

    assert [jobs.runs(job_id) for job_id in queued] == [1, 1, 1]
    assert len(jobs.executions(queued)) == 3


def test_the_worker_dies_after_its_commit(jobs: Jobs) -> None:
    """Celery gives its message to another, who finds nothing to finish."""
    with trap(jobs.system, "finished"):
        queued = jobs.queue("one", 3)
    jobs.until(queued, "COMPLETED")

    finished = [id_ for e in jobs.system.events() if e.kind == "finished" for id_ in e.facts["job_exe_ids"]]
    assert len(finished) == len(set(finished))
    assert len(jobs.executions(queued)) == 3


def test_the_api_says_what_is_wrong_while_postgresql_is_away(jobs: Jobs) -> None:
    postgres.stop(jobs.system.home, "immediate")
    try:
        head = {"Accept": "application/problem+json"}
        answers = {
            path: jobs.system.request("GET", path, headers=head) for path in ("jobs/", "queue/status/", "nodes/")
        }
    finally:
        time.sleep(1)
        postgres.start(jobs.system.home)

    for answer in answers.values():
        assert answer.status_code == requests.codes.service_unavailable
        assert "Retry-After" in answer.headers
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == requests.codes.service_unavailable
    wait_for("answers", lambda: jobs.system.request("GET", "jobs/").ok, PATIENCE_S)
    jobs.until(jobs.queue("one"), "COMPLETED")
