"""What the master knows of one framework: its subscription, its tasks, its executors and what it refused."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from scale_worker.devcluster.recordio import EventStream
from scale_worker.devcluster.resources import Resources

TERMINAL = frozenset(
    {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED", "TASK_GONE"}
)
COMPLETED_TASKS = 1000  # as many as a real master remembers for each framework


@dataclass
class Task:
    """A task that the master launched; it stays known until its terminal update is acknowledged."""

    id: str
    name: str
    agent_id: str
    executor_id: str  # "" for a command task
    resources: Resources
    state: str = "TASK_STAGING"
    status: dict[str, Any] | None = None  # the last one sent to the framework
    is_charged: bool = True
    statuses: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=10))


@dataclass
class ExecutorCharge:
    """An executor whose own resources are charged while it lives."""

    info: dict[str, Any]  # complete
    resources: Resources
    given: dict[str, Any] | None = None  # as the framework sent it: most later tasks repeat it to the letter


class Executors(MutableMapping[tuple[str, str], ExecutorCharge]):
    """The living executors of a framework by agent id and executor id; those of one agent are found at once."""

    def __init__(self) -> None:
        self._by_agent: dict[str, dict[str, ExecutorCharge]] = {}

    def __getitem__(self, key: tuple[str, str]) -> ExecutorCharge:
        return self.on(key[0])[key[1]]

    def __setitem__(self, key: tuple[str, str], charge: ExecutorCharge) -> None:
        self._by_agent.setdefault(key[0], {})[key[1]] = charge

    def __delitem__(self, key: tuple[str, str]) -> None:
        mine = self.on(key[0])
        del mine[key[1]]
        if not mine:
            self._by_agent.pop(key[0], None)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((agent_id, executor_id) for agent_id, mine in self._by_agent.items() for executor_id in mine)

    def __len__(self) -> int:
        return sum(map(len, self._by_agent.values()))

    def on(self, agent_id: str) -> dict[str, ExecutorCharge]:
        """By executor id."""
        return self._by_agent.get(agent_id, {})

    def forget_agent(self, agent_id: str) -> None:
        self._by_agent.pop(agent_id, None)


@dataclass
class Refusal:
    """Resources of one agent that the framework does not want to be offered again until a loop time."""

    resources: Resources
    until: float


@dataclass
class Framework:
    id: str
    info: dict[str, Any]
    registered: float
    reregistered: float | None = None
    unregistered: float = 0.0
    stream: EventStream | None = None
    is_suppressed: bool = False
    tasks: dict[str, Task] = field(default_factory=dict)
    completed: deque[Task] = field(default_factory=lambda: deque(maxlen=COMPLETED_TASKS))
    executors: Executors = field(default_factory=Executors)
    refusals: dict[str, list[Refusal]] = field(default_factory=dict)  # by agent id
    removal: asyncio.TimerHandle | None = None
    heartbeat: asyncio.TimerHandle | None = None

    @property
    def is_connected(self) -> bool:
        return self.stream is not None and self.stream.is_open

    @property
    def wants_offers(self) -> bool:
        return self.is_connected and not self.is_suppressed

    def has_capability(self, name: str) -> bool:
        return any(capability.get("type") == name for capability in self.info.get("capabilities", ()))

    @property
    def role(self) -> str:
        if self.has_capability("MULTI_ROLE"):
            roles = self.info.get("roles") or ["*"]
            return str(roles[0])
        return str(self.info.get("role", "*"))

    def send(self, event: dict[str, Any]) -> None:
        """Send one event, or lose it: what must arrive is repeated by the agent or asked for again."""
        if self.stream is not None:
            self.stream.send(event)

    def refuses(self, agent_id: str, resources: Resources, now: float) -> bool:
        """Is an offer of `resources` no more than what was refused? More than that is always worth an offer."""
        refusals = [refusal for refusal in self.refusals.get(agent_id, ()) if refusal.until > now]
        self.refusals[agent_id] = refusals
        return any(refusal.resources.contains(resources) for refusal in refusals)

    def used(self) -> Resources:
        total = Resources()
        for task in self.tasks.values():
            if task.is_charged:
                total += task.resources
        for charge in self.executors.values():
            total += charge.resources
        return total


def role_problem(info: dict[str, Any]) -> str | None:
    """What is wrong with the roles of a FrameworkInfo, in the master's words; None: nothing."""
    for role in [info.get("role", "*"), *info.get("roles", ())]:
        problem = _problem(str(role))
        if problem:
            return f"'FrameworkInfo.role' is not a valid role: {problem}"
    return None


def _problem(role: str) -> str | None:
    if role == "*":
        return None
    if role.startswith("/"):
        return f"Role '{role}' cannot start with a slash"
    if role.endswith("/"):
        return f"Role '{role}' cannot end with a slash"
    for part in role.split("/"):
        if part in {"", ".", "..", "*"} or part.startswith("-") or any(c in " \t\n\r\v\f\b\x7f" for c in part):
            return f"Role '{role}' contains an invalid component '{part}'"
    return None
