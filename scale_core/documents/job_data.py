"""Job Data Specification 1.0 and Recipe Data Specification 1.0."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from scale_core.documents import duplicates, id_field, load, version_field
from scale_core.domain.job_interface import DataValue, JobData
from scale_core.domain.recipe import RecipeData


class InputDataSchema(Schema):
    name = fields.String(required=True)
    value = fields.String()
    file_id = id_field()
    file_ids = fields.List(id_field())

    @validates_schema
    def exactly_one_kind(self, data: dict[str, Any], **_: Any) -> None:
        given = [key for key in ("value", "file_id", "file_ids") if key in data]
        if len(given) != 1:
            raise ValidationError(f"give exactly one of value, file_id and file_ids for the input {data.get('name')!r}")
        if "\x00" in data.get("value", ""):
            raise ValidationError("must not contain a NUL character", "value")


class OutputDataSchema(Schema):
    name = fields.String(required=True)
    workspace_id = id_field(required=True)


class JobDataSchema(Schema):
    version = version_field("1.0")
    input_data = fields.List(fields.Nested(InputDataSchema), load_default=list)
    output_data = fields.List(fields.Nested(OutputDataSchema), load_default=list)

    @validates_schema
    def names_are_unique(self, data: dict[str, Any], **_: Any) -> None:
        for key in ("input_data", "output_data"):
            _refuse_duplicates(key, data[key])


class RecipeDataSchema(Schema):
    version = version_field("1.0")
    input_data = fields.List(fields.Nested(InputDataSchema), load_default=list)
    workspace_id = id_field(load_default=None, allow_none=True)

    @validates_schema
    def names_are_unique(self, data: dict[str, Any], **_: Any) -> None:
        _refuse_duplicates("input_data", data["input_data"])


def parse(raw: object, path: str = "job_data") -> JobData:
    """Raises Invalid."""
    document = load(JobDataSchema(), raw, path)
    return JobData(
        _values(document["input_data"]), {entry["name"]: entry["workspace_id"] for entry in document["output_data"]}
    )


def parse_recipe(raw: object, path: str = "recipe_data") -> RecipeData:
    """Raises Invalid."""
    document = load(RecipeDataSchema(), raw, path)
    return RecipeData(_values(document["input_data"]), document["workspace_id"])


def _values(entries: list[dict[str, Any]]) -> dict[str, DataValue]:
    return {
        entry["name"]: DataValue(
            value=entry.get("value"),
            file_ids=(entry["file_id"],) if "file_id" in entry else tuple(entry.get("file_ids", ())),
        )
        for entry in entries
    }


def _refuse_duplicates(key: str, entries: list[dict[str, Any]]) -> None:
    if names := duplicates([entry["name"] for entry in entries]):
        raise ValidationError([f"{name!r} is given more than once" for name in names], key)
