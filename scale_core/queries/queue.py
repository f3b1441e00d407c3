"""What waits in the queue, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from scale_core.db.job import Job, JobType
from scale_core.db.node import Node, Scheduler
from scale_core.db.queue import Queue
from scale_core.domain.job import JobStatus, Resources
from scale_core.domain.places import NAMES
from scale_core.domain.scheduling import JobTypeLimits, QueueEntry
from scale_core.domain.waiting import Circumstances, reason
from scale_core.queries.listing import ALWAYS, Page, Period
from scale_core.queries.shape import Json, Shape, by_id

SILENCE = timedelta(seconds=15)  # an offer handler that leads says so every 2 to 4 s


@dataclass(frozen=True)
class QueueFilters:
    """`period` is that of queuing."""

    period: Period = ALWAYS
    job_ids: tuple[int, ...] = ()
    job_type_ids: tuple[int, ...] = ()
    job_type_names: tuple[str, ...] = ()
    priorities: tuple[int, ...] = ()


def list_queue(
    session: Session, filters: QueueFilters, page: Page, shape: Shape, now: datetime
) -> tuple[Sequence[Json], int]:
    """Queued executions in the order in which they are looked at, each with its place in the whole queue and why it
    waits. Entries of one page only; the reasons take a fixed number of queries more."""
    positions = select(
        Queue, func.row_number().over(order_by=(Queue.priority, Queue.queued, Queue.job_exe_id)).label("position")
    ).subquery()
    query = _filtered(select(positions), positions.c, filters).order_by(positions.c.position)
    found = session.execute(query.offset(page.offset).limit(page.size)).all()
    if len(found) < page.size and (found or not page.offset):
        total = page.offset + len(found)
    else:
        total = session.scalar(_filtered(select(func.count()).select_from(Queue), Queue, filters)) or 0
    types = by_id(session, JobType, {row.job_type_id for row in found}, shape["job_type"])
    around = circumstances(session, now) if found else Circumstances(now)
    return [_entry(row, types[row.job_type_id], around) for row in found], total


def explain(session: Session, job_id: int, now: datetime) -> Json | None:
    """The place and the reason of one job, if it waits."""
    row = session.execute(select(Queue).where(Queue.job_id == job_id)).scalar()
    if row is None:
        return None
    key = (Queue.priority, Queue.queued, Queue.job_exe_id)
    before = func.row(*key) < func.row(row.priority, row.queued, row.job_exe_id)
    ahead = session.scalar(select(func.count()).select_from(Queue).where(before)) or 0
    return {"position": ahead + 1, "reason": reason(_as_entry(row), ahead, circumstances(session, now), row.not_before)}


def circumstances(session: Session, now: datetime) -> Circumstances:
    """What decides over the whole queue at present."""
    scheduler = session.get(Scheduler, 1)
    running = (
        select(func.count()).where(Job.job_type_id == JobType.id, Job.status == JobStatus.RUNNING).scalar_subquery()
    )
    limited = select(JobType.id, JobType.is_paused, JobType.max_scheduled, running.label("running")).where(
        JobType.is_paused | (JobType.max_scheduled > 0)
    )
    totals = session.scalars(select(Node.resources["total"]).where(Node.is_active, Node.is_online)).all()
    return Circumstances(
        now=now,
        is_led=scheduler is not None and scheduler.heartbeat is not None and now - scheduler.heartbeat < SILENCE,
        is_paused=scheduler is not None and scheduler.is_paused,
        nodes=[Resources(**{name: float(total.get(name) or 0.0) for name in NAMES}) for total in totals if total],
        limits={
            row.id: JobTypeLimits(row.is_paused, row.max_scheduled, row.running) for row in session.execute(limited)
        },
        last_round={int(kind): str(said) for kind, said in (scheduler.waiting if scheduler else {}).items()},
    )


def _filtered(query: Select[Any], columns: Any, filters: QueueFilters) -> Select[Any]:
    query = filters.period.limit(query, columns.queued)
    if filters.job_ids:
        query = query.where(columns.job_id.in_(filters.job_ids))
    if filters.priorities:
        query = query.where(columns.priority.in_(filters.priorities))
    if filters.job_type_ids:
        query = query.where(columns.job_type_id.in_(filters.job_type_ids))
    if filters.job_type_names:
        named = select(JobType.id).where(JobType.name.in_(filters.job_type_names))
        query = query.where(columns.job_type_id.in_(named))
    return query


def _entry(row: Any, job_type: Json, around: Circumstances) -> Json:
    return {
        "position": row.position,
        "job_exe_id": row.job_exe_id,
        "job_id": row.job_id,
        "job_type": job_type,
        "priority": row.priority,
        "queued": row.queued,
        "node_required_id": row.node_required_id,
        "cpus_required": row.cpus_required,
        "mem_required": row.mem_required,
        "disk_in_required": row.disk_in_required,
        "disk_out_required": row.disk_out_required,
        "disk_total_required": row.disk_total_required,
        "gpus_required": row.gpus_required,
        "not_before": row.not_before,
        "reason": reason(_as_entry(row), row.position - 1, around, row.not_before),
    }


def _as_entry(row: Any) -> QueueEntry:
    needs = Resources(row.cpus_required, row.mem_required, row.disk_total_required)
    return QueueEntry(
        row.job_exe_id, row.job_id, row.job_type_id, row.priority, row.queued, needs, row.node_required_id
    )


def list_status(session: Session, shape: Shape) -> list[Json]:
    """One entry per job type that waits: paused types last, then by priority, then by time.

    `reason` tells why the scheduler's last pass started none of them.
    """
    groups = (
        select(
            Queue.job_type_id,
            func.count().label("count"),
            func.min(Queue.queued).label("longest_queued"),
            func.min(Queue.priority).label("highest_priority"),
        )
        .group_by(Queue.job_type_id)
        .subquery()
    )
    found = session.execute(
        select(JobType.id, groups.c.count, groups.c.longest_queued, groups.c.highest_priority)
        .join(groups, groups.c.job_type_id == JobType.id)
        .order_by(JobType.is_paused, groups.c.highest_priority, groups.c.longest_queued, JobType.id)
    ).all()
    types = by_id(session, JobType, (row.id for row in found), shape["job_type"])
    waiting = session.scalar(select(Scheduler.waiting)) or {}
    return [
        {
            "job_type": types[row.id],
            "count": row[1],
            "longest_queued": row.longest_queued,
            "highest_priority": row.highest_priority,
            "reason": _reason(waiting.get(str(row.id))),
        }
        for row in found
    ]


def _reason(value: object) -> str | None:
    return None if value is None else str(value)
