"""Any process may be killed at any moment: every job still ends COMPLETED, once, and its product is registered once."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from scale_server import postgres
from scale_server import redis as redis_server
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

pytestmark = pytest.mark.journey
JOBS = 30
# The end of the command is noted outside of Scale; what it is given to do takes long enough to be interrupted.
SCRIPT = "sleep 0.3; echo $SCALE_JOB_ID > made.txt; echo ARTIFACT:made:made.txt; echo $SCALE_JOB_ID >> {ran}"
LOST = {"mesos-lost", "node-lost"}  # none of these costs a try
NOT_STARTED = {"task-launch"}  # the executor died before the job began


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scale]:
    home = tmp_path_factory.mktemp("crashes")
    try:
        with scale_process.scale(home) as running:
            yield running
    finally:
        postgres.destroy(home)


@dataclass
class Load:
    """Jobs that each make one file, note their end in `ran`, and take some time."""

    scale: Scale
    job_type: dict[str, Any]
    workspace: int
    root: Path
    ran: Path

    def queue(self, count: int = JOBS) -> list[int]:
        made = [{"name": "made", "workspace_id": self.workspace}]
        return [self.scale.queue(self.job_type, output_data=made) for _ in range(count)]

    def lines(self) -> Counter[int]:
        """How often each job's command came to its end."""
        return Counter(map(int, self.ran.read_text().split())) if self.ran.exists() else Counter()

    def count(self, jobs: list[int], status: str) -> int:
        ids = ", ".join(map(str, jobs))
        ((count,),) = self.scale.run_sql(f"SELECT count(*) FROM job WHERE id IN ({ids}) AND status = '{status}'")
        return int(count)

    def until_some_are(self, jobs: list[int], status: str, count: int = 3) -> None:
        wait_for(f"{count} jobs to be {status}", lambda: self.count(jobs, status) >= count)

    def verify(self, jobs: list[int], errors: set[str]) -> dict[int, dict[str, Any]]:
        """Wait for the end of all, and see that each is COMPLETED once, with one product, and nothing is left over."""
        try:
            wait_for("all to end", lambda: self.count(jobs, "COMPLETED") + self.count(jobs, "FAILED") == len(jobs))
        except AssertionError as error:
            raise AssertionError(f"{error}; open are {self.left_over()}") from None
        found = {job_id: self.scale.job(job_id) for job_id in jobs}
        assert {job["status"] for job in found.values()} == {"COMPLETED"}, [job["reason"] for job in found.values()]
        for job_id, job in found.items():
            ends = Counter(execution["status"] for execution in job["job_exes"])
            assert ends == Counter(COMPLETED=1, FAILED=job["num_exes"] - 1)
            assert {execution["error"]["name"] for execution in job["job_exes"] if execution["error"]} <= errors
            (product,) = job["products"]
            assert self.scale.content(product["id"]) == f"{job_id}\n".encode()
        assert self.left_over() == [], "no execution, no queue entry and no task without its end"
        return found

    def verify_once(self, jobs: list[int]) -> dict[int, dict[str, Any]]:
        """And no command came to its end twice."""
        found = self.verify(jobs, LOST)
        lines = self.lines()
        assert {job_id: lines[job_id] for job_id in jobs} == dict.fromkeys(jobs, 1)
        return found

    def begun(self) -> set[int]:
        """Jobs whose executor has said that it began: one whose launch got lost may be launched again."""
        return {job_id for (job_id,) in self.scale.run_sql("SELECT job_id FROM job_exe WHERE pre_started IS NOT NULL")}

    def left_over(self) -> list[Any]:
        kind = self.job_type["id"]
        return self.scale.run_sql(
            "SELECT e.id, e.status, e.task_id, e.task_ended FROM job_exe e JOIN job j ON j.id = e.job_id "
            f"WHERE j.job_type_id = {kind} AND e.status IN ('QUEUED', 'RUNNING') UNION ALL "
            f"SELECT job_exe_id, 'in the queue', NULL, NULL FROM queue WHERE job_type_id = {kind}"
        )


@pytest.fixture(scope="module")
def load(scale: Scale) -> Load:
    workspace, root = scale.make_workspace("made")
    ran = scale.home / "ran"
    outputs = [{"name": "made", "type": "file", "media_type": "text/plain"}]
    job_type = scale.make_job_type("load", "/bin/sh", f"-c '{SCRIPT.format(ran=ran)}'", outputs=outputs)
    made = Load(scale, job_type, workspace, root, ran)
    made.verify_once(made.queue(2))
    return made


def test_the_scheduler_is_killed_between_commit_and_launch(scale: Scale, load: Load) -> None:
    """Mesos gets the launch only after the death of who sent it, or refuses it: nobody but PostgreSQL knows."""
    with offers_are_held(scale), frozen(scale, "devcluster"):
        jobs = started_without_mesos(load)
        scale.kill("scheduler")
    load.verify_once(jobs)


def test_a_launch_that_never_arrives(scale: Scale, load: Load) -> None:
    """The scheduler dies between commit and launch, and Mesos with what it was told last."""
    with offers_are_held(scale), frozen(scale, "devcluster"):
        jobs = started_without_mesos(load)
        started = load.count(jobs, "RUNNING")
        scale.kill("scheduler")
        scale.kill("devcluster")
    found = load.verify_once(jobs)
    again = [job for job in found.values() if job["num_exes"] == 2]
    assert len(again) >= started, "what was written down and never launched is launched again"


