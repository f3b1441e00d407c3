"""The JSON documents of the specification: one file each, marshmallow schema ↔ the domain's dataclass.

REST, import/export and the node executor share them. Every `parse` raises Invalid with all problems at once.
"""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from scale_core.documents.problems import problems_of
from scale_core.domain.job_interface import NAME
from scale_core.errors import Invalid, Problem

INT_MAX = 2**63 - 1


def load(schema: Schema, raw: object, path: str = "") -> dict[str, Any]:
    """Deserialise; a ValidationError becomes Invalid with one Problem per field."""
    if not isinstance(raw, dict):
        raise Invalid(problems=[Problem(path, "must be a JSON object")])
    try:
        loaded: dict[str, Any] = schema.load(raw)
    except ValidationError as error:
        raise Invalid(problems=problems_of(error.messages, path)) from None
    return loaded


def name_field(**options: Any) -> fields.String:
    return fields.String(
        validate=validate.Regexp(
            NAME, error="must be 1 to 255 of these characters: letters, digits, blank, underscore and hyphen"
        ),
        **options,
    )


def version_field(*versions: str) -> fields.String:
    """The optional version of a document, the newest by default."""
    return fields.String(
        load_default=versions[0],
        validate=validate.OneOf(versions, error=f"the only valid versions are {', '.join(versions)}"),
    )


def id_field(**options: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(1, INT_MAX, error="is not an id"), **options)


def duplicates(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
