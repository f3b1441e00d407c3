"""When to ask Mesos what became of tasks: it heals a launch that never arrived, an update that was lost, a crash."""

from __future__ import annotations

from collections.abc import Iterable

BATCH = 1000  # tasks in one RECONCILE
LOST_S = 2.0  # after an agent was lost: by then the master has told what became of its tasks, as far as it does
SETTLE_S = 10.0  # a younger task may be under way to Mesos, which would call it unknown


class Reconciler:
    """Decides when; times are seconds of the monotonic clock."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._due: float | None = None
        self._is_first = True
        self._is_fresh = False
        self._suspects: dict[str, tuple[str, float]] = {}
        self._lost: dict[str, float] = {}

    def subscribed(self, now: float) -> None:
        """Everything may have happened while nobody listened."""
        self._due, self._is_fresh = now, True

    def disconnected(self) -> None:
        self._due = None

    def suspect(self, tasks: Iterable[tuple[str, str]], now: float) -> None:
        """Launches (task id, agent id) that may not have arrived: asked about once they must have."""
        self._suspects |= {task_id: (agent_id, now + SETTLE_S) for task_id, agent_id in tasks}

    def agent_lost(self, agent_id: str, now: float) -> None:
        """What still runs there soon is to be asked about: of a task that had ended, a master may tell nobody."""
        self._lost[agent_id] = now + LOST_S

    def due_agents(self, now: float) -> list[str]:
        """Lost agents whose tasks are to be asked about now, until they are known."""
        return [agent_id for agent_id, at in self._lost.items() if at <= now]

    def known(self, agent_ids: Iterable[str]) -> None:
        """Which tasks these agents had is known."""
        for agent_id in agent_ids:
            self._lost.pop(agent_id, None)

    def is_due(self, now: float) -> bool:
        return self._due is not None and now >= self._due

    @property
    def settle_s(self) -> float:
        """How old a task must be to be asked about. The first time, nothing of this process is under way."""
        return 0.0 if self._is_first else SETTLE_S

    def done(self, now: float) -> None:
        """All running tasks of that age were asked about.

        Younger ones may have been launched at the master that went away: after a subscription they are asked about as
        soon as they are old enough, not a whole period later.
        """
        pause_s = min(SETTLE_S, self._period_s) if self._is_fresh else self._period_s
        self._due, self._is_first, self._is_fresh = now + pause_s, False, False

    def due_suspects(self, now: float) -> list[tuple[str, str]]:
        """Suspects that are old enough to be asked about; each is named once."""
        due = [(task_id, agent_id) for task_id, (agent_id, at) in self._suspects.items() if at <= now]
        for task_id, _ in due:
            del self._suspects[task_id]
        return due


def batches(tasks: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    return [tasks[start : start + BATCH] for start in range(0, len(tasks), BATCH)]
