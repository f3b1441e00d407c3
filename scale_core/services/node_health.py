"""Nodes on which executions fail by Scale's errors are paused, probed with one execution at a time, and taken back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.node import Node
from scale_core.db.session import QUEUE_CHANNEL, notify
from scale_core.db.sql import load
from scale_core.domain import node_health as rules
from scale_core.domain.failure import LOST_ERRORS
from scale_core.domain.job import ExecutionStatus
from scale_core.domain.node_health import HealthPolicy, Probe, Sickness
from scale_core.domain.scheduling import Launch

SQL = load("health")
# a remote workspace that is away fails on every node alike
_NOT_ITS_FAULT = sorted({*LOST_ERRORS, "remote-storage"})
_MOUNTS = ["nfs"]  # the node's fault, or its server's
logger = logging.getLogger(__name__)


def watch(session: Session, policy: HealthPolicy, now: datetime) -> None:
    """Pause nodes that fell sick; look at the probes of those that are; take back what has recovered."""
    query = select(Node).where(Node.is_paused_errors).order_by(Node.id).with_for_update()
    sick = session.scalars(query.execution_options(populate_existing=True)).all()
    probes = _probes(session, [sickness(node.health).probe_id for node in sick])
    for node in sick:
        _look(session, policy, node, probes, now)
    since = now - timedelta(seconds=policy.window_s)
    parameters = {"since": since, "minimum": max(policy.minimum, 1), "lost": _NOT_ITS_FAULT, "mounts": _MOUNTS}
    for row in session.execute(SQL["failed"], parameters).all() if policy.rate > 0 else ():
        if policy.is_sick(row.ended, row.failed):
            _pause(session, policy, row, now)
    session.flush()


def limit_probes(session: Session, launches: Sequence[Launch], probed: Collection[int]) -> list[Launch]:
    """At most one launch for each node (by id) that is probed, noted as its probe; all the others as they are."""
    chosen: list[Launch] = []
    probing: set[int] = set()
    for launch in launches:
        if launch.node_id not in probed:
            chosen.append(launch)
        elif launch.node_id not in probing:
            parameters = {"node_id": launch.node_id, "job_exe_id": launch.entry.job_exe_id}
            if session.execute(SQL["begin_probe"], parameters).first():
                chosen.append(launch)
                probing.add(launch.node_id)
    return chosen


def set_usage(session: Session, usages: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
    """What the executors of these agents measured."""
    documents = [orjson.dumps({**usage, "measured": now}).decode() for usage in usages.values()]
    session.execute(SQL["use"], {"agent_ids": list(usages), "usages": documents})


def sickness(health: Mapping[str, Any]) -> Sickness:
    """node.health of a node that errors paused."""
    return Sickness(
        datetime.fromisoformat(health["since"]),
        datetime.fromisoformat(health["next_probe"]),
        int(health.get("failures") or 0),
        health.get("probe_id"),
    )


def _document(sick: Sickness) -> dict[str, Any]:
    probe = {} if sick.probe_id is None else {"probe_id": sick.probe_id}
    times = {"since": sick.since.isoformat(), "next_probe": sick.next_probe.isoformat()}
    return {**times, "failures": sick.failures, **probe}


def _probes(session: Session, ids: Sequence[int | None]) -> dict[int, Probe]:
    wanted = [job_exe_id for job_exe_id in ids if job_exe_id is not None]
    if not wanted:
        return {}
    rows = session.execute(SQL["probes"], {"ids": wanted, "lost": _NOT_ITS_FAULT})
    return {row.id: _probe(row) for row in rows}


def _probe(row: Any) -> Probe:
    if row.status == ExecutionStatus.RUNNING:
        return Probe.RUNNING
    if row.status in (ExecutionStatus.QUEUED, ExecutionStatus.CANCELED) or row.is_lost:
        return Probe.NOTHING
    return Probe.FAILED if row.is_system else Probe.PASSED


def _look(session: Session, policy: HealthPolicy, node: Node, probes: Mapping[int, Probe], now: datetime) -> None:
    sick = sickness(node.health)
    if sick.probe_id is None:
        return
    after = rules.after_probe(policy, sick, probes.get(sick.probe_id, Probe.NOTHING), now)
    if after is None:
        logger.info("node %s has recovered", node.hostname)
        node.is_paused = node.is_paused_errors = False
        node.pause_reason, node.health = None, {"recovered": now.isoformat()}
        notify(session, QUEUE_CHANNEL)
    elif after != sick:
        node.health = _document(after)


def _pause(session: Session, policy: HealthPolicy, row: Any, now: datetime) -> None:
    node = session.get_one(Node, row.node_id, with_for_update=True)
    reason = f"{row.failed} of {row.ended} executions failed by SYSTEM errors within {policy.window_s:g} s"
    logger.warning("node %s is paused: %s", node.hostname, reason)
    node.is_paused = node.is_paused_errors = True
    node.pause_reason, node.health = reason, _document(rules.fall_sick(policy, now))
