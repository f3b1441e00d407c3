"""Mesos' JSON <-> our dataclasses. No dict of Mesos goes further than this file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

import orjson

from scale_core import VERSION
from scale_core.domain.execution import ExecutionSpec
from scale_core.domain.job import Resources
from scale_core.domain.places import Offer
from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.services.node import Agent
from scale_core.settings import Settings

Message = dict[str, Any]

MAX_MEASURED = 1e12  # cpus or MiB
RESOURCE_NAMES = tuple(f.name for f in fields(Resources))  # as Mesos spells them
MIN_CPUS = 0.001  # Mesos refuses a task that asks for nothing


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
class NodeUsage:
    """What the executor on an agent measured: cpus, mem and disk that its jobs really use, and what else it says."""

    agent_id: str
    usage: Mapping[str, Any]


@dataclass(frozen=True)
class QueueChanged:
    """Something was put on the queue, nothing of it before `since` (priority, time of queuing); None: who knows."""

    since: tuple[int, datetime] | None = None


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
    | NodeUsage
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
        "SCALE_LOG_FORMAT": settings.log_format,
        # what SCALE_NODE_… says is the node's own word, so these go under other names
        "SCALE_ALLOW_PRIVILEGED": "1" if settings.allow_privileged else "0",
        "SCALE_DOCKER_NETWORK": settings.docker_network,
        "SCALE_DOCKER_PULL_TIMEOUT_S": f"{settings.docker_pull_timeout_s:g}",
        "SCALE_DOCKER_FORCE_PULL": "1" if settings.docker_force_pull else "0",
        "SCALE_DOCKER_READ_ONLY": "1" if settings.docker_read_only else "0",
        "SCALE_JOB_PIDS": str(settings.job_pids),
        "SCALE_JOB_LOG_MIB": f"{settings.job_log_mib:g}",
        "SCALE_EXECUTOR_IDLE_S": f"{settings.executor_idle_s:g}",
        "SCALE_SECRETS_DIR": settings.secrets_dir,
    }
    if settings.privileged_images:
        environment["SCALE_PRIVILEGED_IMAGES"] = ",".join(settings.privileged_images)
    if settings.docker_paths:
        environment["SCALE_DOCKER_PATHS"] = ";".join(f"{here}={there}" for here, there in settings.docker_paths.items())
    if settings.mounts:
        environment["SCALE_MOUNTS"] = ";".join(f"{remote}={local}" for remote, local in settings.mounts.items())
    if settings.nfs_exports:
        environment["SCALE_NFS_EXPORTS"] = ";".join(settings.nfs_exports)
        environment["SCALE_NFS_ROOT"] = str(settings.nfs_root)
    if settings.host_paths:
        environment["SCALE_HOST_PATHS"] = ";".join(settings.host_paths)
    if settings.remote_networks:
        environment["SCALE_REMOTE_NETWORKS"] = ",".join(map(str, settings.remote_networks))
    if settings.history_dir:
        environment["SCALE_HISTORY_DIR"] = settings.history_dir
    resources = Resources(settings.executor_cpus, settings.executor_mem)
    return ExecutorConfig(settings.executor_command, resources, environment)


def parse_agents(raw: Message, role: str = "*") -> AgentsListed:
    """The answer of the master's /slaves: the agents that are there now, with what a framework of that role may use."""
    return AgentsListed(
        tuple(
            Agent(
                agent_id=agent["id"],
                hostname=agent["hostname"],
                port=int(agent["port"]),
                attributes={name: str(value) for name, value in (agent.get("attributes") or {}).items()},
                total=_usable(agent, role),
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
        resources=Resources(*(_total(entries, name) for name in RESOURCE_NAMES)),
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


def parse_usage(agent_id: str, data: str) -> NodeUsage:
    """A message of our executor: base64 of ``{"usage": {"cpus": …, "mem": …, "disk": …}, "running": n, "version": …}``.

    Raises ValueError when it is none.
    """
    raw = orjson.loads(base64.b64decode(data, validate=True))
    said = raw.get("usage") if isinstance(raw, dict) else None
    if not isinstance(said, dict):
        raise ValueError("the message tells no usage")
    usage: dict[str, Any] = {name: _measured(said[name]) for name in RESOURCE_NAMES if name in said}
    if isinstance(raw.get("running"), int):
        usage["running"] = raw["running"]
    if isinstance(raw.get("version"), str):
        usage["version"] = raw["version"][:50].replace("\0", "")
    return NodeUsage(agent_id, usage)


def _measured(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_MEASURED:
        raise ValueError(f"{value!r} is no amount of a resource")
    return float(value)


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
        wanted = {name: getattr(needs, name) for name in RESOURCE_NAMES}
        wanted["cpus"] = max(wanted["cpus"], MIN_CPUS)
        return [piece for name, amount in wanted.items() for piece in self._cut(name, amount)]

    def executor(self, config: ExecutorConfig, framework_id: str, running: Collection[str]) -> Message:
        """The ExecutorInfo for tasks on this agent, where executors with the ids `running` live; a new one is paid for.

        It is made of unreserved resources, so that it has the same shape on all agents: every further task must repeat
        it to the letter. Where these do not suffice, of one reservation that does, under an id of its own.
        """
        info = build_executor_info(config, framework_id)
        if config.id in running:
            return info
        reserved = {_variant_id(config, kind): kind for kind in self._reservations()}
        known = next((executor_id for executor_id in reserved if executor_id in running), None)
        chosen = known or self._payer(config.resources, reserved)
        if chosen is None:
            self.spare(config.resources)
            return info
        kind = reserved[chosen]
        needs = {"cpus": config.resources.cpus, "mem": config.resources.mem}
        if known is None:
            for name, amount in needs.items():
                self._cut(name, amount, lambda entry: _reservation(entry) != kind)
        resources = [{**kind, **_amount(name, value)} for name, value in needs.items()]
        return {**info, "executor_id": {"value": chosen}, "resources": resources}

    def _payer(self, needs: Resources, reserved: Mapping[str, Message]) -> str | None:
        """The reservation that can hold the executor; None when unreserved resources can, or nothing can."""
        if self._holds(needs, {}):
            return None
        return next((executor_id for executor_id, kind in reserved.items() if self._holds(needs, kind)), None)

    def _reservations(self) -> list[Message]:
        found: list[Message] = []
        for entry, _ in self._left:
            kind = _reservation(entry)
            if kind and kind not in found:
                found.append(kind)
        return found

    def _holds(self, needs: Resources, kind: Message) -> bool:
        left = dict.fromkeys(("cpus", "mem"), 0.0)
        for entry, amount in self._left:
            if entry["name"] in left and _reservation(entry) == kind:
                left[entry["name"]] += amount
        return left["cpus"] + MIN_CPUS > needs.cpus and left["mem"] + MIN_CPUS > needs.mem

    def spare(self, needs: Resources) -> None:
        """Leave out what an executor takes that is made of unreserved resources."""
        for name in ("cpus", "mem"):
            self._cut(name, getattr(needs, name), lambda entry: bool(_reservation(entry)))

    def _cut(
        self, name: str, amount: float, is_last: Callable[[Message], bool] = lambda entry: not _reservation(entry)
    ) -> list[Message]:
        """Cut from the entries of that name; from those that `is_last` is true of only when others do not suffice."""
        pieces: list[Message] = []
        if amount <= 0:
            return pieces
        entries = [item for item in self._left if item[0]["name"] == name]
        if len(entries) > 1:
            entries.sort(key=lambda item: is_last(item[0]))
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
    return Resources(*(float(raw.get(name) or 0.0) for name in RESOURCE_NAMES))


def _usable(agent: Message, role: str) -> Resources:
    """What is not reserved, and what is to that role or one above it."""
    reserved = agent.get("reserved_resources") or {}
    others = [amounts for owner, amounts in reserved.items() if role != owner and not role.startswith(f"{owner}/")]
    total = agent.get("resources") or {}
    left = {name: float(total.get(name) or 0.0) for name in RESOURCE_NAMES}
    for amounts in others:
        left = {name: round(amount - float(amounts.get(name) or 0.0), 3) for name, amount in left.items()}
    return _resources(left)


def _attribute(raw: Message) -> str:
    """As the master's /slaves spells attributes: r7, 2.0, [1-5, 8-9], {a, b}."""
    if "ranges" in raw:
        pairs = [f"{item['begin']}-{item['end']}" for item in raw["ranges"].get("range") or ()]
        return f"[{', '.join(pairs)}]"
    if "set" in raw:
        return f"{{{', '.join(raw['set'].get('item') or ())}}}"
    value = raw.get("text") or raw.get("scalar") or {}
    return str(value.get("value", ""))


def _reservation(entry: Message) -> Message:
    """What makes a resource a reserved one: fields to repeat in whatever is cut from it. Empty: it is not reserved.

    Mesos before 1.4, and to frameworks without RESERVATION_REFINEMENT, says `role` and, if it was made at run time,
    `reservation`; else `reservations`.
    """
    if entry.get("reservations"):
        return {"reservations": entry["reservations"]}
    if entry.get("role", "*") == "*":
        return {}
    return {name: entry[name] for name in ("role", "reservation") if name in entry}


def _variant_id(config: ExecutorConfig, kind: Message) -> str:
    return f"{config.id}-{hashlib.sha256(json.dumps(kind, sort_keys=True).encode()).hexdigest()[:8]}"


def _amount(name: str, value: float) -> Message:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def _scalar(name: str, value: float) -> Message:
    return {**_amount(name, value), "role": "*"}


def _load(text: bytes) -> Any:
    """JSON that PostgreSQL stores: what Python's json lets pass beyond the standard (NaN, surrogates) is mended."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        lenient = json.loads(text, parse_constant=lambda _: None)
        return orjson.loads(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))
