"""Agents without processes: a cluster of any size in the one event loop, to load a scheduler over the real API.

A task that such an agent is given RUNS at once, ends after a given time and needs nothing but memory. What its updates
carry is the caller's to say, because the devcluster knows nothing of the frameworks that use it.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scale_worker.devcluster.answers import now
from scale_worker.devcluster.framework import TERMINAL
from scale_worker.devcluster.launching import Info
from scale_worker.devcluster.master import Master
from scale_worker.devcluster.resources import Resources

RETRY_S = 10.0
RETRY_MAX_S = 600.0

Report = Callable[[Info, str], str]  # (TaskInfo, state) -> TaskStatus.data, in base64


@dataclass(slots=True)
class SimulatedTask:
    """`sent` is the update on its way; `ends` the one that waits for its acknowledgement, if the task is over."""

    info: Info
    framework_id: str
    agent: SimulatedAgent
    sent: dict[str, Any] | None = None
    ends: dict[str, Any] | None = None
    state: str = "TASK_STAGING"


class SimulatedAgent:
    """One agent (master.AgentLink). Updates come one at a time and are repeated until they are acknowledged."""

    host = "127.0.0.1"

    def __init__(self, master: Master, cluster: SimulatedCluster, number: int, total: Resources) -> None:
        self.id = f"{master.id}-S{number}"
        self.hostname = f"node-{number}"
        self.port = 5051
        self.total = total
        self.tasks: dict[tuple[str, str], SimulatedTask] = {}
        self._master, self._cluster = master, cluster
        master.register_agent(self)

    def launch(self, framework_info: Info, task: Info, executor_info: Info | None) -> None:
        framework_id = framework_info["id"]["value"]
        started = SimulatedTask(task, framework_id, self)
        self.tasks[framework_id, task["task_id"]["value"]] = started
        self._send(started, self._status(started, "TASK_RUNNING"))
        self._cluster.later(self._cluster.task_s, self._end, started, "TASK_FINISHED")

    def kill(self, framework_id: str, task_id: str) -> None:
        if (task := self.tasks.get((framework_id, task_id))) is not None:
            self._end(task, "TASK_KILLED")

    def acknowledge(self, framework_id: str, task_id: str, update_uuid: str) -> None:
        task = self.tasks.get((framework_id, task_id))
        if task is None or task.sent is None or task.sent["uuid"] != update_uuid:
            return
        if task.sent["state"] in TERMINAL:
            del self.tasks[framework_id, task_id]
            task.sent = None
        elif task.ends is not None:
            self._send(task, task.ends)
        else:
            task.sent = None

    def resend(self, framework_id: str) -> None:
        for (fid, _), task in list(self.tasks.items()):
            if fid == framework_id and task.sent is not None:
                self._master.update(fid, task.sent)

    def shutdown_framework(self, framework_id: str) -> None:
        for key in [key for key in self.tasks if key[0] == framework_id]:
            self.tasks.pop(key).state = "TASK_KILLED"

    def shutdown_executor(self, framework_id: str, executor_id: str) -> None:
        for task in list(self.tasks.values()):
            if task.framework_id == framework_id:
                self._end(task, "TASK_KILLED")
        self._master.executor_gone(framework_id, self.id, executor_id, 0)

    def message(self, framework_id: str, executor_id: str, data: str) -> None:
        """Nobody is there to read it."""

    def _end(self, task: SimulatedTask, state: str) -> None:
        if task.state in TERMINAL:
            return
        status = self._status(task, state)
        self._master.note_state(task.framework_id, status["task_id"]["value"], state)
        if task.sent is None:
            self._send(task, status)
        else:
            task.ends = status

    def _status(self, task: SimulatedTask, state: str) -> dict[str, Any]:
        task.state = state
        return {
            "task_id": task.info["task_id"],
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "agent_id": {"value": self.id},
            "executor_id": (task.info.get("executor") or {}).get("executor_id", task.info["task_id"]),
            "timestamp": now(),
            "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
            "data": self._cluster.report(task.info, state),
        }

    def _send(self, task: SimulatedTask, status: dict[str, Any]) -> None:
        task.sent = status
        self._cluster.later(RETRY_S, self._repeat, task, status, RETRY_S)
        self._master.update(task.framework_id, status)

    def _repeat(self, task: SimulatedTask, status: dict[str, Any], pause_s: float) -> None:
        if task.sent is not status:
            return
        pause_s = min(2 * pause_s, RETRY_MAX_S)
        self._cluster.later(pause_s, self._repeat, task, status, pause_s)
        self._master.update(task.framework_id, status)


class SimulatedCluster:
    """`count` equal agents whose tasks take `task_s` seconds. Timers are exact to TICK_S, so that they cost little."""

    TICK_S = 0.005

    def __init__(self, master: Master, count: int, total: Resources, task_s: float, report: Report) -> None:
        self.task_s, self.report = task_s, report
        self._slots: dict[int, list[tuple[Callable[..., None], tuple[Any, ...]]]] = {}
        self._loop = asyncio.get_running_loop()
        self.agents = [SimulatedAgent(master, self, number, total) for number in range(count)]

    def later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call in `delay_s` seconds; at once, but not from here, for 0."""
        if delay_s <= 0:
            self._loop.call_soon(call, *arguments)
            return
        slot = int((self._loop.time() + delay_s) / self.TICK_S) + 1
        waiting = self._slots.get(slot)
        if waiting is None:
            waiting = self._slots[slot] = []
            self._loop.call_at(slot * self.TICK_S, self._fire, slot)
        waiting.append((call, arguments))

    def _fire(self, slot: int) -> None:
        for call, arguments in self._slots.pop(slot):
            call(*arguments)
