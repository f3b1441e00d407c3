"""The executor's driver against what a real agent was recorded to say to an executor."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mesos_shapes import differences, recorded
from tests.patience import wait_for
from tests.worker.fake_agent import FakeAgent
from tests.worker.test_executor_driver import Driven

EVENTS: dict[str, Any] = recorded("executor_api")["events"]


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    agent = FakeAgent()
    yield agent
    agent.close()


def say(agent: FakeAgent, kind: str) -> Any:
    event = dict(EVENTS[kind])
    agent.event(event.pop("type"), **event)
    return EVENTS[kind]


def test_a_recorded_life_of_an_executor(agent: FakeAgent, tmp_path: Path) -> None:
    """Launched, told something, its updates acknowledged, killed, and shut down when its framework was removed."""
    driven = Driven(agent, tmp_path)
    try:
        driven.expect("registered")
        launched = say(agent, "LAUNCH")["launch"]["task"]
        assert driven.expect("launchTask")[1] == launched
        driven.send(launched["task_id"]["value"])
        status = agent.next_update(acknowledge=False)
        assert (status["task_id"], status["state"]) == (launched["task_id"], "TASK_RUNNING")
        acknowledged = {"task_id": status["task_id"], "uuid": status["uuid"]}
        assert differences(EVENTS["ACKNOWLEDGED"]["acknowledged"], acknowledged, frozenset()) == []
        agent.acknowledge(status)
        message = say(agent, "MESSAGE")["message"]["data"]
        assert driven.expect("frameworkMessage")[1] in {message, base64.b64decode(message).decode()}
        killed = say(agent, "KILL")["kill"]["task_id"]
        assert driven.expect("killTask")[1] == killed
        say(agent, "SHUTDOWN")
        driven.expect("shutdown")
    finally:
        driven.close()


def test_a_recorded_restart_of_the_agent(agent: FakeAgent, tmp_path: Path) -> None:
    """The stream is cut; 503 while the agent recovers; then the same executor again, with what nobody acknowledged."""
    driven = Driven(agent, tmp_path)
    try:
        driven.expect("registered")
        agent.subscriptions.get(timeout=20)
        task_id = say(agent, "LAUNCH")["launch"]["task"]["task_id"]["value"]
        driven.expect("launchTask")
        agent.refuse_subscribe = 503
        before = len(agent.attempts)
        agent.cut()
        wait_for("two attempts", lambda: len(agent.attempts) >= before + 2)
        driven.send(task_id)  # would be lost, and raise, in pymesos' own driver
        agent.refuse_subscribe = None
        again = agent.subscriptions.get(timeout=20)
        assert [task["task_id"]["value"] for task in again["unacknowledged_tasks"]] == [task_id]
        statuses = [update["status"] for update in again["unacknowledged_updates"]]
        if not statuses:
            statuses = [agent.next_update()]
        assert [(status["task_id"]["value"], status["state"]) for status in statuses] == [(task_id, "TASK_RUNNING")]
    finally:
        driven.close()
