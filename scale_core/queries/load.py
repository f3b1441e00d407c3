"""How many jobs waited and ran, as it was measured every hour; and how many ended, and how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Subquery, func, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from scale_core.db.job import Error, Job, JobLoad, JobType
from scale_core.queries.listing import ALWAYS, Page, Period, Query
from scale_core.queries.shape import Json


@dataclass(frozen=True)
class LoadFilters:
    period: Period = ALWAYS
    job_type_ids: tuple[int, ...] = ()
    job_type_names: tuple[str, ...] = ()
    job_type_categories: tuple[str, ...] = ()
    job_type_priorities: tuple[int, ...] = ()


def list_load(session: Session, filters: LoadFilters, page: Page) -> tuple[list[Json], int]:
    """The counts of all job types that the filters let through, added up for each time of measuring, oldest first."""
    measured = _filtered(select(JobLoad.measured), filters)
    query = measured.with_only_columns(
        func.count().over(),
        JobLoad.measured,
        func.sum(JobLoad.pending_count),
        func.sum(JobLoad.queued_count),
        func.sum(JobLoad.running_count),
        func.sum(JobLoad.total_count),
    )
    query = query.group_by(JobLoad.measured).order_by(JobLoad.measured).offset(page.offset).limit(page.size)
    found = session.execute(query).all()
    if not found and page.offset:
        return [], session.scalar(measured.with_only_columns(func.count(JobLoad.measured.distinct()))) or 0
    names = ("time", "pending_count", "queued_count", "running_count", "total_count")
    rows = [dict(zip(names, (time, *map(int, counts)), strict=True)) for _, time, *counts in found]
    return rows, found[0][0] if found else 0


def list_outcomes(session: Session, filters: LoadFilters, page: Page) -> tuple[list[Json], int]:
    """Of each hour (UTC) how many jobs ended in it by status, FAILED ones by the category of their error; oldest first.

    An hour, status or category in which no job ended has no row. Each hour is counted by itself, in ix_job_ended alone:
    for all of them together PostgreSQL would sort the jobs, not knowing in how few hours they ended.
    """
    hours = _hours(filters.period)
    in_hour = (Job.ended >= hours.c.hour) & (Job.ended < hours.c.hour + timedelta(hours=1))
    of_hour = filters.period.limit(select(Job.status, Job.error_id, func.count().label("count")), Job.ended)
    of_hour = _of_types(of_hour.where(in_hour), Job.job_type_id, filters)
    counted = of_hour.group_by(Job.status, Job.error_id).correlate(hours).lateral()
    groups = (hours.c.hour, counted.c.status, Error.category)
    ended = select(hours.c.hour).join(counted, true()).outerjoin(Error, counted.c.error_id == Error.id)
    query = ended.with_only_columns(func.count().over(), *groups, func.sum(counted.c.count), maintain_column_froms=True)
    query = query.group_by(*groups).order_by(*groups)
    found = session.execute(query.offset(page.offset).limit(page.size)).all()
    if not found and page.offset:
        grouped = ended.group_by(*groups).subquery()
        return [], session.scalar(select(func.count()).select_from(grouped)) or 0
    names = ("time", "status", "category", "count")
    rows = [dict(zip(names, (*group, int(count)), strict=True)) for _, *group, count in found]
    return rows, found[0][0] if found else 0


def _hours(period: Period) -> Subquery:
    """Each `hour` (UTC) from the first to the last in which a job of the period may have ended."""
    first: Any = select(func.min(Job.ended)).scalar_subquery()
    last: Any = select(func.max(Job.ended)).scalar_subquery()
    if period.started is not None:
        first = func.greatest(first, period.started)
    if period.ended is not None:
        last = func.least(last, period.ended)
    series = func.generate_series(func.date_trunc("hour", first, "UTC"), last, timedelta(hours=1))
    return select(series.label("hour")).subquery()


def _filtered(query: Query, filters: LoadFilters) -> Query:
    return _of_types(filters.period.limit(query, JobLoad.measured), JobLoad.job_type_id, filters)


def _of_types(query: Query, job_type_id: InstrumentedAttribute[Any], filters: LoadFilters) -> Query:
    conditions = []
    if filters.job_type_ids:
        conditions.append(JobType.id.in_(filters.job_type_ids))
    if filters.job_type_names:
        conditions.append(JobType.name.in_(filters.job_type_names))
    if filters.job_type_categories:
        conditions.append(JobType.category.in_(filters.job_type_categories))
    if filters.job_type_priorities:
        conditions.append(JobType.priority.in_(filters.job_type_priorities))
    return query.where(job_type_id.in_(select(JobType.id).where(*conditions))) if conditions else query
