"""What waits in the queue."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.job import JobType
from scale_core.db.node import Scheduler
from scale_core.db.queue import Queue
from scale_core.queries.shape import Json, Shape, by_id


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
