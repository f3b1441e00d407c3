"""Ingest and Parse Trigger Configuration Specification 1.0."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import Schema, fields, validate

from scale_core.documents import load, version_field
from scale_core.domain.trigger import FileRule

TAG = validate.Regexp(
    re.compile(r"^[a-zA-Z0-9\-_ ]+$"), error="a data type consists of letters, digits, blank, underscore and hyphen"
)


class ConditionSchema(Schema):
    media_type = fields.String(load_default="")
    data_types = fields.List(fields.String(validate=TAG), load_default=list)


class DataSchema(Schema):
    input_data_name = fields.String(required=True)
    workspace_name = fields.String(required=True)


class TriggerConfigurationSchema(Schema):
    version = version_field("1.0")
    condition = fields.Nested(ConditionSchema, load_default=lambda: {"media_type": "", "data_types": []})
    data = fields.Nested(DataSchema, required=True)


def normalize(raw: object, path: str = "trigger_rule.configuration") -> dict[str, Any]:
    """The document with every default filled in. Raises Invalid."""
    return load(TriggerConfigurationSchema(), raw, path)


def parse(raw: object, path: str = "trigger_rule.configuration") -> FileRule:
    """Raises Invalid."""
    document = normalize(raw, path)
    return FileRule(
        media_type=document["condition"]["media_type"],
        data_types=frozenset(document["condition"]["data_types"]),
        input_data_name=document["data"]["input_data_name"],
        workspace_name=document["data"]["workspace_name"],
    )