def test_the_scheduler_is_killed_while_jobs_run(scale: Scale, load: Load) -> None:
    """They do not notice."""
    jobs = load.queue()
    wait_for("some to begin", lambda: load.begun() & set(jobs))
    begun = load.begun() & set(jobs)
    scale.kill("scheduler")
    found = load.verify_once(jobs)
    assert {found[job_id]["num_exes"] for job_id in begun} == {1}


def test_the_executor_is_killed_in_mid_job(scale: Scale, load: Load) -> None:
    """Its jobs are gone with it and run again; nothing but their last line tells."""
    jobs = load.queue()
    load.until_some_are(jobs, "COMPLETED")

    def is_at_work() -> bool:
        """Whether it was stopped with jobs whose end it has told nobody; if not, it goes on and gets more to do."""
        scale.kill("executor", signal.SIGSTOP)
        time.sleep(0.5)  # what it has told is written down
        if load.count(jobs, "RUNNING"):
            return True
        scale.kill("executor", signal.SIGCONT)
        jobs.extend(load.queue(10))
        return False

    wait_for("the executor to be at work", is_at_work, pause_s=0.3)
    scale.kill("executor")
    found = load.verify(jobs, LOST | NOT_STARTED)
    again = {job_id for job_id, job in found.items() if job["num_exes"] > 1}
    assert again, "some were running"
    lines = load.lines()
    for job_id in jobs:
        assert 1 <= lines[job_id] <= found[job_id]["num_exes"]


def test_the_workers_are_killed_while_they_finish_executions(scale: Scale, load: Load) -> None:
    jobs = load.queue()
    for completed in (1, 10):
        load.until_some_are(jobs, "COMPLETED", completed)
        scale.kill("worker")
    found = load.verify_once(jobs)
    assert {job["num_exes"] for job in found.values()} == {1}


def test_mesos_is_killed_and_comes_back(scale: Scale, load: Load) -> None:
    """Its executor keeps on working and delivers later what it has to say."""
    jobs = load.queue()
    wait_for("some to begin", lambda: load.begun() & set(jobs))
    begun, executors = load.begun() & set(jobs), scale.pids("executor")
    scale.kill("devcluster")
    found = load.verify_once(jobs)
    assert scale.pids("executor") == executors
    assert {found[job_id]["num_exes"] for job_id in begun} == {1}


def test_redis_loses_everything_again_and_again(scale: Scale, load: Load) -> None:
    client = redis.Redis.from_url(redis_server.url(scale.home))
    jobs = load.queue()
    while load.count(jobs, "COMPLETED") < len(jobs) // 2:
        client.flushall()
        time.sleep(0.05)
    client.close()
    found = load.verify_once(jobs)
    assert {job["num_exes"] for job in found.values()} == {1}


def test_everything_is_killed_at_once(scale: Scale, load: Load) -> None:
    jobs = load.queue()
    load.until_some_are(jobs, "COMPLETED")
    for name in ("scheduler", "worker", "beat", "api", "executor", "devcluster"):
        scale.kill(name)
    postgres.stop(scale.home, "immediate")
    redis_server.stop(scale.home)
    wait_for("the API", lambda: answers(scale))
    load.verify(jobs, LOST | NOT_STARTED)


def test_what_was_stored_is_what_is_registered(scale: Scale, load: Load) -> None:
    """After all of it: each file in the workspace is a product, but for those of attempts that were cut off."""
    products = scale.run_sql("SELECT file_path FROM scale_file WHERE file_type = 'PRODUCT'")
    stored = {str(path.relative_to(load.root)) for path in load.root.rglob("*.txt")}
    assert {path for (path,) in products} <= stored
    assert len(products) == len(set(products)) == len(scale.results("jobs/", job_type_name="load", status="COMPLETED"))


def answers(scale: Scale) -> bool:
    try:
        return scale.request("GET", "jobs/").ok
    except OSError:
        return False


@contextmanager
def offers_are_held(scale: Scale) -> Iterator[None]:
    """While something waits that fits nowhere, the scheduler keeps what it is offered for a while."""
    name = f"too-large-{time.monotonic_ns()}"
    too_large = scale.queue(scale.make_job_type(name, "/bin/true", cpus_required=100_000.0))

    def reason() -> str | None:
        rows = scale.get("queue/status/")["results"]
        return next((row["reason"] for row in rows if row["job_type"]["name"] == name), None)

    wait_for("the scheduler to hold an offer", reason)
    try:
        yield
    finally:
        scale.patch(f"jobs/{too_large}/", {"status": "CANCELED"})


@contextmanager
def frozen(scale: Scale, name: str) -> Iterator[None]:
    pids = scale.pids(name)
    scale.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        if scale.pids(name) == pids:
            scale.kill(name, signal.SIGCONT)


def started_without_mesos(load: Load) -> list[int]:
    """Jobs that the scheduler has written down as RUNNING while Mesos hears nothing."""
    jobs: list[int] = []
    for _ in range(10):
        jobs += load.queue(10)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if load.count(jobs, "RUNNING"):
                return jobs
            time.sleep(0.05)
        scale = load.scale  # it held no offer at that moment: let Mesos make one
        scale.kill("devcluster", signal.SIGCONT)
        time.sleep(1.5)
        scale.kill("devcluster", signal.SIGSTOP)
    raise AssertionError("the scheduler never held an offer")
