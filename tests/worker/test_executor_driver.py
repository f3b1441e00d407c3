"""The driver against an agent that comes and goes."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.fake_agent import FakeAgent


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    agent = FakeAgent()
    yield agent
    agent.close()


class Driven:
    """A process with a driver."""

    def __init__(self, agent: FakeAgent, sandbox: Path, **more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker.driven"],
            env={**os.environ, **agent.environment(sandbox, **more)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: queue.Queue[list[Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def send(self, task_id: str, state: str = "TASK_RUNNING") -> None:
        self.tell(json.dumps({"task_id": {"value": task_id}, "state": state}))

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def expect(self, name: str) -> list[Any]:
        """The next line of that name; others before it are passed over."""
        while True:
            line = self.lines.get(timeout=20)
            if line[0] == name:
                return line

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def driven(agent: FakeAgent, tmp_path: Path) -> Iterator[Driven]:
    driven = Driven(agent, tmp_path)
    yield driven
    driven.close()


def states(subscription: dict[str, Any]) -> list[tuple[str, str]]:
    updates = [update["status"] for update in subscription["unacknowledged_updates"]]
    return [(status["task_id"]["value"], status["state"]) for status in updates]


def tasks(subscription: dict[str, Any]) -> list[str]:
    return [task["task_id"]["value"] for task in subscription["unacknowledged_tasks"]]


def test_callbacks_and_updates(agent: FakeAgent, driven: Driven) -> None:
    assert agent.subscriptions.get(timeout=20) == {"unacknowledged_tasks": [], "unacknowledged_updates": []}
    assert driven.expect("registered")[3] == {"hostname": "localhost"}
    agent.launch("t1", "data")
    assert driven.expect("launchTask")[1]["data"] == "data"
    driven.send("t1")
    update = agent.next_update()
    assert (update["task_id"]["value"], update["state"]) == ("t1", "TASK_RUNNING")
    agent.event("KILL", kill={"task_id": {"value": "t1"}})
    assert driven.expect("killTask")[1] == {"value": "t1"}
    agent.event("NOVELTY", novelty={})
    agent.event("HEARTBEAT")
    agent.event("LAUNCH", launch={"broken": 1})
    agent.event("ERROR", error={"message": "oh"})
    assert driven.expect("error")[1] == "oh"
    agent.event("SHUTDOWN")
    driven.expect("shutdown")


def test_updates_are_repeated_until_acknowledged(agent: FakeAgent, driven: Driven) -> None:
    driven.expect("registered")
    for task_id in ("t1", "t2", "t3"):
        agent.launch(task_id, "")
        driven.expect("launchTask")
    driven.send("t1")
    driven.send("t2")
    driven.send("t2", "TASK_FINISHED")
    first, second, third = (agent.next_update(acknowledge=False) for _ in range(3))
    agent.subscriptions.get(timeout=20)
    agent.acknowledge(first)
    agent.event("ERROR", error={"message": "after the acknowledgement"})
    driven.expect("error")
    agent.cut()
    again = agent.subscriptions.get(timeout=20)
    assert states(again) == [("t2", "TASK_RUNNING"), ("t2", "TASK_FINISHED")]
    assert [update["status"]["uuid"] for update in again["unacknowledged_updates"]] == [second["uuid"], third["uuid"]]
    assert tasks(again) == ["t2", "t3"], "whoever was never acknowledged may never have arrived"
    driven.expect("reregistered")
    agent.acknowledge(second)
    agent.acknowledge(third)
    agent.event("ERROR", error={"message": "both"})
    driven.expect("error")
    agent.cut()
    last = agent.subscriptions.get(timeout=20)
    assert (states(last), tasks(last)) == ([], ["t3"])


def test_updates_made_while_the_agent_is_away(agent: FakeAgent, driven: Driven, tmp_path: Path) -> None:
    driven.expect("registered")
    agent.close()
    driven.expect("disconnected")
    driven.send("t1")
    driven.expect("taken")
    driven.send("t1", "TASK_FINISHED")
    driven.expect("taken")
    back = FakeAgent(agent.port)
    try:
        assert states(back.subscriptions.get(timeout=20)) == [("t1", "TASK_RUNNING"), ("t1", "TASK_FINISHED")]
        driven.expect("reregistered")
        driven.send("t2")
        assert back.next_update()["task_id"]["value"] == "t2"
        assert back.updates.empty(), "what the subscription carried is not sent again"
    finally:
        back.close()


@pytest.mark.parametrize("status", [503, 404, 400, 500])
def test_an_agent_that_recovers_is_not_hammered(agent: FakeAgent, driven: Driven, status: int) -> None:
    driven.expect("registered")
    agent.refuse_subscribe = status
    agent.attempts.clear()
    agent.cut()
    driven.send("t1")
    while len(agent.attempts) < 6:
        time.sleep(0.01)
    pauses = [later - earlier for earlier, later in zip(agent.attempts, agent.attempts[1:], strict=False)]
    assert min(pauses) >= 0.02
    assert max(pauses[-2:]) >= 0.09, "pauses grow towards the agent's maximum of 200 ms"
    agent.refuse_subscribe = None
    while not agent.subscriptions.empty():
        agent.subscriptions.get()
    assert states(agent.subscriptions.get(timeout=20)) == [("t1", "TASK_RUNNING")]


def test_a_call_that_fails_is_repeated(agent: FakeAgent, driven: Driven) -> None:
    driven.expect("registered")
    agent.refuse_update = 503
    refused = threading.Event()
    agent.before_update = refused.set
    driven.send("t1")
    assert refused.wait(20)
    agent.refuse_update = None
    assert agent.next_update()["task_id"]["value"] == "t1"


def test_a_malformed_update_does_not_block_the_others(agent: FakeAgent, driven: Driven) -> None:
    driven.expect("registered")
    agent.refuse_update = 400
    refused = threading.Event()
    agent.before_update = refused.set
    driven.send("t1")
    assert refused.wait(20)
    time.sleep(0.05)  # until its answer is on the way
    agent.refuse_update = None
    driven.send("t2")
    assert agent.next_update()["task_id"]["value"] == "t2"


def test_a_task_is_launched_once(agent: FakeAgent, driven: Driven) -> None:
    driven.expect("registered")
    agent.launch("t1", "")
    agent.launch("t1", "")
    agent.launch("t2", "")
    assert driven.expect("launchTask")[1]["task_id"]["value"] == "t1"
    assert driven.expect("launchTask")[1]["task_id"]["value"] == "t2"


def test_flush_and_stop(agent: FakeAgent, driven: Driven) -> None:
    driven.expect("registered")
    for number in range(100):
        driven.send(f"t{number}")
    driven.tell("stop")
    assert driven.expect("flushed")[1] is True
    driven.expect("joined")
    assert driven.process.wait(20) == 0
    assert [agent.updates.get(timeout=20)["task_id"]["value"] for _ in range(100)] == [f"t{n}" for n in range(100)]


def test_giving_up(agent: FakeAgent, tmp_path: Path) -> None:
    driven = Driven(agent, tmp_path, MESOS_RECOVERY_TIMEOUT="300ms")
    try:
        driven.expect("registered")
        agent.close()
        driven.expect("disconnected")
        driven.expect("shutdown")
    finally:
        driven.close()


def test_without_checkpoint_a_lost_agent_is_the_end(agent: FakeAgent, tmp_path: Path) -> None:
    driven = Driven(agent, tmp_path, MESOS_CHECKPOINT="")
    try:
        driven.expect("registered")
        agent.cut()
        driven.expect("shutdown")
    finally:
        driven.close()
