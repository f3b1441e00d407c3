"""Nodes, the scheduler's row, and the state of the whole system as the rows tell it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.job import Error, JobExecution
from scale_core.db.node import Node, Scheduler
from scale_core.db.queue import Queue
from scale_core.domain.job import ExecutionStatus, Resources
from scale_core.errors import NotFound
from scale_core.queries import job_execution
from scale_core.queries.job_type import JobCount
from scale_core.queries.listing import ALWAYS, Order, Page, Period, With, read_page
from scale_core.queries.shape import Json, Shape, rows
from scale_core.timestamps import isoformat, parse_datetime

ORDER = Order(Node, default=["last_modified"])
STATUS_ORDER = Order(Node, default=["hostname"])
SCHEDULER_SILENCE = timedelta(seconds=15)
USAGE_AGE = timedelta(minutes=3)  # executors measure at least once a minute; what is older is no news of the node


@dataclass(frozen=True)
class NodeFilters:
    period: Period = ALWAYS
    include_inactive: bool = False


@dataclass(frozen=True)
class Usage:
    """What there is, what is promised to executions, and what they really use."""

    total: Resources
    scheduled: Resources
    used: Resources


@dataclass(frozen=True)
class SystemStatus:
    """`resources` is None as long as no node has told its own."""

    scheduler: Scheduler
    is_online: bool
    queue_depth: int
    resources: Usage | None


def list_nodes(session: Session, filters: NodeFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(Node.id), Node.last_modified)
    if not filters.include_inactive:
        query = query.where(Node.is_active)
    return read_page(session, query, ORDER, page, filters, rows(Node, shape).read)


def get_node(session: Session, node_id: int, now: datetime) -> With:
    """A node with `job_exes_running`, `usage` (None: unknown) and `disconnected`. Raises NotFound."""
    node = session.get(Node, node_id)
    if node is None:
        raise NotFound(f"There is no node with the id {node_id}.")
    running = job_execution.running_on(session, [node_id])
    usage = Usage(_total(node.resources), _sum(running), _used(node, now)) if node.resources.get("total") else None
    return With(node, job_exes_running=running, usage=usage, disconnected=node.is_active and not node.is_online)


def list_status(session: Session, period: Period, page: Page, shape: Shape, now: datetime) -> tuple[list[Json], int]:
    """Active nodes with the counts of their executions in the period, what runs on them now, and what they really use.

    The usage is None when nothing is known, or nothing new.
    """
    active = select(Node.id).where(Node.is_active)
    read = rows(Node, shape["node"], ("id", "is_online", "usage")).read_with_extra
    nodes, total = read_page(session, active, STATUS_ORDER, Page(page.number, page.size), None, read)
    ids = [row.id for _, row in nodes]
    counts = _counts(session, ids, period)
    running = job_execution.rows_running_on(session, ids, shape["job_exes_running"]) if ids else {}
    return [
        {
            "node": node,
            "is_online": row.is_online,
            "usage": _shown(row.usage, now),
            "job_exe_counts": counts[row.id],
            "job_exes_running": running.get(row.id, []),
        }
        for node, row in nodes
    ], total


def get_scheduler(session: Session) -> Scheduler:
    """The one row; as it would be created when there is none yet."""
    return session.get(Scheduler, 1) or Scheduler(
        id=1, is_paused=False, master_hostname="", master_port=0, master_online=False, hostname="", waiting={}
    )


def get_status(session: Session, now: datetime) -> SystemStatus:
    scheduler = get_scheduler(session)
    is_online = scheduler.heartbeat is not None and now - scheduler.heartbeat < SCHEDULER_SILENCE
    depth = session.scalar(select(func.count()).select_from(Queue)) or 0
    documents = session.scalars(select(Node.resources).where(Node.is_active, Node.is_online)).all()
    known = [document for document in documents if document.get("total")]
    return SystemStatus(scheduler, is_online, depth, _cluster_usage(session, known) if known else None)


def _cluster_usage(session: Session, documents: Sequence[Mapping[str, Any]]) -> Usage:
    scheduled = session.execute(
        select(
            func.sum(JobExecution.cpus_scheduled),
            func.sum(JobExecution.mem_scheduled),
            func.sum(JobExecution.disk_total_scheduled),
            func.sum(JobExecution.gpus_scheduled),
        ).where(JobExecution.status == ExecutionStatus.RUNNING)
    ).one()
    return Usage(
        sum((_total(document) for document in documents), Resources()),
        Resources(*(value or 0.0 for value in scheduled)),
        sum((_resources(document.get("used")) for document in documents), Resources()),
    )


def _counts(session: Session, node_ids: Sequence[int], period: Period) -> dict[int, list[JobCount]]:
    counts: dict[int, list[JobCount]] = defaultdict(list)
    query = (
        select(
            JobExecution.node_id,
            JobExecution.status,
            Error.category,
            func.count(),
            func.max(JobExecution.last_modified),
        )
        .outerjoin(Error, (JobExecution.error_id == Error.id) & (JobExecution.status == ExecutionStatus.FAILED))
        .where(JobExecution.node_id.in_(node_ids))
        .group_by(JobExecution.node_id, JobExecution.status, Error.category)
        .order_by(JobExecution.node_id, JobExecution.status, Error.category)
    )
    for node_id, status, category, count, most_recent in session.execute(
        period.limit(query, JobExecution.last_modified)
    ).all():
        counts[node_id].append(JobCount(status, count, most_recent, category))
    return counts


def _total(document: Mapping[str, Any]) -> Resources:
    return _resources(document.get("total"))


def _used(node: Node, now: datetime) -> Resources:
    """What its executor measured; when it says nothing (any more), what the master has given away there."""
    return _resources(_measured(node.usage, now) or node.resources.get("used"))


def _measured(usage: Mapping[str, Any], now: datetime) -> Mapping[str, Any] | None:
    """What an executor measured, None when that is too old: it left, or its node is away."""
    try:
        measured = parse_datetime(str(usage["measured"]))
    except (KeyError, ValueError):
        return None
    return usage if now - measured < USAGE_AGE else None


def _shown(usage: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
    known = _measured(usage, now)
    if known is None:
        return None
    values = {name: float(known.get(name) or 0.0) for name in ("cpus", "mem", "disk")}
    return {**values, "measured": isoformat(parse_datetime(str(known["measured"])))}


def _resources(document: Any) -> Resources:
    values = document if isinstance(document, dict) else {}
    return Resources(*(float(values.get(name) or 0.0) for name in ("cpus", "mem", "disk", "gpus")))


def _sum(executions: Sequence[JobExecution]) -> Resources:
    return sum(
        (
            Resources(
                e.cpus_scheduled or 0.0, e.mem_scheduled or 0.0, e.disk_total_scheduled or 0.0, e.gpus_scheduled or 0.0
            )
            for e in executions
        ),
        Resources(),
    )
