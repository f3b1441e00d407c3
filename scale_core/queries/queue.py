"""What waits in the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.job import JobType
from scale_core.db.node import Scheduler
from scale_core.db.queue import Queue


@dataclass(frozen=True)
class QueueStatus:
    """The queue's executions of one job type; `reason` tells why the scheduler's last pass started none of them."""

    job_type: JobType
    count: int
    longest_queued: datetime
    highest_priority: int
    reason: str | None


def list_status(session: Session) -> list[QueueStatus]:
    """One entry per job type that waits; paused types last, then by priority, then by time."""
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
    rows = session.execute(
        select(JobType, groups.c.count, groups.c.longest_queued, groups.c.highest_priority)
        .join(groups, groups.c.job_type_id == JobType.id)
        .order_by(JobType.is_paused, groups.c.highest_priority, groups.c.longest_queued, JobType.id)
    ).all()
    waiting = session.scalar(select(Scheduler.waiting)) or {}
    return [QueueStatus(row[0], row[1], row[2], row[3], _reason(waiting.get(str(row[0].id)))) for row in rows]


def _reason(value: object) -> str | None:
    return None if value is None else str(value)
