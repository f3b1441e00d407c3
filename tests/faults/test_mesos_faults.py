"""Faults of Mesos under a whole Scale: agents and masters that go and come back, updates and offers that are stale."""

from __future__ import annotations

import json
import time
import uuid
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

pytestmark = pytest.mark.journey
SCRIPT = "echo $SCALE_JOB_ID >> {begun}; sleep {seconds}; echo $SCALE_JOB_ID >> {ended}"


@dataclass
class Cluster:
    """A running server whose jobs may be tried once: what costs a try fails them."""

    scale: Scale
    quick: dict[str, Any]
    slow: dict[str, Any]

    def order(self, path: str, body: Any = None, **query: Any) -> Any:
        response = requests.post(f"{self._devcluster}/{path}", params=query, json=body, timeout=10)
        assert response.ok, f"{path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def look(self, path: str) -> Any:
        return requests.get(f"{self._devcluster}/{path}", timeout=10).json()

    @property
    def _devcluster(self) -> str:
        port = json.loads((self.scale.home / "ports.json").read_text())["devcluster"]
        return f"http://127.0.0.1:{port}/devcluster"

    @property
    def agent_id(self) -> str:
        return str(self.look("agents")[0]["id"])

    def lines(self, name: str) -> Counter[int]:
        path = self.scale.home / name
        return Counter(map(int, path.read_text().split())) if path.exists() else Counter()

    def begun(self, jobs: list[int]) -> None:
        wait_for("all to begin", lambda: set(jobs) <= self.lines("begun").keys())

    def completed(self, jobs: list[int]) -> list[dict[str, Any]]:
        """All of them, once each is COMPLETED and nothing of them is left over."""
        found = [self.scale.until(job_id, "COMPLETED", "FAILED") for job_id in jobs]
        assert {job["status"] for job in found} == {"COMPLETED"}, [job["job_exes"] for job in found]
        ids = ", ".join(map(str, jobs))
        open_rows = f"SELECT id FROM job_exe WHERE job_id IN ({ids}) AND (status = 'RUNNING' OR status = 'QUEUED')"
        assert self.scale.run_sql(open_rows) == []
        return found

    def framework_id(self) -> str:
        ((framework_id,),) = self.scale.run_sql("SELECT framework_id FROM scheduler")
        return str(framework_id)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("mesos-faults")
    files = {"begun": home / "begun", "ended": home / "ended"}
    try:
        with scale_process.scale(home, SCALE_DEVCLUSTER_CPUS="4", SCALE_RECONCILE_S="2") as scale:
            quick, slow = (
                scale.make_job_type(
                    name, "/bin/sh", f"-c '{SCRIPT.format(seconds=seconds, **files)}'", max_tries=1, cpus_required=0.1
                )
                for name, seconds in (("quick", 0.1), ("slow", 4))
            )
            made = Cluster(scale, quick, slow)
            made.completed([scale.queue(quick)])
            yield made
    finally:
        postgres.destroy(home)


def errors_of(jobs: list[dict[str, Any]]) -> Counter[str]:
    return Counter(execution["error"]["name"] for job in jobs for execution in job["job_exes"] if execution["error"])


def test_an_agent_dies_and_comes_back_as_another(cluster: Cluster) -> None:
    """Its tasks are lost, which costs no try, and work goes on under the new id of the same node."""
    jobs = [cluster.scale.queue(cluster.slow) for _ in range(3)]
    cluster.begun(jobs)
    old = cluster.agent_id
    cluster.order(f"agents/{old}/kill")
    new = cluster.order(f"agents/{old}/return", new_id=1)["id"]
    found = cluster.completed(jobs)
    assert {job["num_exes"] for job in found} == {2}
    assert errors_of(found).keys() <= {"node-lost", "mesos-lost"}
    assert cluster.lines("ended").items() >= dict.fromkeys(jobs, 1).items(), "none came to its end twice"
    nodes = cluster.scale.run_sql("SELECT agent_id FROM node WHERE archived IS NULL")
    assert nodes == [(new,)]


@pytest.mark.parametrize("taken", ["kill", "partition"])
def test_an_agent_is_away_for_a_moment(cluster: Cluster, taken: str) -> None:
    """Its executor goes on, and nobody notices."""
    jobs = [cluster.scale.queue(cluster.slow) for _ in range(3)]
    cluster.begun(jobs)
    cluster.order(f"agents/{cluster.agent_id}/{taken}")
    time.sleep(1)
    cluster.order(f"agents/{cluster.agent_id}/return")
    found = cluster.completed(jobs)
    assert {job["num_exes"] for job in found} == {1}
    assert cluster.lines("ended").items() >= dict.fromkeys(jobs, 1).items()


