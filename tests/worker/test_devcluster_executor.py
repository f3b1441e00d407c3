"""The executor API of the devcluster, with a real executor, against recordings of a real agent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.devcluster_process import ECHO_EXECUTOR, Cluster, devcluster
from tests.mesos_client import Framework, Stream, cpus_of, scalar, task
from tests.mesos_shapes import recorded, same_shape
from tests.patience import wait_for

RECORDED = recorded("executor_api")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with devcluster(tmp_path_factory.mktemp("devcluster")) as running:
        yield running


@pytest.fixture
def framework(cluster: Cluster) -> Iterator[Framework]:
    framework = Framework(cluster.master, capabilities=[{"type": "GPU_RESOURCES"}]).registered()
    yield framework
    framework.call("TEARDOWN")


def executor(name: str, command: str = ECHO_EXECUTOR, cpus: float = 0.1) -> dict[str, Any]:
    resources = [scalar("cpus", cpus), scalar("mem", 64)]
    return {"executor_id": {"value": name}, "command": {"value": command}, "resources": resources}


def work(task_id: str, data: str, name: str = "echo") -> dict[str, Any]:
    return task(task_id, executor=executor(name), data=base64.b64encode(data.encode()).decode())


def test_one_executor_runs_many_tasks_and_lives_on(framework: Framework) -> None:
    framework.accept(framework.offer(), work("t-0", "zero"), work("t-1", "one"))
    for task_id, text in (("t-0", "zero"), ("t-2", "two")):
        if task_id == "t-2":
            framework.accept(framework.offer(), work("t-2", "two"))
        last = framework.updates_of(task_id)[-1]
        assert base64.b64decode(last["data"]).decode() == text
        same_shape(RECORDED["framework"]["finished"], last)
    running = next(e["update"]["status"] for e in framework.stream.seen if e["type"] == "UPDATE")
    same_shape(RECORDED["framework"]["running"], running)
    pids = {e["update"]["status"]["container_status"]["executor_pid"] for e in framework.stream.seen if "update" in e}
    assert len(pids) == 1
    offer = framework.offer(lambda offer: cpus_of(offer) == 3.9)  # the executor's own part stays charged
    assert offer["executor_ids"] == [{"value": "echo"}]


def test_the_executor_of_a_new_version_runs_beside_the_old_one(framework: Framework) -> None:
    framework.accept(framework.offer(), work("old", "50", name="scale-3.0"))
    assert framework.update()["state"] == "TASK_RUNNING"
    framework.accept(framework.offer(), work("new", "one", name="scale-3.1"))
    assert framework.updates_of("new")[-1]["state"] == "TASK_FINISHED"
    framework.call("KILL", kill={"task_id": {"value": "old"}})
    assert framework.updates_of("old")[-1]["state"] == "TASK_KILLED", "it lived on"


def test_what_an_executor_sees(cluster: Cluster, framework: Framework, tmp_path: Path) -> None:
    """The test itself is the executor here: the command only shows its environment and waits."""
    command = f"env > {tmp_path}/environment; touch {tmp_path}/done; sleep 100"
    variables = [{"name": "SCALE_X", "value": "1"}]
    info = executor("by-hand", command)
    info["command"]["environment"] = {"variables": variables}
    framework.accept(framework.offer(), task("t", executor=info, data="MQ=="))
    wait_for("it to end", (tmp_path / "done").exists)
    environment = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())
    expected = RECORDED["environment"]
    assert expected.keys() <= environment.keys()
    constant = {"MESOS_CHECKPOINT", "MESOS_RECOVERY_TIMEOUT", "MESOS_SUBSCRIPTION_BACKOFF_MAX", "LIBPROCESS_IP"}
    constant |= {"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "MESOS_HTTP_COMMAND_EXECUTOR", "LIBPROCESS_PORT"}
    assert {name: environment[name] for name in constant} == {name: expected[name] for name in constant}
    assert environment["SCALE_X"] == "1"
    assert environment["MESOS_AGENT_ENDPOINT"] == cluster.agent
    assert Path(environment["MESOS_SANDBOX"], "stdout").exists()
    assert Path(environment["MESOS_SANDBOX"]).parent.joinpath("latest").resolve() == Path(environment["MESOS_SANDBOX"])

    ids = {"framework_id": {"value": framework.id}, "executor_id": {"value": "by-hand"}}

    def call(kind: str, **parts: Any) -> tuple[int, str]:
        response = requests.post(
            f"http://{cluster.agent}/api/v1/executor", json={"type": kind, **ids, **parts}, timeout=5
        )
        return response.status_code, response.text

    assert call("UPDATE", update={"status": {"task_id": {"value": "t"}, "state": "TASK_RUNNING"}})[0] == 403
    subscribe = {"unacknowledged_tasks": [], "unacknowledged_updates": []}
    stream = Stream(cluster.agent, "/api/v1/executor", {"type": "SUBSCRIBE", **ids, "subscribe": subscribe})
    events = RECORDED["events"]
    assert "Mesos-Stream-Id" not in stream.headers
    subscribed = stream.next()
    environment_given = subscribed["subscribed"]["executor_info"]["command"].pop("environment")
    assert environment_given == {"variables": variables}
    same_shape(events["SUBSCRIBED"], subscribed, {"type", "name", "role"})
    launch = stream.next()
    launch["launch"]["task"]["executor"]["command"].pop("environment")
    same_shape(events["LAUNCH"], launch, {"type", "role"})

    status = {"task_id": {"value": "t"}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR"}
    assert call("UPDATE", update={"status": status})[0] == 400  # an update has a uuid
    status["uuid"] = base64.b64encode(b"0123456789abcdef").decode()
    assert call("UPDATE", update={"status": status}) == (202, "")
    assert framework.update(acknowledge=False)["uuid"] == status["uuid"]
    assert stream.events.empty()
    framework.acknowledge({**status, "agent_id": launch["launch"]["task"]["agent_id"]})
    acknowledged = stream.next()
    same_shape(events["ACKNOWLEDGED"], acknowledged)
    assert acknowledged["acknowledged"]["uuid"] == status["uuid"]

    target = {"agent_id": launch["launch"]["task"]["agent_id"], "executor_id": {"value": "by-hand"}}
    framework.call("MESSAGE", message={**target, "data": "cGluZw=="})
    same_shape(events["MESSAGE"], stream.next())
    framework.call("KILL", kill={"task_id": {"value": "t"}})
    same_shape(events["KILL"], stream.next())
    framework.call("SHUTDOWN", shutdown=target)
    same_shape(events["SHUTDOWN"], stream.next())


def test_messages_both_ways(framework: Framework) -> None:
    offer = framework.offer()
    framework.accept(offer, work("t", "50"))
    framework.update()
    target = {"agent_id": offer["agent_id"], "executor_id": {"value": "echo"}}
    framework.call("MESSAGE", message={**target, "data": base64.b64encode(b"ping").decode()})
    message = framework.stream.next("MESSAGE")
    same_shape(RECORDED["framework"]["message"], message)
    assert base64.b64decode(message["message"]["data"]) == b"echo ping"


def test_killing_a_task_of_an_executor(framework: Framework) -> None:
    framework.accept(framework.offer(), work("t", "50"))
    framework.update()
    framework.call("KILL", kill={"task_id": {"value": "t"}})
    last = framework.updates_of("t")[-1]
    assert (last["state"], last["message"], last["source"]) == ("TASK_KILLED", "killed on request", "SOURCE_EXECUTOR")


def test_an_executor_that_dies_takes_its_tasks_along(framework: Framework) -> None:
    framework.accept(framework.offer(), work("bystander", "50"))
    framework.update()
    framework.accept(framework.offer(), work("killer", "exit 7"))
    failure = framework.stream.next("FAILURE")
    same_shape(RECORDED["framework"]["failure"], failure)
    assert failure["failure"]["status"] == 7 << 8
    ended: set[str] = set()
    while len(ended) < 2:
        status = framework.update()
        if status["state"] == "TASK_FAILED":
            same_shape(RECORDED["framework"]["failed"], status)
            ended.add(status["task_id"]["value"])
    framework.offer(lambda offer: cpus_of(offer) == 4)  # the executor's own resources are free again, too


@pytest.mark.parametrize(
    ("command", "state", "reason"),
    [
        ({"user": "no-such-user"}, "TASK_LOST", "REASON_EXECUTOR_TERMINATED"),
        ({"uris": [{"value": "http://127.0.0.1/x"}]}, "TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED"),
        ({"value": "a\0b"}, "TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED"),
        ({"environment": {"variables": [{"name": "A=B"}]}}, "TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED"),
    ],
    ids=["user", "uris", "command", "environment"],
)
def test_an_executor_that_cannot_start(framework: Framework, command: dict[str, Any], state: str, reason: str) -> None:
    wrong = task("t", executor=executor("nobody"))
    wrong["executor"]["command"] |= command
    framework.accept(framework.offer(), wrong)
    last = framework.updates_of("t")[-1]
    assert (last["state"], last["reason"]) == (state, reason)
    framework.offer(lambda offer: cpus_of(offer) == 4)


def test_another_executor_info_under_the_same_id_is_refused(framework: Framework) -> None:
    framework.accept(framework.offer(), work("first", "50"))
    framework.update()
    other = task("second", executor=executor("echo", "sleep 1"))
    framework.accept(framework.offer(), other)
    last = framework.update()
    assert (last["state"], last["reason"]) == ("TASK_ERROR", "REASON_TASK_INVALID")


def test_teardown_ends_executors_with_all_their_processes(cluster: Cluster) -> None:
    framework = Framework(cluster.master).registered()
    stubborn = executor("stubborn", f"sh -c 'sleep 1000 & setsid sleep 1001 & wait' & {ECHO_EXECUTOR}")
    framework.accept(framework.offer(), task("t", executor=stubborn, data=base64.b64encode(b"50").decode()))
    pid = framework.update()["container_status"]["executor_pid"]
    children = wait_for("its processes", lambda: _at_least(psutil.Process(pid).children(recursive=True), 4))
    framework.call("TEARDOWN")
    wait_for("it to go", lambda: not psutil.pid_exists(pid))
    wait_for("them to go", lambda: not any(child.is_running() and child.status() != "zombie" for child in children))


def _at_least(found: list[psutil.Process], count: int) -> list[psutil.Process]:
    return found if len(found) >= count else []


def test_unknown_executors_are_refused(cluster: Cluster, framework: Framework) -> None:
    framework.accept(framework.offer(), work("t", "50"))
    framework.update()
    call = {"type": "MESSAGE", "message": {"data": ""}, "executor_id": {"value": "echo"}}
    url = f"http://{cluster.agent}/api/v1/executor"
    wrong = [
        ({}, 400, "Failed to validate executor::Call: Expecting 'framework_id' to be present"),
        ({"framework_id": {"value": "nobody"}}, 400, "Framework cannot be found"),
        ({"framework_id": {"value": framework.id}, "executor_id": {"value": "x"}}, 400, "Executor cannot be found"),
    ]
    for parts, status, text in wrong:
        response = requests.post(url, json={**call, **parts}, timeout=5)
        assert (response.status_code, response.text) == (status, text)
