"""The error catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.job import Error
from scale_core.errors import NotFound
from scale_core.queries.listing import ALWAYS, Order, Page, Period, read_page
from scale_core.queries.shape import Json, Shape, rows

ORDER = Order(Error, default=["last_modified"])


@dataclass(frozen=True)
class ErrorFilters:
    period: Period = ALWAYS


def list_errors(session: Session, filters: ErrorFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(Error.id), Error.last_modified)
    return read_page(session, query, ORDER, page, filters, rows(Error, shape).read)


def get_error(session: Session, error_id: int) -> Error:
    """Raises NotFound."""
    error = session.get(Error, error_id)
    if error is None:
        raise NotFound(f"There is no error with the id {error_id}.")
    return error
