"""Strike Configuration Specification 1.0. Expressions run in re2: linear in the name's length, whatever they are."""

from __future__ import annotations

import posixpath
from typing import Any

import re2
from marshmallow import Schema, ValidationError, fields, validate, validates

from scale_core.documents import load, version_field
from scale_core.documents.trigger_rule import TAG
from scale_core.domain.ingest import Duplicates, IngestRule, StrikeConfig


class FileToIngestSchema(Schema):
    filename_regex = fields.String(required=True, validate=validate.Length(min=1, max=1000))
    data_types = fields.List(fields.String(validate=TAG), load_default=list)
    workspace_path = fields.String(required=True)
    workspace_name = fields.String(required=True)
    # not in the documentation: left out, duplicates are set aside as it says
    duplicates = fields.String(
        validate=validate.OneOf(tuple(Duplicates), error="must be one of set_aside, discard, keep, replace")
    )

    @validates("filename_regex")
    def expression_compiles(self, value: str, **_: Any) -> None:
        try:
            _compile(value)
        except re2.error as error:
            reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
            raise ValidationError(f"{value!r} is not a regular expression that RE2 understands: {reason}") from None

    @validates("workspace_path")
    def path_stays_inside(self, value: str, **_: Any) -> None:
        if ".." in value.split("/") or "\x00" in value:
            raise ValidationError("must stay inside the workspace: no .. and no NUL")


class StrikeConfigurationSchema(Schema):
    version = version_field("1.0")
    mount = fields.String(
        required=True,
        validate=validate.Regexp(r"^[^:/\s\x00]+:/[^\x00]*$", error="must have the form host:/path"),
    )
    transfer_suffix = fields.String(
        required=True, validate=validate.Regexp(r"^[^/\x00]+$", error="must be a non-empty suffix without a slash")
    )
    files_to_ingest = fields.List(
        fields.Nested(FileToIngestSchema),
        required=True,
        validate=validate.Length(min=1, error="must contain at least one rule"),
    )


def normalize(raw: object, path: str = "configuration") -> dict[str, Any]:
    """The document with every default filled in. Raises Invalid."""
    return load(StrikeConfigurationSchema(), raw, path)


def parse(raw: object, path: str = "configuration") -> StrikeConfig:
    """Rules ready to match names, each from the name's beginning. Raises Invalid."""
    document = normalize(raw, path)
    return StrikeConfig(
        mount=document["mount"],
        transfer_suffix=document["transfer_suffix"],
        rules=tuple(_rule(entry) for entry in document["files_to_ingest"]),
    )


def _rule(entry: dict[str, Any]) -> IngestRule:
    expression = _compile(entry["filename_regex"])
    return IngestRule(
        filename_regex=entry["filename_regex"],
        data_types=tuple(entry["data_types"]),
        duplicates=Duplicates(entry.get("duplicates", Duplicates.SET_ASIDE)),
        # the documentation's own example begins with a slash: inside the workspace all the same
        workspace_path=posixpath.normpath(entry["workspace_path"].strip("/") or "."),
        workspace_name=entry["workspace_name"],
        matches=lambda name: expression.match(name) is not None,
    )


def _compile(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(expression, options)