@pytest.mark.parametrize("taken", ["kill", "partition"])
def test_an_agent_that_was_given_up_comes_back_with_its_tasks(cluster: Cluster, taken: str) -> None:
    """They were lost and are run again; what lived on is ended, so that no job runs twice for long."""
    jobs = [cluster.scale.queue(cluster.slow) for _ in range(2)]
    cluster.begun(jobs)
    cluster.order(f"agents/{cluster.agent_id}/{taken}")
    cluster.order(f"agents/{cluster.agent_id}/lose")
    for job_id in jobs:
        wait_for("the loss to be noted", lambda job=job_id: cluster.scale.job(job)["num_exes"] == 2)
    cluster.order(f"agents/{cluster.agent_id}/return")
    found = cluster.completed(jobs)
    assert errors_of(found).keys() <= {"node-lost", "mesos-lost"}
    assert {job["num_exes"] for job in found} == {2}


@pytest.mark.parametrize("order", ["frameworks/cut", "partition?seconds=3", "master/restart?seconds=2&agents=2"])
def test_the_master_is_away(cluster: Cluster, order: str) -> None:
    """The framework keeps its id, what runs goes on, and what waits is launched afterwards; nothing runs twice."""
    framework_id = cluster.framework_id()
    running = [cluster.scale.queue(cluster.slow) for _ in range(3)]
    cluster.begun(running)
    cluster.order(order)
    waiting = [cluster.scale.queue(cluster.quick) for _ in range(5)]
    found = cluster.completed([*running, *waiting])
    assert {job["num_exes"] for job in found if job["id"] in running} == {1}
    assert cluster.lines("ended").items() >= dict.fromkeys([*running, *waiting], 1).items()
    assert cluster.framework_id() == framework_id


@pytest.mark.parametrize("state", ["TASK_RUNNING", "TASK_FAILED", "TASK_LOST", "TASK_STARTING"])
def test_an_end_is_final(cluster: Cluster, state: str) -> None:
    """What Mesos says later, out of order and twice, is acknowledged and noted, and changes nothing."""
    (job,) = cluster.completed([cluster.scale.queue(cluster.quick)])
    ((task_id, row),) = task_and_row(cluster, job["id"])
    marker = b64encode(uuid.uuid4().bytes).decode()
    late = {
        "task_id": {"value": task_id},
        "agent_id": {"value": cluster.agent_id},
        "state": state,
        "source": "SOURCE_EXECUTOR",
        "uuid": marker,
    }
    for _ in range(2):
        cluster.order("updates", late)
    wait_for("its acknowledgement", lambda: marker in cluster.look("acknowledgements"))
    assert f"task {task_id} of execution" in cluster.scale.log("scheduler")
    assert f"ignored: {state}" in cluster.scale.log("scheduler")
    assert task_and_row(cluster, job["id"]) == [(task_id, row)]
    again = cluster.scale.job(job["id"])
    assert (again["status"], again["num_exes"], again["ended"]) == ("COMPLETED", 1, job["ended"])


def task_and_row(cluster: Cluster, job_id: int) -> list[Any]:
    return cluster.scale.run_sql(f"SELECT task_id, row_to_json(e)::text FROM job_exe e WHERE job_id = {job_id}")


@contextmanager
def offers_are_held(cluster: Cluster) -> Iterator[None]:
    """While something waits that fits nowhere, the scheduler keeps what it is offered for a while."""
    name = f"too-large-{time.monotonic_ns()}"
    too_large = cluster.scale.queue(cluster.scale.make_job_type(name, "/bin/true", cpus_required=1000.0))
    try:
        wait_for("it to wait", lambda: cluster.scale.job(too_large)["status"] == "QUEUED")
        time.sleep(1)
        yield
    finally:
        cluster.scale.patch(f"jobs/{too_large}/", {"status": "CANCELED"})


def test_offers_are_rescinded_between_match_and_launch(cluster: Cluster) -> None:
    """The launch comes too late: what was on these offers is lost before it began, and launched on others at once."""
    with offers_are_held(cluster):
        for _ in range(5):
            cluster.order("partition", seconds=2)
            cluster.order(f"agents/{cluster.agent_id}/kill")
            cluster.order(f"agents/{cluster.agent_id}/return")
            jobs = [cluster.scale.queue(cluster.quick) for _ in range(3)]
            found = cluster.completed(jobs)
            assert errors_of(found).keys() <= {"mesos-lost"}
            assert cluster.lines("ended").items() >= dict.fromkeys(jobs, 1).items()
            if errors_of(found):
                return
    raise AssertionError("the scheduler never held an offer")


def test_offers_that_are_held_long_are_given_back_and_never_launched_on(cluster: Cluster) -> None:
    """A job that fits nowhere makes the scheduler hold and return offers again and again; others are launched well."""
    with offers_are_held(cluster):
        jobs = []
        for _ in range(4):
            jobs.append(cluster.scale.queue(cluster.quick))
            time.sleep(1.7)  # with the offers' 5 s this meets them young and old
        found = cluster.completed(jobs)
    assert errors_of(found) == Counter()
    assert {job["num_exes"] for job in found} == {1}
