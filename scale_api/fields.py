"""Marshmallow fields and base schemas that fit the documentation's JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate

from scale_core import timestamps
from scale_core.errors import Invalid

INT32 = validate.Range(-(2**31), 2**31 - 1)
BIGINT = validate.Range(-(2**63), 2**63 - 1)
_DIGITS = re.compile(r"-?[0-9]{1,30}")
_FLAGS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class Answer(Schema):
    """What Scale sends; every field is always there."""


class Body(Schema):
    """What a client sends. Fields that Scale does not know or does not let a client set are ignored."""

    class Meta:
        unknown = EXCLUDE


class StrictBody(Schema):
    """What a client sends where additional fields are not tolerated."""

    class Meta:
        unknown = RAISE

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Say all unexpected fields in one sentence, as the documentation promises."""
        if isinstance(data, Mapping) and (unexpected := sorted(set(data) - set(self.fields))):
            raise Invalid(f"Unexpected fields: {', '.join(unexpected)}. Allowed are: {', '.join(sorted(self.fields))}.")


class Time(fields.DateTime):
    """ISO 8601 in UTC with Z."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else timestamps.isoformat(value)


# fractions and larger numbers are taken too, as far as they do not lead out of the calendar
_DURATION = r"^P(?=[0-9T])([0-9]{1,4}W)?([0-9]{1,5}D)?(T(?=[0-9])([0-9]{1,6}H)?([0-9]{1,8}M)?([0-9]{1,9}S)?)?$"


class Moment(fields.String):
    """A time or a duration counted back from now."""

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        forms = {"anyOf": [{"format": "date-time"}, {"pattern": _DURATION}], "examples": ["PT3H0M0S"]}
        super().__init__(metadata={**forms, **(metadata or {})}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return timestamps.parse_moment(super()._deserialize(value, attr, data, **kwargs), timestamps.utcnow())
        except Invalid as error:
            raise ValidationError(str(error)) from error


class Flag(fields.Boolean):
    """true, t, 1, false, f or 0 in any case; in JSON also the booleans."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _FLAGS:
            return _FLAGS[value.lower()]
        raise ValidationError("Must be true or false.")


class Int(fields.Integer):
    """A whole number that fits an integer column; texts of digits are taken too, fractions are not."""

    def __init__(self, *, limits: validate.Range = INT32, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=[limits, *kwargs.pop("validate", [])], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            return int(value)
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class IdNumber(Int):
    """The id of a row."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(limits=BIGINT, **kwargs)


class Document(fields.Dict):
    """A JSON document that a service validates."""

    default_error_messages = {"invalid": "Must be a JSON object."}


class Ref(Answer):
    """A reference to another object."""

    id = fields.Integer()


def ids(**kwargs: Any) -> fields.List:
    return fields.List(IdNumber(), **kwargs)


def texts(**kwargs: Any) -> fields.List:
    return fields.List(fields.String(), **kwargs)


def text(maximum: int, **kwargs: Any) -> fields.String:
    return fields.String(validate=validate.Length(max=maximum), **kwargs)


def required_text(maximum: int) -> fields.String:
    return fields.String(required=True, validate=validate.Length(min=1, max=maximum))
