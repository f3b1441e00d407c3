"""What a list shows of its rows: a shape names the values, and one statement reads exactly these.

Lists make no objects of their rows: loading and dumping a hundred jobs through the ORM and a schema takes ten times as
long as the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    TextualSelect,
    any_,
    cast,
    column,
    func,
    inspect,
    literal,
    select,
    table,
    text,
    type_coerce,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute, RelationshipProperty, Session, aliased
from sqlalchemy.types import NullType

Json = dict[str, Any]
PAGE = "page"  # the common table expression with the ids of a page


@dataclass(frozen=True)
class Value:
    """A column as it is, or what `convert` makes of it; or `convert_all`, of many at once. None stays None."""

    attribute: str
    convert: Callable[[Any], Any] | None = None
    convert_all: Callable[[list[Any]], Iterable[Any]] | None = None


@dataclass(frozen=True)
class Derived:
    """What `derive` makes of the columns `sources`: ``name``, or ``relationship.name``."""

    sources: tuple[str, ...]
    derive: Callable[..., Any]


@dataclass(frozen=True)
class Plucked:
    """One column of all members of a collection."""

    collection: str
    attribute: str


@dataclass(frozen=True, eq=False)
class Shape:
    """Names and what they show. A Shape within a Shape is a related object; where the model has no such relationship,
    the list fills it in."""

    fields: Mapping[str, Value | Derived | Plucked | Nested]

    def __getitem__(self, name: str) -> Shape:
        nested = self.fields[name]
        assert isinstance(nested, Nested)
        return nested.shape


@dataclass(frozen=True)
class Nested:
    attribute: str
    shape: Shape


@dataclass(eq=False)
class _Object:
    """How one object is made of a row: its plain values lie side by side, from `start` to `stop`."""

    names: list[str] = field(default_factory=list)
    start: int = 0
    stop: int = 0
    converted: list[tuple[str, Callable[[Any], Any]]] = field(default_factory=list)
    looked_up: list[tuple[str, int]] = field(default_factory=list)
    nested: list[tuple[str, _Object]] = field(default_factory=list)
    derived: list[tuple[str, Callable[..., Any], list[int]]] = field(default_factory=list)

    def make(self, row: Sequence[Any], shared: dict[Any, Json]) -> Json:
        """`shared` remembers the related objects of this read, since rows that refer to the same one show the same; and
        by position, what was made of the values that are converted together."""
        made = dict(zip(self.names, row[self.start : self.stop], strict=True))
        for name, convert in self.converted:
            if (value := made[name]) is not None:
                made[name] = convert(value)
        for name, position in self.looked_up:
            if (value := made[name]) is not None:
                made[name] = shared[position][value]
        for name, nested in self.nested:
            if (key := made[name]) is not None:
                if (related := shared.get((nested, key))) is None:
                    related = shared[nested, key] = nested.make(row, shared)
                made[name] = related
        for name, derive, positions in self.derived:
            made[name] = derive(*[row[position] for position in positions])
        return made


class Rows:
    """Reads rows of `model` as `shape` shows them; `extra` attributes come beside them, for the list to work with."""

    def __init__(self, model: Any, shape: Shape, extra: tuple[str, ...] = ()) -> None:
        self._columns: list[ColumnElement[Any]] = []
        self._joins: list[tuple[Any, ColumnElement[bool], bool]] = []
        self._together: dict[int, Callable[[list[Any]], Iterable[Any]]] = {}
        self._model = model
        self._object = self._plan(model, shape, outer=False)
        self._extra = [getattr(model, name).label(name) for name in extra]

    def read(self, session: Session, ids: Select[Any]) -> list[Json]:
        """The rows whose ids the statement yields, in its order."""
        return [made for made, _ in self.read_with_extra(session, ids)]

    def read_with_extra(self, session: Session, ids: Select[Any]) -> list[tuple[Json, Any]]:
        """The same, each with a row that has the extra attributes."""
        found = session.execute(self._statement(ids)).all()
        shared: dict[Any, Json] = {
            position: _convert_all(convert_all, [row[position] for row in found if row[position] is not None])
            for position, convert_all in self._together.items()
        }
        make = self._object.make
        return [(make(row, shared), row) for row in found]

    def _statement(self, ids: Select[Any]) -> Any:
        # The ids are found first, in an index alone: what a far page skips is never read.
        return self._text.add_cte(ids.cte(PAGE))

    @cached_property
    def _text(self) -> TextualSelect:
        """What never changes of the statement, as text: SQLAlchemy would walk through every column for each request."""
        ids = func.array(select(column("id")).select_from(table(PAGE)).scalar_subquery())
        wanted = func.unnest(ids).table_valued("id", with_ordinality="position").render_derived(name="wanted")
        source: FromClause = wanted.join(self._model.__table__, self._model.id == wanted.c.id)
        for target, condition, outer in self._joins:
            source = source.join(target, condition, isouter=outer)
        shown = [each.label(f"c{number}") for number, each in enumerate(self._columns)]
        statement: Select[Any] = select(*shown, *self._extra).select_from(source).order_by(wanted.c.position)
        dialect = postgresql.dialect(paramstyle="named")
        compiled = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        return text(compiled.replace("::", r"\:\:")).columns()

    def _plan(self, entity: Any, shape: Shape, *, outer: bool) -> _Object:
        made = _Object(start=len(self._columns))
        mapper = inspect(entity).mapper
        related: dict[str, Any] = {}

        def to(name: str) -> Any:
            if name not in related:
                related[name] = self._join(entity, mapper.relationships[name], outer=outer)
            return related[name]

        for name, shown in shape.fields.items():
            if isinstance(shown, Value):
                each, convert = _column(getattr(entity, shown.attribute))
                if shown.convert_all:
                    self._together[len(self._columns)] = shown.convert_all
                    made.looked_up.append((name, len(self._columns)))
                elif convert := shown.convert or convert:
                    made.converted.append((name, convert))
            elif isinstance(shown, Plucked):
                each = _members(entity, mapper.relationships[shown.collection], shown.attribute)
            elif isinstance(shown, Derived):
                each = entity.id
            elif shown.attribute in mapper.relationships:
                each = _foreign_key(entity, mapper.relationships[shown.attribute])
            else:
                continue
            made.names.append(name)
            self._columns.append(each)
        made.stop = len(self._columns)
        for name, shown in shape.fields.items():
            if isinstance(shown, Derived):
                positions = []
                for source in shown.sources:
                    owner, _, attribute = source.rpartition(".")
                    positions.append(len(self._columns))
                    self._columns.append(_column(getattr(to(owner)[0] if owner else entity, attribute))[0])
                made.derived.append((name, shown.derive, positions))
            elif isinstance(shown, Nested) and shown.attribute in mapper.relationships:
                target, is_outer = to(shown.attribute)
                made.nested.append((name, self._plan(target, shown.shape, outer=is_outer)))
        return made

    def _join(self, entity: Any, relationship: RelationshipProperty[Any], *, outer: bool) -> tuple[Any, bool]:
        target = aliased(relationship.mapper.class_)
        key = _foreign_key(entity, relationship)
        is_outer = outer or bool(next(iter(relationship.local_columns)).nullable)
        self._joins.append((target, target.id == key, is_outer))
        return target, is_outer


@cache
def rows(model: Hashable, shape: Shape, extra: tuple[str, ...] = ()) -> Rows:
    """The reader of a model and a shape: planned once."""
    return Rows(model, shape, extra)


def by_id(session: Session, model: Any, ids: Iterable[int], shape: Shape) -> dict[int, Json]:
    """Those of the rows that exist."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    query = select(model.id).where(model.id == any_(literal(wanted, ARRAY(BigInteger))))
    found = rows(model, shape, ("id",)).read_with_extra(session, query)
    return {row.id: shown for shown, row in found}


