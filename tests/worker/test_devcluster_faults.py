"""Faults that can be ordered of the devcluster, against what a real master was recorded to do at such moments."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.devcluster_process import ECHO_EXECUTOR, Cluster, devcluster
from tests.mesos_client import Framework, scalar, task
from tests.mesos_shapes import recorded, same_shape
from tests.patience import wait_for

ECHO = {"executor_id": {"value": "echo"}, "command": {"value": ECHO_EXECUTOR}, "resources": [scalar("cpus", 0.1)]}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with devcluster(tmp_path_factory.mktemp("faults"), 4, 4096, 10000, "node-1", "--agents=2") as running:
        yield running


@pytest.fixture
def framework(cluster: Cluster) -> Iterator[Framework]:
    framework = Framework(cluster.master).registered()
    yield framework
    framework.call("TEARDOWN")


def work(task_id: str, data: str = "60") -> dict[str, Any]:
    return task(task_id, executor=ECHO, data=base64.b64encode(data.encode()).decode())


def offers_of_both(framework: Framework) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    while len(found) < 2:
        found |= {offer["agent_id"]["value"]: offer for offer in framework.stream.next("OFFERS")["offers"]["offers"]}
    return found


def run_on(framework: Framework, offer: dict[str, Any], *tasks: dict[str, Any]) -> list[int]:
    """Launch; the pids of the tasks' executors once all run."""
    framework.accept(offer, *tasks)
    pids: dict[str, int] = {}
    while len(pids) < len(tasks):
        status = framework.update()
        if status["state"] == "TASK_RUNNING":
            pids[status["task_id"]["value"]] = status["container_status"]["executor_pid"]
    return list(pids.values())


def test_each_agent_is_offered_by_itself(cluster: Cluster, framework: Framework) -> None:
    offers = offers_of_both(framework)
    agents = {agent["id"]: agent for agent in cluster.agents()}
    assert offers.keys() == agents.keys()
    for agent_id, offer in offers.items():
        assert offer["url"]["address"]["port"] == agents[agent_id]["port"]
        assert agents[agent_id]["state"] == "up"


def test_a_killed_agent_that_comes_back_goes_on(cluster: Cluster, framework: Framework) -> None:
    offers = offers_of_both(framework)
    agent_id, other = sorted(offers)
    (pid,) = run_on(framework, offers[agent_id], work("long"))
    held = framework.offer(lambda offer: offer["agent_id"]["value"] == agent_id)
    assert cluster.order(f"agents/{agent_id}/kill")["state"] == "down"
    rescinded = framework.stream.next("RESCIND")["rescind"]
    same_shape(recorded("agent_loss")["rescind"], {"type": "RESCIND", "rescind": rescinded})
    assert rescinded["offer_id"] == held["id"]
    port = next(agent["port"] for agent in cluster.agents() if agent["id"] == agent_id)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    framework.accept(held, work("late"))
    late = framework.update()
    assert (late["state"], late["reason"]) == ("TASK_LOST", "REASON_INVALID_OFFERS")

    assert cluster.order(f"agents/{agent_id}/return") == {**cluster.agents()[0], "id": agent_id, "state": "up"}
    again = framework.offer(lambda offer: offer["agent_id"]["value"] == agent_id)
    assert again["id"] != held["id"]
    framework.call("KILL", kill={"task_id": {"value": "long"}})
    until_subscribed(framework, "long")
    assert psutil.pid_exists(pid)
    assert other in offers


def until_subscribed(framework: Framework, task_id: str) -> None:
    """The executor is back with its agent: it got the KILL and said so."""
    assert framework.updates_of(task_id)[-1]["state"] == "TASK_KILLED"


def test_a_lost_agent_that_comes_back_was_not_the_end(cluster: Cluster, framework: Framework) -> None:
    offers = offers_of_both(framework)
    agent_id = min(offers)
    run_on(framework, offers[agent_id], work("long"), work("longer"))
    assert cluster.order(f"agents/{agent_id}/lose")["state"] == "lost"
    expected = recorded("agent_loss")
    lost = [framework.update() for _ in range(2)]
    for status in lost:
        same_shape(expected["lost"], status)
        assert status["message"] == expected["lost"]["message"]
    failure = framework.stream.next("FAILURE")
    same_shape(expected["failure"], failure)
    assert failure["failure"]["agent_id"]["value"] == agent_id
    framework.call("RECONCILE", reconcile={"tasks": [{"task_id": {"value": "long"}}]})
    same_shape(expected["reconciled"], framework.update())

    cluster.order(f"agents/{agent_id}/return")
    for status in [framework.update() for _ in range(2)]:
        same_shape(expected["returned"], status)
        assert status["message"] == expected["returned"]["message"]
    framework.call("KILL", kill={"task_id": {"value": "long"}})
    assert framework.updates_of("long")[-1]["state"] == "TASK_KILLED"


