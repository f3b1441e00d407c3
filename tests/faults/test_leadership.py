"""Two offer handlers, real processes: one leads; a leader that is stopped is deposed, and harmless when it wakes up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from faults.system import signal_all
from scale_core.domain import history
from scale_core.domain.history import Event
from scale_core.history import HALT
from scale_core.settings import CHECKOUT
from scale_server import postgres
from tests import prepared
from tests.faults.test_points import Jobs, make_type
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

pytestmark = pytest.mark.journey
ACTS = {"committed", "launched", "written"}


@pytest.fixture
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scale]:
    home = tmp_path_factory.mktemp("leadership")
    try:
        with scale_process.scale(home, SCALE_HISTORY_DIR=str(home / "history")) as running:
            yield running
    finally:
        postgres.destroy(home)


@pytest.fixture
def standby(scale: Scale) -> Iterator[subprocess.Popen[bytes]]:
    """A second offer handler in the surroundings of the first."""
    (first,) = scale.pids("scheduler")
    with (scale.home / "logs" / "standby.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scale_worker.mesos"],
            cwd=CHECKOUT, env=psutil.Process(first).environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    yield process
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(30)


def events(scale: Scale) -> list[Event]:
    lines = [line for path in Path(scale.home / "history").glob("*.jsonl") for line in path.read_bytes().splitlines()]
    return sorted(history.parse(lines), key=lambda event: event.at)


def epoch(scale: Scale) -> int:
    ((number,),) = scale.run_sql("SELECT epoch FROM scheduler")
    return int(number)


def test_a_stopped_leader_is_deposed_and_does_nothing_when_it_wakes_up(
    scale: Scale, standby: subprocess.Popen[bytes]
) -> None:
    wait_for("the second one to stand by", lambda: "another offer handler leads" in scale.log("standby"))
    ran = scale.home / "ran"
    job_type = scale.make_job_type("counted", "/bin/sh", f"-c 'sleep 0.2; echo $SCALE_JOB_ID >> {ran}'")
    (leader,) = [pid for pid in scale.pids("scheduler") if pid != standby.pid]
    before = epoch(scale)
    jobs = [scale.queue(job_type) for _ in range(20)]
    wait_for("some to have run", ran.exists)

    os.kill(leader, signal.SIGSTOP)
    try:
        jobs += [scale.queue(job_type) for _ in range(5)]
        wait_for("the standby to lead", lambda: epoch(scale) > before, 30)
        for job_id in jobs:
            scale.until(job_id, "COMPLETED")
        jobs += [scale.queue(job_type) for _ in range(5)]
    finally:
        os.kill(leader, signal.SIGCONT)

    wait_for("the first one to stand by", lambda: "standing by" in scale.log("scheduler"))
    jobs += [scale.queue(job_type) for _ in range(5)]
    for job_id in jobs:
        scale.until(job_id, "COMPLETED")
    assert sorted(map(int, ran.read_text().split())) == jobs, "each ran once"
    happened = events(scale)
    (second,) = [event for event in happened if event.kind == "leading" and event.pid == standby.pid]
    late = [event for event in happened if event.pid == leader and event.at > second.at]
    assert [event for event in late if event.kind == "launched"] == []
    # stopped right after a commit, it notes it when it wakes up; the commit itself must be older than the new epoch
    noted = {str(event.facts["task_id"]) for event in late if event.kind == "committed"}
    started = scale.run_sql("SELECT task_id, started FROM job_exe WHERE task_id IS NOT NULL")
    took_over = datetime.fromisoformat(str(second.facts["clock"]))
    assert [task_id for task_id, at in started if task_id in noted and at > took_over] == []
    assert [e for e in happened if e.pid == standby.pid and e.kind in ACTS and e.at < second.at] == []

    standby.kill()
    wait_for("the first one to lead again", lambda: epoch(scale) > before + 1)
    scale.until(scale.queue(job_type), "COMPLETED")
    assert leader in scale.pids("scheduler"), "it is the same process"


def test_a_leader_that_is_stopped_between_its_commit_and_its_launch_never_launches(
    scale: Scale, standby: subprocess.Popen[bytes]
) -> None:
    """Stopped at that very point it has all it needs to launch when it wakes up, but for the epoch."""
    wait_for("the second one to stand by", lambda: "another offer handler leads" in scale.log("standby"))
    ran = scale.home / "ran"
    job_type = scale.make_job_type("counted", "/bin/sh", f"-c 'echo $SCALE_JOB_ID >> {ran}'")
    scale.until(scale.queue(job_type), "COMPLETED")
    (leader,) = [pid for pid in scale.pids("scheduler") if pid != standby.pid]
    before = epoch(scale)

    (scale.home / "history" / f"{HALT}committed").touch()
    job_id = scale.queue(job_type)
    wait_for("the leader to stop", lambda: psutil.Process(leader).status() == psutil.STATUS_STOPPED)
    try:
        wait_for("the standby to lead", lambda: epoch(scale) > before, 30)
        job = scale.until(job_id, "COMPLETED", "FAILED")
    finally:
        os.kill(leader, signal.SIGCONT)
    wait_for("the first one to stand by", lambda: "standing by" in scale.log("scheduler"))
    last = scale.until(scale.queue(job_type), "COMPLETED")

    assert (job["status"], job["num_exes"]) == ("COMPLETED", 2)
    assert [each["error"]["name"] for each in job["job_exes"] if each["error"]] == ["mesos-lost"]
    (lost,) = [
        row[0] for row in scale.run_sql(f"SELECT task_id FROM job_exe WHERE job_id={job_id} AND status='FAILED'")
    ]
    happened = events(scale)
    of_it = [(e.kind, e.pid) for e in happened if e.facts.get("task_id") == lost]
    assert of_it == [("committed", leader), ("written", standby.pid)], "it was never launched, and so is lost"
    (second,) = [event for event in happened if event.kind == "leading" and event.pid == standby.pid]
    assert [e for e in happened if e.pid == leader and e.at > second.at and e.kind in ACTS] == []
    assert sorted(map(int, ran.read_text().split()))[-2:] == [job_id, last["id"]], "each ran once"


def test_of_two_that_start_at_once_one_leads_and_the_other_takes_over() -> None:
    with prepared.system() as system:
        jobs = Jobs(system, {"one": make_type(system, "one")})
        jobs.until(jobs.queue("one", 5), "COMPLETED")
        both, leader = system.pids("scheduler"), system.leader()
        assert len(both) == 2
        assert [event.pid for event in system.events() if event.kind == "leading"] == [leader]

        signal_all([leader], signal.SIGKILL)
        queued = jobs.queue("one", 5)
        jobs.until(queued, "COMPLETED")

        (other,) = set(both) - {leader}
        assert system.leader() == other
        assert [jobs.runs(job_id) for job_id in queued] == [1] * 5
        leading = 0
        for event in system.events():
            leading = event.pid if event.kind == "leading" else leading
            assert event.kind not in ACTS or event.pid == leading, event
        assert history.check_events(system.events()) == []
