"""Schemas as shapes: what a schema describes, read straight from the rows (see scale_core/queries/shape.py)."""

from __future__ import annotations

from functools import cache
from typing import Any

from marshmallow import Schema, fields

from scale_api import schemas
from scale_core.queries.shape import Derived, Nested, Plucked, Shape, Value


@cache
def shape_of(schema: type[Schema]) -> Shape:
    """The shape that shows what `schema` would dump."""
    return Shape({name: _shown(name, field) for name, field in schema().dump_fields.items()})


def _shown(name: str, field: fields.Field[Any]) -> Value | Derived | Plucked | Nested:
    attribute = field.attribute or name
    if isinstance(field, schemas.Derived):
        return Derived(field.sources, field.derive)
    if isinstance(field, schemas.Wkt):
        return Value(attribute, convert_all=field.convert_all)
    if isinstance(field, schemas.Converted):
        return Value(attribute, field.convert)
    if isinstance(field, fields.Pluck):
        return Plucked(attribute, field.field_name)
    inner = field.inner if isinstance(field, fields.List) else field
    if isinstance(inner, fields.Nested):
        return Nested(attribute, shape_of(type(inner.schema)))
    return Value(attribute)
