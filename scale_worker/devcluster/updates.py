"""Status updates on their way: in order, one at a time for each task, repeated until they are acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from scale_worker.devcluster.executors import AgentTask
from scale_worker.devcluster.journal import Journal

RETRY_MAX_S = 600.0


class Uplink(Protocol):
    """What an agent tells its master."""

    def update(self, fid: str, status: dict[str, Any]) -> None: ...
    def note_state(self, fid: str, task_id: str, state: str) -> None: ...
    def executor_message(self, fid: str, agent_id: str, executor_id: str, data: str) -> None: ...
    def executor_gone(self, fid: str, agent_id: str, executor_id: str, wait_status: int | None) -> None: ...


class Updates:
    """The pending updates of all tasks of an agent; the first of each task has been sent to the master."""

    def __init__(self, master: Uplink, journal: Journal, retry_s: float) -> None:
        self._master = master
        self._journal = journal
        self._retry_s = retry_s

    def connect(self, master: Uplink) -> None:
        """Send to `master` from now on."""
        self._master = master

    def take(self, task: AgentTask, status: dict[str, Any]) -> None:
        """A new update, which waits for those before it; one that already waits is not taken twice."""
        if any(pending["uuid"] == status["uuid"] for pending in task.pending):
            return
        fid = task.run.framework_id
        task.pending.append(status)
        task.state = status["state"]
        task.statuses.append({k: status[k] for k in ("state", "timestamp", "container_status") if k in status})
        self._journal.write("task_state", framework_id=fid, task_id=task.id, state=task.state, uuid=status["uuid"])
        self._master.note_state(fid, task.id, task.state)
        if len(task.pending) == 1:
            self._send(task, self._retry_s)

    def settle(self, task: AgentTask, update_uuid: str) -> dict[str, Any] | None:
        """The first update is acknowledged and returned, and the next one sent; None: it was not the first."""
        if not task.pending or task.pending[0]["uuid"] != update_uuid:
            return None
        status = task.pending.popleft()
        self._stop_timer(task)
        fid = task.run.framework_id
        self._journal.write("acknowledged", framework_id=fid, task_id=task.id, uuid=update_uuid)
        self.resend(task)
        return status

    def resend(self, task: AgentTask) -> None:
        """Send the first pending update now, and repeat it from the shortest pause on."""
        if task.pending:
            self._send(task, self._retry_s)

    def drop(self, task: AgentTask) -> None:
        """Nobody waits for the task's updates any more."""
        task.pending.clear()
        self._stop_timer(task)

    def _send(self, task: AgentTask, pause_s: float) -> None:
        self._stop_timer(task)
        loop = asyncio.get_running_loop()
        task.timer = loop.call_later(pause_s, self._send, task, min(2 * pause_s, RETRY_MAX_S))
        self._master.update(task.run.framework_id, task.pending[0])

    @staticmethod
    def _stop_timer(task: AgentTask) -> None:
        if task.timer is not None:
            task.timer.cancel()
            task.timer = None
