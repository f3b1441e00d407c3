"""Job types: lists, details with their errors and counts, and statistics of their jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CompoundSelect, func, select, union_all
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.orm.interfaces import ORMOption

from scale_core.db.job import Error, Job, JobType, JobTypeRevision
from scale_core.domain.job import ErrorCategory, JobStatus
from scale_core.errors import NotFound
from scale_core.queries.listing import ALWAYS, Order, Page, Period, Query, With, read_page
from scale_core.queries.shape import Json, Shape, by_id, rows

ORDER = Order(JobType, default=["name", "version"])
STATUS_ORDER = Order(JobType, default=["last_modified"])
REVISION_ORDER = Order(JobTypeRevision, default=["-revision_num"])

RECENT_HOURS = (6, 12, 24)
SKEW = timedelta(hours=1)  # last_modified is of the database's clock, last_status_change of another machine's


@dataclass(frozen=True)
class JobTypeFilters:
    period: Period = ALWAYS
    names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobCount:
    """How many jobs of a type have a status, FAILED ones by the category of their error."""

    status: str
    count: int
    most_recent: datetime | None
    category: str | None


def without_documents(path: Any) -> ORMOption:
    """Load a related job type with the columns that lists show; touching its documents is then an error."""
    option: ORMOption = path.defer(JobType.interface, raiseload=True).defer(JobType.error_mapping, raiseload=True)
    return option


def list_job_types(session: Session, filters: JobTypeFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(JobType.id), JobType.last_modified)
    if filters.names:
        query = query.where(JobType.name.in_(filters.names))
    if filters.categories:
        query = query.where(JobType.category.in_(filters.categories))
    return read_page(session, query, ORDER, page, filters, rows(JobType, shape).read)


def get_job_type(session: Session, job_type_id: int, now: datetime) -> With:
    """A JobType with `errors` of its mapping and `job_counts_6h`, `_12h` and `_24h`. Raises NotFound."""
    job_type = session.scalar(
        select(JobType).where(JobType.id == job_type_id).options(joinedload(JobType.trigger_rule))
    )
    if job_type is None:
        raise NotFound(f"There is no job type with the id {job_type_id}.")
    names = {name for name in (job_type.error_mapping.get("exit_codes") or {}).values() if isinstance(name, str)}
    errors = session.scalars(select(Error).where(Error.name.in_(names)).order_by(Error.id)).all() if names else []
    counts = _recent_counts(session, job_type_id, [now - timedelta(hours=hours) for hours in RECENT_HOURS])
    recent = {f"job_counts_{hours}h": found for hours, found in zip(RECENT_HOURS, counts, strict=True)}
    return With(job_type, errors=errors, **recent)


def list_revisions(session: Session, job_type_id: int, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    """The interfaces that a job type has had, the newest first. Raises NotFound."""
    query = select(JobTypeRevision.id).where(JobTypeRevision.job_type_id == job_type_id)
    read = rows(JobTypeRevision, shape).read
    found, total = read_page(session, query, REVISION_ORDER, page, ("job type", job_type_id), read)
    if not total:  # each has a first one
        raise NotFound(f"There is no job type with the id {job_type_id}.")
    return found, total


def list_status(session: Session, period: Period, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """All job types with the counts of their jobs whose status changed in the period, and of all RUNNING ones."""
    read = rows(JobType, shape["job_type"], ("id",)).read_with_extra
    types, total = read_page(session, select(JobType.id), STATUS_ORDER, Page(page.number, page.size), None, read)
    counts = _counts(session, [row.id for _, row in types], period)
    return [{"job_type": job_type, "job_counts": counts[row.id]} for job_type, row in types], total


def list_running(session: Session, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """Job types with RUNNING jobs, that with the longest running job first."""
    longest = func.min(Job.last_status_change)
    query = (
        select(Job.job_type_id, func.count(), longest)
        .where(Job.status == JobStatus.RUNNING)
        .group_by(Job.job_type_id)
        .order_by(longest, Job.job_type_id)
    )
    groups, total = _page_of_groups(session, query, page)
    types = by_id(session, JobType, (group[0] for group in groups), shape["job_type"])
    return [{"job_type": types[key], "count": count, "longest_running": since} for key, count, since in groups], total


def list_system_failures(session: Session, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """Per job type and SYSTEM error: how many jobs are FAILED by it, the latest first."""
    last = func.max(Job.last_status_change)
    query = (
        select(Job.job_type_id, Job.error_id, func.count(), func.min(Job.last_status_change), last)
        .join(Job.error)
        .where(Job.status == JobStatus.FAILED, Error.category == ErrorCategory.SYSTEM)
        .group_by(Job.job_type_id, Job.error_id)
        .order_by(last.desc(), Job.job_type_id, Job.error_id)
    )
    groups, total = _page_of_groups(session, query, page)
    types = by_id(session, JobType, (group[0] for group in groups), shape["job_type"])
    errors = by_id(session, Error, (group[1] for group in groups), shape["error"])
    return [
        {"job_type": types[key], "error": errors[error], "count": count, "first_error": since, "last_error": until}
        for key, error, count, since, until in groups
    ], total


def _recent_counts(session: Session, job_type_id: int, since: Sequence[datetime]) -> list[list[JobCount]]:
    """How many jobs of a type changed their status since each of these times; one look at them counts for all.

    ix_job_job_type_id_status_last_modified_id has all that is read: no job is touched, however many there are.
    """
    oldest = min(since)
    changed = Job.last_status_change
    figures = [(func.count().filter(changed >= start), func.max(changed)) for start in since]
    query = (
        select(Job.job_type_id, Job.status, Job.error_id, *(figure for pair in figures for figure in pair))
        .where(Job.job_type_id == job_type_id, Job.status.in_(JobStatus), Job.last_modified >= oldest - SKEW)
        .where(changed >= oldest)
        .group_by(Job.job_type_id, Job.status, Job.error_id)
    )
    counts: list[list[JobCount]] = [[] for _ in since]
    for _, status, category, *found in session.execute(_by_category(query, len(since))):
        for place, counted in enumerate(counts):
            count, most_recent = found[2 * place : 2 * place + 2]
            if count:
                counted.append(JobCount(status, int(count), most_recent, category))
    return counts


def _counts(session: Session, job_type_ids: Sequence[int], period: Period) -> dict[int, list[JobCount]]:
    """Of each type the jobs whose status changed in the period, and all RUNNING ones.

    Two statements in one: an OR of both conditions would have every job looked at, this reads indexes alone.
    """
    grouped = (
        select(Job.job_type_id, Job.status, Job.error_id, func.count(), func.max(Job.last_status_change))
        .where(Job.job_type_id.in_(job_type_ids))
        .group_by(Job.job_type_id, Job.status, Job.error_id)
    )
    changed = period.limit(grouped.where(Job.status != JobStatus.RUNNING), Job.last_status_change)
    running = grouped.where(Job.status == JobStatus.RUNNING)
    counts: dict[int, list[JobCount]] = defaultdict(list)
    for key, status, category, count, most_recent in session.execute(_by_category(union_all(changed, running), 1)):
        counts[key].append(JobCount(status, int(count), most_recent, category))
    return counts


def _by_category(grouped: Query | CompoundSelect[Any], figures: int) -> Query:
    """Groups of job type, status and error with pairs of a count and a latest time: by the category of what failed."""
    each = grouped.subquery()
    job_type_id, status, error_id, *columns = each.c
    assert len(columns) == 2 * figures
    merged = [(func.sum if place % 2 == 0 else func.max)(column) for place, column in enumerate(columns)]
    query: Query = (
        select(job_type_id, status, Error.category, *merged)
        .outerjoin_from(each, Error, (error_id == Error.id) & (status == JobStatus.FAILED))
        .group_by(job_type_id, status, Error.category)
        .order_by(job_type_id, status, Error.category)
    )
    return query


def _page_of_groups(session: Session, query: Query, page: Page) -> tuple[Sequence[Any], int]:
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    return session.execute(query.offset(page.offset).limit(page.size)).all(), total
