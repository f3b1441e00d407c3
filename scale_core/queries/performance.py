"""How a job type did: how many of its jobs failed and why, how long its executions took and what they used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Float, extract, func, select
from sqlalchemy.orm import Session

from scale_core.db.job import Error, Job, JobExecution, JobType
from scale_core.domain.job import FINAL_JOB_STATUSES, ExecutionStatus, JobStatus
from scale_core.errors import NotFound
from scale_core.queries.listing import Period, Query

SAMPLE = 2_000  # executions that are measured: percentiles change little with more, the time to read them does
FRACTIONS = (0.5, 0.95, 1.0)


@dataclass(frozen=True)
class Spread:
    """Half of the values are at most `p50`, nineteen of twenty at most `p95`, all at most `max`."""

    p50: float
    p95: float
    max: float


@dataclass(frozen=True)
class Failures:
    error: Error | None
    count: int


@dataclass(frozen=True)
class Performance:
    """Jobs that ended in the period, and the spread of what the newest executions of those that completed took.

    Durations are seconds, memory and disk MiB, cpus an average while the algorithm ran. None: nothing is known of it.
    """

    started: datetime | None
    ended: datetime | None
    completed: int
    failed: int
    canceled: int
    failures: Sequence[Failures]
    measured: int
    queued_s: Spread | None
    pre_s: Spread | None
    job_s: Spread | None
    post_s: Spread | None
    total_s: Spread | None
    cpus: Spread | None
    mem: Spread | None
    disk_out: Spread | None


def of_job_type(session: Session, job_type_id: int, period: Period) -> Performance:
    """Raises NotFound."""
    if session.scalar(select(JobType.id).where(JobType.id == job_type_id)) is None:
        raise NotFound(f"There is no job type with the id {job_type_id}.")
    counts = _counts(session, job_type_id, period)
    by_status = {status: sum(n for (each, _), n in counts.items() if each is status) for status in FINAL_JOB_STATUSES}
    return Performance(
        started=period.started,
        ended=period.ended,
        completed=by_status[JobStatus.COMPLETED],
        failed=by_status[JobStatus.FAILED],
        canceled=by_status[JobStatus.CANCELED],
        failures=_failures(session, counts),
        **_figures(session, job_type_id, period),
    )


def _ended(query: Query, job_type_id: int, period: Period, *statuses: JobStatus) -> Query:
    """Jobs that ended in the period, by the index of type, status and last_modified, which is never before the end."""
    query = query.where(Job.job_type_id == job_type_id, Job.status.in_(statuses))
    query = Period(period.started).limit(query, Job.last_modified)
    return period.limit(query, Job.ended)


def _counts(session: Session, job_type_id: int, period: Period) -> dict[tuple[JobStatus, int | None], int]:
    query = _ended(select(Job.status, Job.error_id, func.count()), job_type_id, period, *FINAL_JOB_STATUSES)
    return {
        (status, error): count for status, error, count in session.execute(query.group_by(Job.status, Job.error_id))
    }


def _failures(session: Session, counts: dict[tuple[JobStatus, int | None], int]) -> list[Failures]:
    """By error, the most frequent first."""
    failed = {error: count for (status, error), count in counts.items() if status is JobStatus.FAILED}
    errors = {error.id: error for error in session.scalars(select(Error).where(Error.id.in_(failed)))} if failed else {}
    ranked = sorted(failed.items(), key=lambda each: (-each[1], each[0] or 0))
    return [Failures(errors.get(error or 0), count) for error, count in ranked]


def _figures(session: Session, job_type_id: int, period: Period) -> dict[str, Any]:
    newest = _ended(select(Job.id), job_type_id, period, JobStatus.COMPLETED)
    jobs = newest.order_by(Job.last_modified.desc(), Job.id.desc()).limit(SAMPLE).subquery()
    exe = JobExecution
    values = {
        "queued_s": _seconds(exe.queued, exe.started),
        "pre_s": _seconds(exe.pre_started, exe.pre_completed),
        "job_s": _seconds(exe.job_started, exe.job_completed),
        "post_s": _seconds(exe.post_started, exe.post_completed),
        "total_s": _seconds(exe.started, exe.ended),
        "cpus": _used("cpu_s") / func.nullif(_seconds(exe.job_started, exe.job_completed), 0),
        "mem": _used("mem_peak"),
        "disk_out": _used("disk_out"),
    }
    spreads = [func.percentile_cont(list(FRACTIONS)).within_group(value) for value in values.values()]
    query = select(func.count(), *spreads).join_from(exe, jobs, exe.job_id == jobs.c.id)
    measured, *found = session.execute(query.where(exe.status == ExecutionStatus.COMPLETED)).one()
    shown = {name: spread and Spread(*spread) for name, spread in zip(values, found, strict=True)}
    return {"measured": measured, **shown}


def _seconds(start: Any, end: Any) -> ColumnElement[float]:
    return extract("epoch", end - start).cast(Float)


def _used(name: str) -> ColumnElement[float]:
    return JobExecution.used[name].astext.cast(Float)
