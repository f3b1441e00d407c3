"""Error Interface Specification 1.0: exit codes to names of errors."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from scale_core.documents import load, version_field


class ErrorInterfaceSchema(Schema):
    version = version_field("1.0")
    exit_codes = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)


def normalize(raw: object, path: str = "error_mapping") -> dict[str, Any]:
    """The document with its defaults; null means no mapping. Raises Invalid."""
    return load(ErrorInterfaceSchema(), {} if raw is None else raw, path)
