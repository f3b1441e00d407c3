"""What all lists share: pages, time ranges, orders from a fixed map, and objects with what was looked up for them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Lock
from typing import Any, TypeVar

from cachetools import TTLCache
from sqlalchemy import ARRAY, Select, func, inspect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session

from scale_core.errors import Invalid, Problem

Query = Select[*tuple[Any, ...]]
Row = TypeVar("Row")

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


@dataclass(frozen=True)
class Page:
    """Page `number` (from 1) of `size` rows; `order` are field names, with a dash for descending order."""

    number: int = 1
    size: int = DEFAULT_PAGE_SIZE
    order: tuple[str, ...] = ()

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


@dataclass(frozen=True)
class Period:
    """From `started` to `ended`, both included; None: open."""

    started: datetime | None = None
    ended: datetime | None = None

    def limit(self, query: Query, column: Any) -> Query:
        if self.started is not None:
            query = query.where(column >= self.started)
        if self.ended is not None:
            query = query.where(column <= self.ended)
        return query


ALWAYS = Period()

BUSY = 10_000
COUNT_AGE_S = 1.0
_counts: TTLCache[Hashable, int] = TTLCache(maxsize=1000, ttl=COUNT_AGE_S)
_counts_lock = Lock()


class Order:
    """The fields by which a list may be ordered: every plain column of the model and of the related models named.

    Related fields are spelled ``job_type__name`` or ``job_type.name``. A path of relationships is given as a tuple.
    """

    def __init__(
        self,
        model: type[Any],
        default: Sequence[str],
        related: Mapping[str, Sequence[Any]] | None = None,
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        self.default = tuple(default)
        self._id = model.id
        self._fields: dict[str, tuple[Any, Sequence[Any]]] = {
            name: (column, ()) for name, column in _plain_columns(model)
        }
        for prefix, path in (related or {}).items():
            target = path[-1].property.mapper.class_
            self._fields |= {f"{prefix}__{name}": (column, path) for name, column in _plain_columns(target)}
        for shown, name in (renamed or {}).items():
            self._fields[shown] = self._fields.pop(name)

    @property
    def names(self) -> list[str]:
        return sorted(self._fields)

    def apply(self, query: Query, terms: Iterable[str]) -> Query:
        """Order the query; the id comes last, so that pages never overlap. Raises Invalid for an unknown field."""
        joined: set[str] = set()
        clauses = []
        descending = False
        for term in tuple(terms) or self.default:
            name = term.removeprefix("-").replace(".", "__")
            if name not in self._fields:
                raise Invalid(
                    problems=[Problem("order", f"{term!r} is not a field to order by: use {', '.join(self.names)}")]
                )
            column, path = self._fields[name]
            for relationship in path:
                if str(relationship) not in joined:
                    query = query.join(relationship, isouter=True)
                    joined.add(str(relationship))
            descending = term.startswith("-")
            clauses.append(column.desc() if descending else column)
        return query.order_by(*clauses, self._id.desc() if descending else self._id)


def read_page(
    session: Session,
    query: Query,
    order: Order,
    page: Page,
    filters: Hashable,
    read: Callable[[Session, Query], Sequence[Row]],
) -> tuple[Sequence[Row], int]:
    """The rows of a page and the number of all rows; `query` selects the ids of those that `filters` let through.

    The number is exact; that of a long list (BUSY rows or more) may be COUNT_AGE_S old.
    """
    rows = read(session, order.apply(query, page.order).offset(page.offset).limit(page.size))
    if len(rows) < page.size and (rows or page.offset == 0):
        return rows, page.offset + len(rows)
    key = (session.get_bind().engine, order, filters)
    with _counts_lock:
        total = _counts.get(key)
    if total is None or not rows:
        total = session.scalar(query.with_only_columns(func.count(), maintain_column_froms=True)) or 0
        if total >= BUSY:
            with _counts_lock:
                _counts[key] = total
    return rows, max(total, page.offset + len(rows)) if rows else total


class With:
    """An object together with what was looked up for it; attributes that are not given here are the object's."""

    def __init__(self, base: object, **extra: Any) -> None:
        self._base = base
        self.__dict__.update(extra)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)


def known(kind: type[StrEnum], values: Iterable[str]) -> list[StrEnum]:
    """Those of the values that exist: a filter by a value nobody knows matches nothing."""
    members = {member.value for member in kind}
    return [kind(value) for value in values if value in members]


def _plain_columns(model: type[Any]) -> list[tuple[str, InstrumentedAttribute[Any]]]:
    """Columns whose values have a natural order and are shown: no documents, arrays or geometries."""
    return [
        (attribute.key, getattr(model, attribute.key))
        for attribute in inspect(model).column_attrs
        if not isinstance(attribute.columns[0].type, (JSONB, ARRAY)) and not hasattr(attribute.columns[0].type, "srid")
    ]
