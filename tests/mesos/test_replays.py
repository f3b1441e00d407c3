"""Our side of Mesos against recordings of a real 1.11: each event is understood, each call is made as it was then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.settings import Settings
from scale_worker.mesos import messages
from scale_worker.mesos.framework import Driver, Framework, framework_info
from tests.mesos.replay_master import WAIT_S, ReplayMaster
from tests.mesos_shapes import recorded

SCENES: dict[str, list[dict[str, Any]]] = recorded("replays")
SILENT = (messages.Disconnected,)


class Actor:
    """Our driver in a scene. `news` maps a recorded event to what the inbox must hold of it, None: nothing."""

    def __init__(self, master: ReplayMaster) -> None:
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        settings = Settings(home=Path("/nowhere"))
        self.driver = Driver(Framework(self.inbox), framework_info(settings, None), master.address)
        self.master = master

    def next(self) -> Any:
        """The next event on the inbox but for the ends of streams."""
        try:
            while isinstance(event := self.inbox.get(timeout=WAIT_S), SILENT):
                pass
        except Empty:
            pytest.fail("nothing came")
        return event

    def call(self, step: dict[str, Any]) -> dict[str, Any]:
        """Make the call of a step; what the master heard."""
        driver = self.driver
        match step["call"]:
            case "ACCEPT":
                driver.launch(step["offer_ids"], [{"task_id": {"value": task}} for task in step["tasks"]])
            case "ACKNOWLEDGE":
                agent_id, task_id = step["agent_id"]["value"], step["task_id"]["value"]
                driver.acknowledge([TaskUpdate(task_id, TaskState.RUNNING, agent_id=agent_id, uuid=step["uuid"])])
            case "KILL":
                driver.kill([step["task_id"]["value"]])
            case "RECONCILE":
                driver.reconcile([(task_id, "") for task_id in step["tasks"]])
            case "DECLINE":
                driver.decline(step["offer_ids"], step["refuse_s"])
            case "SUPPRESS":
                driver.suppressOffers()
            case "REVIVE":
                driver.reviveOffers()
        return self.master.heard()


@pytest.fixture
def actor() -> Iterator[Actor]:
    with ReplayMaster() as master:
        actor = Actor(master)
        actor.driver.start()
        yield actor
        actor.driver.stop()
        master.__exit__()
        actor.driver.join()


def said(call: dict[str, Any]) -> dict[str, Any]:
    """What a call says, as the steps of a scene spell it."""
    kind = call["type"]
    content = call.get(kind.lower(), {})
    found: dict[str, Any] = {"call": kind, **content}
    if "offer_ids" in content:
        found["offer_ids"] = [offer["value"] for offer in content["offer_ids"]]
    if kind == "ACCEPT":
        tasks = [task for operation in content["operations"] for task in operation["launch"]["task_infos"]]
        found = {"call": kind, "offer_ids": found["offer_ids"], "tasks": [task["task_id"]["value"] for task in tasks]}
    if kind == "DECLINE":
        found = {"call": kind, "offer_ids": found["offer_ids"], "refuse_s": content["filters"]["refuse_seconds"]}
    if kind == "RECONCILE":
        found = {"call": kind, "tasks": [task["task_id"]["value"] for task in content["tasks"]]}
    return found


def check(event: dict[str, Any], ours: Any) -> None:
    """Does what came in say what the master said?"""
    match event["type"]:
        case "SUBSCRIBED":
            info = event["subscribed"]
            assert isinstance(ours, messages.Subscribed)
            assert (ours.framework_id, ours.master_hostname) == (info["framework_id"]["value"], "127.0.0.1")
        case "OFFERS":
            offers = event["offers"]["offers"]
            assert [offer.id for offer in ours.offers] == [offer["id"]["value"] for offer in offers]
            assert [offer.agent_id for offer in ours.offers] == [offer["agent_id"]["value"] for offer in offers]
            assert all(offer.resources.cpus > 0 for offer in ours.offers)
        case "RESCIND":
            assert ours == messages.OfferRescinded(event["rescind"]["offer_id"]["value"])
        case "UPDATE":
            status, update = event["update"]["status"], ours.update
            assert (update.task_id, update.state.value) == (status["task_id"]["value"], status["state"])
            for name in ("reason", "source", "message", "uuid"):
                assert getattr(update, name) == status.get(name, ""), name
        case "FAILURE":
            assert ours == messages.AgentLost(event["failure"]["agent_id"]["value"])
        case "ERROR":
            kind = messages.FrameworkRemoved if "removed" in event["error"]["message"] else messages.FrameworkError
            assert ours == kind(event["error"]["message"])


def is_only_logged(event: dict[str, Any]) -> bool:
    return event["type"] == "MESSAGE" or (event["type"] == "FAILURE" and "executor_id" in event["failure"])


@pytest.mark.parametrize("name", SCENES)
def test_a_recorded_master_is_understood_and_spoken_to_as_then(actor: Actor, name: str) -> None:
    framework_id = None
    for step in SCENES[name]:
        if "subscribed_by" in step:
            call = actor.master.subscribe(step["subscribed_by"])
            assert call.get("framework_id") == framework_id, "the id is kept for as long as it lives"
            assert call["subscribe"]["framework_info"].get("id") == framework_id
        elif "event" in step:
            event = step["event"]
            actor.master.say(event)
            if not is_only_logged(event):
                check(event, actor.next())
            if event["type"] == "SUBSCRIBED":
                framework_id = event["subscribed"]["framework_id"]
            elif event["type"] == "ERROR" and "removed" in event["error"]["message"]:
                framework_id = None
        else:
            call = actor.call(step)
            assert call["framework_id"] == framework_id
            assert said(call) == step
    assert framework_id is None or actor.driver.framework_id == framework_id["value"]


def test_every_state_that_ends_a_recorded_task_ends_ours() -> None:
    """And no other one does."""
    steps = [
        step["event"]["update"]["status"]
        for scene in SCENES.values()
        for step in scene
        if "event" in step and step["event"]["type"] == "UPDATE"
    ]
    ends = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR"}
    assert ends <= {status["state"] for status in steps}
    for status in steps:
        assert messages.parse_update(status).update.is_terminal == (status["state"] in ends)
