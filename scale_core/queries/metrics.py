"""Daily figures as lines of a plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Integer, cast, func, select
from sqlalchemy.orm import Session

from scale_core.db.ingest import Strike
from scale_core.db.job import Error, JobType
from scale_core.db.metrics import MetricsError, MetricsIngest, MetricsJobType
from scale_core.domain.metrics import ERRORS, INGESTS, JOB_TYPES, TYPES, Aggregate, Column, MetricsType
from scale_core.errors import NotFound
from scale_core.queries.listing import Page, Period
from scale_core.queries.shape import Json, Shape, rows


@dataclass(frozen=True)
class PlotFilters:
    """Days of the period count whole, in UTC."""

    period: Period
    choice_ids: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    """Where the figures of a type are, and what its choices are."""

    model: Any
    choice: Any
    key: Any


_SOURCES = {
    JOB_TYPES.name: _Source(MetricsJobType, JobType, MetricsJobType.job_type_id),
    INGESTS.name: _Source(MetricsIngest, Strike, MetricsIngest.strike_id),
    ERRORS.name: _Source(MetricsError, Error, MetricsError.error_id),
}


def list_types(page: Page) -> tuple[list[MetricsType], int]:
    types = list(TYPES.values())
    return types[page.offset : page.offset + page.size], len(types)


def get_type(name: str) -> MetricsType:
    """Raises NotFound."""
    if name not in TYPES:
        raise NotFound(f"There are no metrics called {name!r}: use {', '.join(TYPES)}.")
    return TYPES[name]


def list_choices(session: Session, metrics: MetricsType, shape: Shape) -> list[Json]:
    """All job types, Strikes or errors, by name."""
    model = _SOURCES[metrics.name].choice
    return rows(model, shape).read(session, select(model.id).order_by(model.name, model.id))


def list_plot_data(session: Session, metrics: MetricsType, filters: PlotFilters, page: Page) -> tuple[list[Json], int]:
    """One line per column. With two choices or more each value says whose it is; with none all choices count together.

    An average over choices is weighted by how many things each was made of. Raises Invalid for an unknown column.
    """
    chosen = metrics.choose(filters.columns, filters.groups)
    shown = chosen[page.offset : page.offset + page.size]
    if not shown:
        return [], len(chosen)
    source = _SOURCES[metrics.name]
    each = [source.key] if len(filters.choice_ids) > 1 else []
    values = [_aggregated(source.model, metrics, column) for column in shown]
    query = select(source.model.occurred, *each, *values)
    query = query.group_by(source.model.occurred, *each).order_by(source.model.occurred, *each)
    if filters.choice_ids:
        query = query.where(source.key.in_(filters.choice_ids))
    if filters.period.started is not None:
        query = query.where(source.model.occurred >= filters.period.started.date())
    if filters.period.ended is not None:
        query = query.where(source.model.occurred <= filters.period.ended.date())
    days = session.execute(query).all()
    first = 1 + len(each)
    return [_line(column, days, first + number, bool(each)) for number, column in enumerate(shown)], len(chosen)


def _aggregated(model: Any, metrics: MetricsType, column: Column) -> ColumnElement[Any]:
    stored = getattr(model, column.name)
    if column.aggregate is Aggregate.AVG:
        total = getattr(model, column.name.removesuffix("_avg") + "_sum")
        count = func.nullif(func.sum(getattr(model, metrics.counted)).filter(total.is_not(None)), 0)
        return cast(func.round(func.sum(total) / count), Integer)
    return cast(getattr(func, column.aggregate.value)(stored), stored.type)


def _line(column: Column, days: Iterable[Sequence[Any]], position: int, by_choice: bool) -> Json:
    values: list[Json] = []
    for day in days:
        if (value := day[position]) is not None:
            values.append(
                {"id": day[1], "date": day[0], "value": value} if by_choice else {"date": day[0], "value": value}
            )
    dates: list[date] = [value["date"] for value in values]
    heights: list[int] = [value["value"] for value in values]
    return {
        "column": column,
        "min_x": min(dates, default=None),
        "max_x": max(dates, default=None),
        "min_y": min(heights, default=None),
        "max_y": max(heights, default=None),
        "values": values,
    }
