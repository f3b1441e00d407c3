"""Nodes: our durable record of the agents' hosts, made from offers and from what the master lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from scale_core.db.node import Node, Scheduler
from scale_core.db.session import QUEUE_CHANNEL, notify
from scale_core.db.sql import load
from scale_core.domain.job import Resources
from scale_core.domain.places import NodeState
from scale_core.errors import Conflict, Invalid, NotFound, Problem
from scale_core.services import node_health

SQL = load("node")
LIST_AGE = timedelta(seconds=15)  # the master's list of agents may be that old when it is written down
EDITABLE = {"hostname": str, "port": int, "pause_reason": str, "is_paused": bool, "is_active": bool}


@dataclass(frozen=True)
class Agent:
    """An agent as Mesos shows it. `has_offered`: it was seen through an offer. `total`, `used`: None if not said."""

    agent_id: str
    hostname: str
    port: int
    attributes: Mapping[str, Any] = field(default_factory=dict)
    total: Resources | None = None
    used: Resources | None = None
    has_offered: bool = False


def register(session: Session, agents: Iterable[Agent], now: datetime) -> None:
    """Insert or update the nodes of these agents and mark them online.

    An agent is known by its id; a new id on a known host and port is the same node after a new start. A second agent on
    a host that is online gets a node of its own, named host:port.
    """
    seen = {agent.agent_id: agent for agent in agents}
    if not seen:
        return
    rows = session.execute(
        SQL["locate"], {"agent_ids": list(seen), "hostnames": sorted({agent.hostname for agent in seen.values()})}
    ).all()
    by_agent = {row.agent_id: row for row in rows}
    by_host = {row.hostname: row for row in rows if row.agent_id not in seen}
    known: list[tuple[int, Agent]] = []
    fresh: dict[str, Agent] = {}
    for agent in seen.values():
        row = by_agent.get(agent.agent_id) or _same_host(by_host, agent)
        if row is not None:
            known.append((row.id, agent))
            by_host.pop(row.hostname, None)
        else:
            taken = agent.hostname in fresh or any(row.hostname == agent.hostname for row in rows)
            fresh[f"{agent.hostname}:{agent.port}" if taken else agent.hostname] = agent
    _write(session, known, fresh, now)


def set_totals(session: Session, agents: Sequence[Agent]) -> None:
    """What the master lists of these agents: total and used resources; they are online."""
    session.execute(
        SQL["totals"],
        {
            "agent_ids": [agent.agent_id for agent in agents],
            "resources": [orjson.dumps(_resources(agent)).decode() for agent in agents],
        },
    )


def set_unlisted(session: Session, agent_ids: Sequence[str], now: datetime) -> None:
    """The master does not list these agents: they are offline, unless they made an offer meanwhile."""
    if agent_ids:
        session.execute(SQL["unlisted"], {"agent_ids": list(agent_ids), "recent": now - LIST_AGE})


def set_offline(session: Session, agent_ids: Sequence[str]) -> None:
    """The master gave these agents up."""
    if agent_ids:
        session.execute(update(Node).where(Node.agent_id.in_(agent_ids), Node.is_online).values(is_online=False))


def versions(session: Session) -> dict[int, str]:
    """The online nodes by id, each with what changes when its row does; empty while only time tells how it is."""
    return {row.id: row.version for row in session.execute(SQL["versions"])}


def states(session: Session, now: datetime | None = None, ids: Sequence[int] | None = None) -> list[NodeState]:
    """The online nodes (of these ids), with the reason why one takes no work. `now`: whether a probe is due."""
    query = select(
        Node.id,
        Node.agent_id,
        Node.hostname,
        Node.resources,
        Node.is_paused,
        Node.pause_reason,
        Node.is_active,
        Node.is_paused_errors,
        Node.health,
    ).where(Node.is_online)
    if ids is not None:
        query = query.where(Node.id.in_(ids))
    return [_state(row, now) for row in session.execute(query.order_by(Node.id))]


def edit(session: Session, node_id: int, changes: Mapping[str, Any], now: datetime) -> Node:
    """Change some of hostname, port, pause_reason, is_paused, is_active.

    A change of is_paused clears is_paused_errors, and un-pausing clears the reason. Raises NotFound, Invalid, Conflict.
    """
    _check(changes)
    node = session.get(Node, node_id, with_for_update=True)
    if node is None:
        raise NotFound(f"there is no node {node_id}")
    if changes.get("hostname", node.hostname) != node.hostname:
        _check_name_is_free(session, changes["hostname"])
    was_paused = node.is_paused
    for name, value in changes.items():
        setattr(node, name, value)
    if "is_paused" in changes:
        node.is_paused_errors = False
        # when a person lifts a pause, failures before that count no more
        node.health = {"recovered": now.isoformat()} if was_paused and not node.is_paused else {}
    if not node.is_paused:
        node.pause_reason = None
    if "is_active" in changes:
        node.archived = None if node.is_active else node.archived or now
    session.flush()
    notify(session, QUEUE_CHANNEL)  # the offer handler looks at its nodes at once
    return node


def set_scheduler_paused(session: Session, is_paused: bool) -> Scheduler:
    """Stop or go on with starting executions, in the whole cluster; what runs goes on."""
    session.execute(insert(Scheduler).values(id=1).on_conflict_do_nothing())
    scheduler = session.get_one(Scheduler, 1, with_for_update=True)
    scheduler.is_paused = is_paused
    session.flush()
    notify(session, QUEUE_CHANNEL)  # the offer handler looks at once
    return scheduler


def _same_host(by_host: Mapping[str, Any], agent: Agent) -> Any | None:
    for name in (agent.hostname, f"{agent.hostname}:{agent.port}"):
        row = by_host.get(name)
        if row is not None and (row.port == agent.port or not row.is_online):
            return row
    return None


def _write(session: Session, known: Sequence[tuple[int, Agent]], fresh: Mapping[str, Agent], now: datetime) -> None:
    if known:
        ids = [node_id for node_id, _ in known]
        session.execute(SQL["update"], {"ids": ids, **_columns([agent for _, agent in known], now)})
    if fresh:
        session.execute(SQL["insert"], {"hostnames": list(fresh), **_columns(list(fresh.values()), now)})


def _columns(agents: Sequence[Agent], now: datetime) -> dict[str, list[Any]]:
    return {
        "ports": [agent.port for agent in agents],
        "agent_ids": [agent.agent_id for agent in agents],
        "attributes": [orjson.dumps(dict(agent.attributes)).decode() for agent in agents],
        "last_offers": [now if agent.has_offered else None for agent in agents],
    }


def _resources(agent: Agent) -> dict[str, dict[str, float]]:
    pairs = (("total", agent.total), ("used", agent.used))
    return {name: {"cpus": r.cpus, "mem": r.mem, "disk": r.disk, "gpus": r.gpus} for name, r in pairs if r is not None}


def _state(row: Any, now: datetime | None) -> NodeState:
    total = row.resources.get("total") or {}
    refuses, is_probed = "", False
    if not row.is_active:
        refuses = "not active"
    elif is_probed := bool(row.is_paused_errors and now and node_health.sickness(row.health).is_probe_due(now)):
        pass
    elif row.is_paused:
        refuses = f"paused ({row.pause_reason})" if row.pause_reason else "paused"
    return NodeState(
        node_id=row.id,
        agent_id=row.agent_id,
        hostname=row.hostname,
        total=Resources(*(float(total.get(name) or 0.0) for name in ("cpus", "mem", "disk", "gpus"))),
        refuses=refuses,
        is_probed=is_probed,
    )


def _check(changes: Mapping[str, Any]) -> None:
    problems = [Problem(name, "is not a field of a node that can be changed") for name in changes.keys() - EDITABLE]
    for name, value in changes.items():
        kind = EDITABLE.get(name)
        nullable = name == "pause_reason" and value is None
        if kind and not nullable and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            problems.append(Problem(name, f"must be {_KIND_NAMES[kind]}"))
    port, hostname = changes.get("port"), changes.get("hostname")
    if isinstance(port, int) and not isinstance(port, bool) and not 0 < port < 65536:
        problems.append(Problem("port", "must be between 1 and 65535"))
    if isinstance(hostname, str) and not 0 < len(hostname) <= 250:
        problems.append(Problem("hostname", "must have 1 to 250 characters"))
    reason = changes.get("pause_reason")
    if isinstance(reason, str) and len(reason) > 250:
        problems.append(Problem("pause_reason", "must have at most 250 characters"))
    if not changes:
        problems.append(Problem("", "no field was given"))
    if problems:
        raise Invalid(problems=sorted(problems, key=lambda problem: problem.path))


_KIND_NAMES: dict[type, str] = {str: "a string", int: "an integer", bool: "true or false"}


def _check_name_is_free(session: Session, hostname: str) -> None:
    if session.scalar(select(Node.id).where(Node.hostname == hostname)) is not None:
        raise Conflict(f"another node is called {hostname}")
