"""Figures for monitoring: how much waits and runs now, and what the offer handler counts. A fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.ingest import Ingest, Strike
from scale_core.db.job import Error, JobExecution, JobType
from scale_core.db.node import Scheduler
from scale_core.db.queue import Queue
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import ExecutionStatus

TASK_FIGURES = "scale:task-figures"  # a hash in Redis: "task|state|count" and "task|state|seconds"

RECENT = timedelta(minutes=5)


@dataclass(frozen=True)
class Waiting:
    """Executions of one job type in the queue; `longest_s` is the age of the oldest, seconds."""

    job_type: str
    version: str
    count: int
    longest_s: float


@dataclass(frozen=True)
class Ended:
    """Executions that ended in the last RECENT; `error` is empty for those that did not fail."""

    status: str
    error: str
    count: int
    queue_s: float  # mean time in the queue


@dataclass(frozen=True)
class Watched:
    """A Strike: seconds that its oldest file waits, its ERRORED ingests, and whether its directory can be read."""

    strike: str
    lag_s: float
    errors: int
    is_readable: bool


@dataclass(frozen=True)
class Telemetry:
    queue: tuple[Waiting, ...]
    running: int
    ended: tuple[Ended, ...]
    ingest_waiting: int
    ingest_lag_s: float  # since the oldest file that waits was transferred
    strikes: tuple[Watched, ...]
    heartbeat_s: float | None  # since the offer handler last said that it leads
    stats: Mapping[str, Any]  # see scale_worker/mesos/figures.py


def telemetry(session: Session, now: datetime) -> Telemetry:
    waiting = session.execute(
        select(JobType.name, JobType.version, func.count(), func.min(Queue.queued))
        .join(Queue, Queue.job_type_id == JobType.id)
        .group_by(JobType.id)
        .order_by(JobType.id)
    )
    ended = session.execute(
        select(
            JobExecution.status,
            func.coalesce(Error.name, ""),
            func.count(),
            func.coalesce(func.avg(func.extract("epoch", JobExecution.started - JobExecution.queued)), 0),
        )
        .outerjoin(Error, Error.id == JobExecution.error_id)
        .where(JobExecution.ended > now - RECENT, JobExecution.ended <= now)
        .group_by(JobExecution.status, Error.name)
        .order_by(JobExecution.status, Error.name)
    )
    running = select(func.count()).where(JobExecution.status == ExecutionStatus.RUNNING)
    open_ingests = (IngestStatus.TRANSFERRED, IngestStatus.QUEUED, IngestStatus.INGESTING)
    ingests, oldest = session.execute(
        select(func.count(), func.min(Ingest.transfer_ended)).where(Ingest.status.in_(open_ingests))
    ).one()
    strikes = select(Strike.name, Strike.lag, Strike.errors, Strike.last_error.is_(None)).order_by(Strike.id)
    row = session.execute(select(Scheduler.heartbeat, Scheduler.stats)).one_or_none()
    return Telemetry(
        tuple(Waiting(name, version, count, _age(queued, now)) for name, version, count, queued in waiting),
        session.scalar(running) or 0,
        tuple(Ended(status.value, error, count, float(mean)) for status, error, count, mean in ended),
        ingests,
        _age(oldest, now) if oldest else 0.0,
        tuple(Watched(*each) for each in session.execute(strikes)),
        _age(row.heartbeat, now) if row and row.heartbeat else None,
        row.stats if row else {},
    )


def _age(moment: datetime, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
