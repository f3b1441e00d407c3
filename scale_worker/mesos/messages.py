"""Mesos' JSON <-> our dataclasses. No dict of Mesos goes further than this file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from scale_core import VERSION
from scale_core.domain.execution import ExecutionSpec
from scale_core.domain.job import Resources
from scale_core.domain.scheduling import Offer
from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.services.node import Agent
from scale_core.settings import Settings

Message = dict[str, Any]


@dataclass(frozen=True)
class Subscribed:
    """The master accepted us; everything that was offered before is void."""

    framework_id: str
    master_hostname: str
    master_port: int


@dataclass(frozen=True)
class Disconnected:
    """The event stream ended; the driver subscribes again."""


@dataclass(frozen=True)
class FrameworkRemoved:
    """The master forgot our framework id for ever, and killed its tasks."""

    message: str


@dataclass(frozen=True)
class FrameworkError:
    """The master refuses us; the driver tries again."""

    message: str


@dataclass(frozen=True)
class OffersReceived:
    offers: tuple[Offer, ...]


@dataclass(frozen=True)
class OfferRescinded:
    offer_id: str


@dataclass(frozen=True)
class UpdateReceived:
    """`data` is still as it came; decode() reads it, away from the driver's thread."""

    update: TaskUpdate
    data: str = ""

    def decode(self) -> TaskUpdate:
        """The update with what our executor reported. Data that is not ours is left out."""
        try:
            return replace(self.update, **read_status_data(self.data)) if self.data else self.update
        except ValueError as error:
            return replace(self.update, message=f"{self.update.message} ({error})".strip())


@dataclass(frozen=True)
class AgentLost:
    agent_id: str


@dataclass(frozen=True)
class AgentsListed:
    """What the master's list of agents said."""

    agents: tuple[Agent, ...]


@dataclass(frozen=True)
class QueueChanged:
    """Something was put on the queue."""


Event = (
    Subscribed
    | Disconnected
    | FrameworkRemoved
    | FrameworkError
    | OffersReceived
    | OfferRescinded
    | UpdateReceived
    | AgentLost
    | AgentsListed
    | QueueChanged
)


@dataclass(frozen=True)
class ExecutorConfig:
    """How agents start our executor. Two processes with equal configurations share the executors that run already."""

    command: str
    resources: Resources
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same executor, and another for any change: Mesos refuses two ExecutorInfos with one id."""
        facts = [self.command, sorted(self.environment.items()), self.resources.cpus, self.resources.mem]
        return f"scale-{VERSION}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]}"


def executor_config(settings: Settings) -> ExecutorConfig:
    """The executor as the settings describe it, with the settings that it reads on its node."""
    environment = {
        "SCALE_LOG_LEVEL": settings.log_level,
        "SCALE_NODE_ALLOW_PRIVILEGED": "1" if settings.node_allow_privileged else "0",
        "SCALE_DOCKER_NETWORK": settings.docker_network,
        "SCALE_DOCKER_PULL_TIMEOUT_S": f"{settings.docker_pull_timeout_s:g}",
    }
    if settings.mounts:
        environment["SCALE_MOUNTS"] = ";".join(f"{remote}={local}" for remote, local in settings.mounts.items())
    resources = Resources(settings.executor_cpus, settings.executor_mem)
    return ExecutorConfig(settings.executor_command, resources, environment)


def parse_agents(raw: Message) -> AgentsListed:
    """The answer of the master's /slaves: the agents that are there now."""
    return AgentsListed(
        tuple(
            Agent(
                agent_id=agent["id"],
                hostname=agent["hostname"],
                port=int(agent["port"]),
                attributes=agent.get("attributes") or {},
                total=_resources(agent.get("resources") or {}),
                used=_resources(agent.get("used_resources") or {}),
            )
            for agent in raw.get("slaves") or ()
            if agent.get("active")
        )
    )


def parse_offer(raw: Message) -> Offer:
    """An Offer of Mesos. Only resources that any task may use count: no revocable, shared or pre-made ones."""
    address = (raw.get("url") or {}).get("address") or {}
    entries = tuple(entry for entry in raw.get("resources") or () if _is_plain(entry))
    return Offer(
        id=raw["id"]["value"],
        agent_id=raw["agent_id"]["value"],
        hostname=raw.get("hostname") or address.get("hostname") or address.get("ip") or raw["agent_id"]["value"],
        port=int(address.get("port") or 5051),
        resources=Resources(*(_total(entries, name) for name in ("cpus", "mem", "disk", "gpus"))),
        executor_ids=frozenset(item["value"] for item in raw.get("executor_ids") or ()),
        attributes={item["name"]: _attribute(item) for item in raw.get("attributes") or ()},
        entries=entries,
    )


