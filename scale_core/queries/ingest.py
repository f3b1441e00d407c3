"""Strikes and ingests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, raiseload, undefer
from sqlalchemy.orm.interfaces import ORMOption

from scale_core.db.file import FileType, ScaleFile
from scale_core.db.ingest import Ingest, Strike
from scale_core.db.job import Job
from scale_core.domain.ingest import IngestStatus
from scale_core.errors import NotFound
from scale_core.queries.file import file_options
from scale_core.queries.job_execution import light_execution_options
from scale_core.queries.job_type import without_documents
from scale_core.queries.listing import ALWAYS, Order, Page, Period, Query, has_part, known, read_page
from scale_core.queries.shape import Json, Shape, rows

ORDER = Order(
    Ingest,
    default=["last_modified"],
    related=["strike", "source_file", "source_file__workspace", "workspace"],
)
SERIES_DAYS = 31
STRIKE_STATUS_ORDER = Order(Strike, default=["name"])
STRIKE_ORDER = Order(Strike, default=["last_modified"], related=["job"])


@dataclass(frozen=True)
class IngestFilters:
    """Statuses nobody knows match no ingest."""

    period: Period = ALWAYS
    statuses: tuple[str, ...] = ()
    strike_ids: tuple[int, ...] = ()
    file_names: tuple[str, ...] = ()
    file_name_part: str | None = None


@dataclass(frozen=True)
class StrikeFilters:
    period: Period = ALWAYS
    names: tuple[str, ...] = ()


def list_ingests(session: Session, filters: IngestFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(Ingest.id), Ingest.last_modified)
    if filters.statuses:
        query = query.where(Ingest.status.in_(known(IngestStatus, filters.statuses)))
    if filters.strike_ids:
        query = query.where(Ingest.strike_id.in_(filters.strike_ids))
    if filters.file_names:
        query = query.where(Ingest.file_name.in_(filters.file_names))
    if filters.file_name_part:
        query = query.where(has_part(Ingest.file_name, filters.file_name_part))
    return read_page(session, query, ORDER, page, filters, rows(Ingest, shape).read)


def get_ingest(session: Session, key: int | str) -> Ingest:
    """An ingest by id, or the newest of a file name, with its strike and the strike's job. Raises NotFound."""
    query: Query = select(Ingest)
    if isinstance(key, int):
        query = query.where(Ingest.id == key)
    else:
        query = query.where(Ingest.file_name == key).order_by(Ingest.created.desc(), Ingest.id.desc()).limit(1)
    query = query.options(*_strike_job(joinedload(Ingest.strike)), *_source_file(), raiseload("*"))
    ingest: Ingest | None = session.scalar(query)
    if ingest is None:
        raise NotFound(f"There is no ingest with the {'id' if isinstance(key, int) else 'file name'} {key}.")
    return ingest


def list_status(
    session: Session, period: Period, page: Page, shape: Shape, *, use_ingest_time: bool, now: datetime
) -> tuple[list[Json], int]:
    """What every Strike has ingested: altogether in the period, and in each hour of each of its days.

    A period of more than SERIES_DAYS shows only the hours in which there was something.

    A file counts at the time when its data began, or with `use_ingest_time` when it was ingested. `period` has a
    start. Specification: Ingest Status.
    """
    read = rows(Strike, shape["strike"], ("id",)).read_with_extra
    strikes, total = read_page(session, select(Strike.id), STRIKE_STATUS_ORDER, page, None, read)
    hours = _hours(period, now)
    counted = _ingested(session, [row.id for _, row in strikes], period, use_ingest_time=use_ingest_time)
    nothing = {"files": 0, "size": 0}
    return [
        {
            "strike": strike,
            "most_recent": max((slot["latest"] for slot in counted[row.id].values()), default=None),
            "files": sum(slot["files"] for slot in counted[row.id].values()),
            "size": sum(slot["size"] for slot in counted[row.id].values()),
            "values": [_value(hour, counted[row.id].get(hour, nothing)) for hour in hours or sorted(counted[row.id])],
        }
        for strike, row in strikes
    ], total


def _value(hour: datetime, slot: Json) -> Json:
    return {"time": hour, "files": slot["files"], "size": slot["size"]}


def _hours(period: Period, now: datetime) -> list[datetime]:
    """Every hour of the days from the start of the period to its end, or to today; none of a very long period."""
    assert period.started is not None
    start = period.started.replace(hour=0, minute=0, second=0, microsecond=0)
    days = ((period.ended or now).date() - start.date()).days + 1
    if days > SERIES_DAYS + 1:
        return []
    return [start + timedelta(hours=hour) for hour in range(24 * days)]


def _ingested(
    session: Session, strike_ids: Sequence[int], period: Period, *, use_ingest_time: bool
) -> dict[int, dict[datetime, Json]]:
    """Per Strike and hour: how many files, their bytes, and when the last of them was ingested."""
    time = Ingest.ingest_ended if use_ingest_time else ScaleFile.data_started
    hour = func.date_trunc("hour", time)
    size = func.coalesce(func.sum(Ingest.file_size), 0)
    query: Query = select(Ingest.strike_id, hour, func.count(), size, func.max(Ingest.ingest_ended))
    if not use_ingest_time:
        query = query.join(Ingest.source_file).where(ScaleFile.file_type == FileType.SOURCE)
    query = query.where(Ingest.status == IngestStatus.INGESTED, Ingest.strike_id.in_(strike_ids))
    counted: dict[int, dict[datetime, Json]] = defaultdict(dict)
    for strike, at, files, size_sum, latest in session.execute(
        period.limit(query, time).group_by(Ingest.strike_id, hour)
    ):
        counted[strike][at] = {"files": files, "size": int(size_sum), "latest": latest}
    return counted


def list_strikes(session: Session, filters: StrikeFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(Strike.id), Strike.last_modified)
    if filters.names:
        query = query.where(Strike.name.in_(filters.names))
    return read_page(session, query, STRIKE_ORDER, page, filters, rows(Strike, shape).read)


def get_strike(session: Session, strike_id: int) -> Strike:
    """A Strike with its lag and errors, its job and the job's executions. Raises NotFound."""
    executions = joinedload(Strike.job).selectinload(Job.job_exes).options(*light_execution_options())
    query = select(Strike).where(Strike.id == strike_id)
    query = query.options(undefer(Strike.lag), undefer(Strike.errors), *_strike_job(None), executions, raiseload("*"))
    strike = session.scalar(query)
    if strike is None:
        raise NotFound(f"There is no Strike with the id {strike_id}.")
    return strike


def _strike_job(path: Any) -> list[ORMOption]:
    job = path.joinedload(Strike.job) if path is not None else joinedload(Strike.job)
    return [without_documents(job.joinedload(Job.job_type)), job.joinedload(Job.error)]


def _source_file() -> list[ORMOption]:
    return file_options(joinedload(Ingest.source_file))