def _convert_all(convert_all: Callable[[list[Any]], Iterable[Any]], values: list[Any]) -> Json:
    """What is made of each value."""
    return dict(zip(values, convert_all(values), strict=True))


def _foreign_key(entity: Any, relationship: RelationshipProperty[Any]) -> Any:
    (column,) = relationship.local_columns
    return getattr(entity, inspect(entity).mapper.get_property_by_column(column).key)


def _column(attribute: InstrumentedAttribute[Any]) -> tuple[ColumnElement[Any], Callable[[Any], Any] | None]:
    """The column without the work that an object would need; documents go from the database to the client as text."""
    if isinstance(attribute.type, JSONB):
        return cast(attribute, Text), orjson.Fragment
    return type_coerce(attribute, NullType()), None


def _members(entity: Any, relationship: Any, attribute: str) -> ColumnElement[Any]:
    """An array of one column of the members, who are found through a table of pairs."""
    ((_, owner),) = relationship.synchronize_pairs
    ((member, link),) = relationship.secondary_synchronize_pairs
    target = relationship.mapper.class_
    members = select(getattr(target, attribute)).join_from(relationship.secondary, target, member == link)
    members = members.where(owner == entity.id).order_by(*relationship.order_by or ())
    return func.array(members.correlate(entity).scalar_subquery())