def parse_update(status: Message) -> UpdateReceived:
    """A TaskStatus of Mesos. A state that this version does not know counts as TASK_UNKNOWN."""
    update = TaskUpdate(
        task_id=status["task_id"]["value"],
        state=_state(status.get("state")),
        reason=status.get("reason") or "",
        source=status.get("source") or "",
        message=status.get("message") or "",
        agent_id=(status.get("agent_id") or {}).get("value") or "",
        uuid=status.get("uuid") or "",
    )
    return UpdateReceived(update, status.get("data") or "")


def _state(name: object) -> TaskState:
    try:
        return TaskState(str(name))
    except ValueError:
        return TaskState.UNKNOWN


def read_status_data(data: str) -> Message:
    """The directory, outcome and outcome_file of domain.execution.StatusData, the outcome as JSON has it.

    Raises ValueError when the data is not ours.
    """
    try:
        raw = _load(zlib.decompress(base64.b64decode(data)))
        known = {name: raw.get(name) for name in ("directory", "outcome", "outcome_file")}
    except (zlib.error, binascii.Error, AttributeError, RecursionError) as error:
        raise ValueError(f"its data is not of a Scale executor: {error}") from error
    if not isinstance(known["outcome"], dict | None):
        raise ValueError("its outcome is no object")
    return known


def build_executor_info(config: ExecutorConfig, framework_id: str) -> Message:
    """ExecutorInfo: has to be identical, byte for byte, in every task of the framework."""
    variables = [{"name": name, "value": value} for name, value in sorted(config.environment.items())]
    return {
        "executor_id": {"value": config.id},
        "type": "CUSTOM",
        "framework_id": {"value": framework_id},
        "name": f"Scale {VERSION} node executor",
        "source": "scale",
        "resources": [_scalar("cpus", config.resources.cpus), _scalar("mem", config.resources.mem)],
        "command": {"value": config.command, "shell": True, "environment": {"variables": variables}},
    }


def build_task_info(spec: ExecutionSpec, agent_id: str, executor: Message, resources: Sequence[Message]) -> Message:
    """TaskInfo that carries the whole specification to our executor."""
    return {
        "name": f"{spec.job_type} {spec.job_type_version} (execution {spec.job_exe_id})",
        "task_id": {"value": spec.task_id},
        "agent_id": {"value": agent_id},
        "resources": list(resources),
        "executor": executor,
        "data": base64.b64encode(orjson.dumps(spec)).decode(),
    }


class Purse:
    """The resources offered on one agent, handed out in pieces.

    Each piece keeps the role and reservation of what it was cut from: Mesos accepts no others.
    """

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._left = [
            [dict(entry), entry["scalar"]["value"]]  # type: ignore[index]
            for offer in offers
            for entry in offer.entries
        ]

    def take(self, needs: Resources) -> list[Message]:
        """Pieces that amount to `needs`, or as much as there is; never none at all, which Mesos refuses."""
        wanted = {"cpus": max(needs.cpus, 0.001), "mem": needs.mem, "disk": needs.disk, "gpus": needs.gpus}
        return [piece for name, amount in wanted.items() for piece in self._cut(name, amount)]

    def spare(self, needs: Resources) -> None:
        """Leave out what our executor takes: it is asked for without a role, in the same shape on all agents."""
        for name in ("cpus", "mem"):
            self._cut(name, getattr(needs, name), unreserved_first=True)

    def _cut(self, name: str, amount: float, unreserved_first: bool = False) -> list[Message]:
        pieces: list[Message] = []
        if amount <= 0:
            return pieces
        entries = [item for item in self._left if item[0]["name"] == name]
        if len(entries) > 1:
            entries.sort(key=lambda item: (item[0].get("role", "*") == "*") != unreserved_first)
        for item in entries:
            part = round(min(amount, item[1]), 3)
            if part > 0:
                pieces.append({**item[0], "scalar": {"value": part}})
                item[1] = round(item[1] - part, 3)
                amount = round(amount - part, 3)
        return pieces


def _is_plain(entry: Message) -> bool:
    special = ("revocable", "shared", "disk", "provider_id")
    return entry.get("type") == "SCALAR" and not any(key in entry for key in special)


def _total(entries: Iterable[Message], name: str) -> float:
    return round(sum(float(entry["scalar"]["value"]) for entry in entries if entry["name"] == name), 3)


def _resources(raw: Message) -> Resources:
    return Resources(*(float(raw.get(name) or 0.0) for name in ("cpus", "mem", "disk", "gpus")))


def _attribute(raw: Message) -> str:
    for kind in ("text", "scalar"):
        if kind in raw:
            return str(raw[kind].get("value"))
    return json.dumps(raw.get(str(raw.get("type", "")).lower()))


def _scalar(name: str, value: float) -> Message:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, "role": "*"}


def _load(text: bytes) -> Any:
    """JSON that PostgreSQL stores: what Python's json lets pass beyond the standard (NaN, surrogates) is mended."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        lenient = json.loads(text, parse_constant=lambda _: None)
        return orjson.loads(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))
