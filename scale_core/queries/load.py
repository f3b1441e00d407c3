"""How many jobs waited and ran, as it was measured every hour."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.job import JobLoad, JobType
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


def _filtered(query: Query, filters: LoadFilters) -> Query:
    query = filters.period.limit(query, JobLoad.measured)
    conditions = []
    if filters.job_type_ids:
        conditions.append(JobType.id.in_(filters.job_type_ids))
    if filters.job_type_names:
        conditions.append(JobType.name.in_(filters.job_type_names))
    if filters.job_type_categories:
        conditions.append(JobType.category.in_(filters.job_type_categories))
    if filters.job_type_priorities:
        conditions.append(JobType.priority.in_(filters.job_type_priorities))
    return query.where(JobLoad.job_type_id.in_(select(JobType.id).where(*conditions))) if conditions else query