def test_an_agent_that_comes_back_as_another_has_lost_its_tasks(cluster: Cluster, framework: Framework) -> None:
    offers = offers_of_both(framework)
    agent_id, other = sorted(offers)
    (pid,) = run_on(framework, offers[agent_id], work("long"))
    cluster.order(f"agents/{agent_id}/kill")
    new = cluster.order(f"agents/{agent_id}/return", new_id=1)
    assert new["id"] not in {agent_id, other}
    lost = framework.update()
    assert (lost["state"], lost["reason"]) == ("TASK_LOST", "REASON_AGENT_REMOVED")
    offer = framework.offer(lambda offer: offer["agent_id"]["value"] == new["id"])
    run_on(framework, offer, work("again"))
    wait_for("its end", lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_an_agent_that_is_cut_off_for_a_moment(cluster: Cluster, framework: Framework) -> None:
    """Nobody is told; what its tasks say arrives late, and what is launched meanwhile is lost."""
    offers = offers_of_both(framework)
    agent_id = min(offers)
    run_on(framework, offers[agent_id], work("short", "0.3"))
    held = framework.offer(lambda offer: offer["agent_id"]["value"] == agent_id)
    assert cluster.order(f"agents/{agent_id}/partition")["state"] == "partitioned"
    framework.accept(held, work("late"))
    time.sleep(0.6)
    assert framework.stream.events.empty()
    assert cluster.order(f"agents/{agent_id}/return")["state"] == "up"
    updates = [framework.update() for _ in range(2)]
    ends = {status["task_id"]["value"]: status for status in updates}
    assert ends["short"]["state"] == "TASK_FINISHED"
    assert (ends["late"]["state"], ends["late"]["reason"]) == ("TASK_LOST", "REASON_RECONCILIATION")
    again = framework.offer(lambda offer: offer["agent_id"]["value"] == agent_id)
    run_on(framework, again, work("after"))


def test_an_agent_that_is_given_up_while_it_is_cut_off(cluster: Cluster, framework: Framework) -> None:
    offers = offers_of_both(framework)
    agent_id = min(offers)
    (pid,) = run_on(framework, offers[agent_id], work("long"))
    cluster.order(f"agents/{agent_id}/partition")
    assert cluster.order(f"agents/{agent_id}/lose")["state"] == "lost"
    assert framework.update()["state"] == "TASK_LOST"
    cluster.order(f"agents/{agent_id}/return")
    back = framework.update()
    assert (back["state"], back["reason"]) == ("TASK_RUNNING", "REASON_AGENT_REREGISTERED")
    framework.call("KILL", kill={"task_id": {"value": "long"}})
    assert framework.updates_of("long")[-1]["state"] == "TASK_KILLED"
    assert psutil.pid_exists(pid)


def test_all_is_told_when_a_partition_ends(cluster: Cluster, framework: Framework) -> None:
    offers = offers_of_both(framework)
    run_on(framework, offers[min(offers)], work("t", "0.3"))
    cluster.order("partition", seconds=1)
    time.sleep(0.6)
    assert framework.stream.events.empty(), "nothing gets through while it lasts"
    assert framework.updates_of("t")[-1]["state"] == "TASK_FINISHED"


def test_a_new_master_is_found_by_frameworks_and_then_by_agents(cluster: Cluster, framework: Framework) -> None:
    offers = offers_of_both(framework)
    run_on(framework, offers[min(offers)], work("long"))
    cluster.order("master/restart", seconds=0.5, agents=3)
    assert framework.stream.ends()
    call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": framework.info}}
    status, text = framework.post(call, {})
    assert (status, text) == (503, "Master has not finished recovery")
    while (again := Framework(cluster.master, framework.id)).stream.status == 503:
        time.sleep(0.1)
    again.registered()
    again.call("RECONCILE", reconcile={"tasks": [{"task_id": {"value": "long"}}]})
    offers_of_both(again)
    assert not [event for event in again.stream.seen if event["type"] == "UPDATE"], "no agent had found it yet"
    again.call("RECONCILE", reconcile={"tasks": [{"task_id": {"value": "long"}}]})
    assert again.update()["state"] == "TASK_RUNNING"
    again.call("TEARDOWN")


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("POST", "agents/nobody/kill", 404, "no agent nobody"),
        ("POST", "agents/{id}/return", 409, "is up already"),
        ("POST", "agents/{id}/dance", 404, "kill, partition, lose, return"),
        ("POST", "partition?seconds=long", 400, "seconds=long"),
        ("POST", "nothing", 404, "/devcluster/nothing"),
        ("GET", "partition", 405, "POST"),
    ],
)
def test_a_wrong_order_is_explained(cluster: Cluster, method: str, path: str, status: int, says: str) -> None:
    path = path.format(id=cluster.agents()[0]["id"])
    response = requests.request(method, f"http://{cluster.master}/devcluster/{path}", timeout=5)
    assert response.status_code == status
    assert says in response.text
    assert {agent["state"] for agent in cluster.agents()} == {"up"}


def test_several_agents_are_found_again_after_a_kill(tmp_path: Path) -> None:
    with devcluster(tmp_path, 4, 4096, 10000, "node-1", "--agents=2") as cluster:
        before = cluster.agents()
        framework = Framework(cluster.master).registered()
        run_on(framework, offers_of_both(framework)[before[1]["id"]], work("long"))
        cluster.kill()
        cluster.restart()
        assert cluster.agents() == before
        again = Framework(cluster.master, framework.id).registered()
        again.call("RECONCILE", reconcile={"tasks": []})
        assert again.update()["state"] == "TASK_RUNNING"
        again.call("TEARDOWN")
