"""Simulated agents keep Mesos' promises: updates one at a time, repeated until they are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scale_worker.devcluster.framework import Framework
from scale_worker.devcluster.journal import Journal
from scale_worker.devcluster.master import Master
from scale_worker.devcluster.resources import Resources
from scale_worker.devcluster.simulation import SimulatedAgent, SimulatedCluster

Sent = list[dict[str, Any]]


def simulate(directory: Path, act: Callable[[SimulatedAgent, Sent], Any], task_s: float = 0.0) -> Sent:
    """What the framework is sent while `act` plays with the only agent."""
    sent: Sent = []

    async def play() -> None:
        master = Master("127.0.0.1", 5050, Journal(directory / "state.jsonl"), 0.1)
        cluster = SimulatedCluster(master, 1, Resources.of(4, 1000, 1000), task_s, lambda task, state: state)
        framework = Framework("F", {"id": {"value": "F"}, "name": "test", "user": "root"}, 0.0)
        framework.send = lambda event: sent.append(event["update"]["status"])  # type: ignore[method-assign]
        master.frameworks["F"] = framework
        cluster.agents[0].launch(framework.info, {"task_id": {"value": "T"}}, None)
        await act(cluster.agents[0], sent)

    asyncio.run(play())
    return sent


def test_the_end_waits_for_the_acknowledgement_of_the_beginning(tmp_path: Path) -> None:
    async def act(agent: SimulatedAgent, sent: Sent) -> None:
        await asyncio.sleep(0.05)
        assert [status["state"] for status in sent] == ["TASK_RUNNING"]
        agent.acknowledge("F", "T", "another")
        agent.acknowledge("F", "T", sent[0]["uuid"])
        assert [status["state"] for status in sent] == ["TASK_RUNNING", "TASK_FINISHED"]
        agent.acknowledge("F", "T", sent[1]["uuid"])
        assert agent.tasks == {}

    sent = simulate(tmp_path, act)
    assert [status["data"] for status in sent] == ["TASK_RUNNING", "TASK_FINISHED"]


def test_an_update_is_repeated_until_it_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scale_worker.devcluster.simulation.RETRY_S", 0.02)

    async def act(agent: SimulatedAgent, sent: Sent) -> None:
        while len(sent) < 3:
            await asyncio.sleep(0.01)
        agent.resend("F")
        agent.acknowledge("F", "T", sent[0]["uuid"])

    sent = simulate(tmp_path, act, task_s=60.0)
    assert len({status["uuid"] for status in sent}) == 1
    assert len(sent) >= 4


def test_a_killed_task_ends_at_once(tmp_path: Path) -> None:
    async def act(agent: SimulatedAgent, sent: Sent) -> None:
        agent.acknowledge("F", "T", sent[0]["uuid"])
        agent.kill("F", "T")
        agent.kill("F", "unknown")

    assert [status["state"] for status in simulate(tmp_path, act, task_s=60.0)] == ["TASK_RUNNING", "TASK_KILLED"]
