"""What all lists share: pages, time ranges, orders from a fixed map, and objects with what was looked up for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Lock
from typing import Any, TypeVar

from cachetools import TTLCache
from sqlalchemy import ARRAY, ColumnElement, Select, func, inspect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from scale_core.db.file import ScaleFile
from scale_core.db.ingest import Ingest
from scale_core.db.job import JobType
from scale_core.db.node import Node
from scale_core.db.recipe import RecipeType
from scale_core.db.trigger import TriggerEvent, TriggerRule
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


# fields that are shown under another name than their column's, and documents that may be ordered by all the same
_SHOWN: dict[type[Any], dict[str, str]] = {
    ScaleFile: {"url": "file_path", **{name: name for name in ("data_type", "geometry", "center_point", "meta_data")}},
    Ingest: {"data_type": "data_type"},
    JobType: {"uses_docker": "uses_docker"},
    Node: {"slave_id": "agent_id"},
    RecipeType: {"definition": "definition"},
    TriggerRule: {"configuration": "configuration"},
    TriggerEvent: {"description": "description"},
}


_NEVER_SHOWN = ("hash", "password_hash")  # an order by them would tell what they are, little by little


class Order:
    """The fields by which a list may be ordered: those of the model, and of related models that are named.

    Related fields are spelled ``job_type__name`` or ``job_type.name``; a reference alone orders by its id. `related`
    are the paths of relationships, ``event__rule``.
    """

    def __init__(self, model: type[Any], default: Sequence[str], related: Iterable[str] = ()) -> None:
        self.default = tuple(default)
        self._model = model
        self._fields: dict[str, tuple[tuple[str, ...], str]] = {}
        for path in ((), *(tuple(each.split("__")) for each in related)):
            for name, key in _fields_of(_target(model, path)):
                self._fields["__".join((*path, name))] = (path, key)
            if path:
                self._fields["__".join(path)] = (path, "id")

    @property
    def names(self) -> list[str]:
        return sorted(self._fields)

    def apply(self, query: Query, terms: Iterable[str]) -> Query:
        """Order the query; the id comes last, so that pages never overlap. Raises Invalid for an unknown field."""
        joined: dict[tuple[str, ...], Any] = {(): self._model}
        clauses = []
        descending = False
        for term in tuple(terms) or self.default:
            name = term.removeprefix("-").replace(".", "__")
            if name not in self._fields:
                raise Invalid(
                    problems=[Problem("order", f"{term!r} is not a field to order by: use {', '.join(self.names)}")]
                )
            path, key = self._fields[name]
            for depth in range(len(path)):
                if path[: depth + 1] not in joined:
                    relationship = getattr(joined[path[:depth]], path[depth])
                    joined[path[: depth + 1]] = aliased(relationship.property.mapper.class_)
                    query = query.outerjoin(relationship.of_type(joined[path[: depth + 1]]))
            column = getattr(joined[path], key)
            descending = term.startswith("-")  # of the last term also for the id: an index can be read backwards
            clauses.append(column.desc() if descending else column)
        return query.order_by(*clauses, self._model.id.desc() if descending else self._model.id)


def _target(model: type[Any], path: Iterable[str]) -> type[Any]:
    for name in path:
        model = getattr(model, name).property.mapper.class_
    return model


def _fields_of(model: type[Any]) -> Iterator[tuple[str, str]]:
    """Names of fields and keys of the columns behind them: no documents, arrays or geometries but those of _SHOWN."""
    names = {attribute.key for attribute in inspect(model).column_attrs}
    for attribute in inspect(model).column_attrs:
        column, key = attribute.columns[0], attribute.key
        if isinstance(column.type, (JSONB, ARRAY)) or hasattr(column.type, "srid") or key in _NEVER_SHOWN:
            continue
        yield key, key
        if key.endswith("_id") and (reference := key.removesuffix("_id")) not in names:
            yield reference, key
            yield f"{reference}__id", key
    yield from _SHOWN.get(model, {}).items()


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


def has_part(column: Any, text: str) -> ColumnElement[bool]:
    """Whether the text stands somewhere in the column, capitals or not; its % and _ are letters as all others."""
    escaped = re.sub(r"([\\%_])", r"\\\1", text)  # a backslash is what PostgreSQL escapes by
    found: ColumnElement[bool] = column.ilike(f"%{escaped}%")
    return found


def known(kind: type[StrEnum], values: Iterable[str]) -> list[StrEnum]:
    """Those of the values that exist: a filter by a value nobody knows matches nothing."""
    members = {member.value for member in kind}
    return [kind(value) for value in values if value in members]
