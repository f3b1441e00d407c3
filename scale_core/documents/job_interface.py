"""Job Interface Specification 1.0."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from scale_core.documents import duplicates, load, name_field, version_field
from scale_core.domain import command
from scale_core.domain.job_interface import OUTPUT_DIR, InputSpec, JobInterface, OutputSpec
from scale_core.errors import Invalid


class InputSchema(Schema):
    name = name_field(required=True)
    type = fields.String(
        required=True, validate=validate.OneOf(("property", "file", "files"), error="must be property, file or files")
    )
    required = fields.Boolean(load_default=True, truthy={True}, falsy={False})
    media_types = fields.List(fields.String(validate=validate.Length(min=1)))

    @validates_schema
    def property_has_no_media_types(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("type") == "property" and data.get("media_types"):
            raise ValidationError("a property has no media types", "media_types")


class OutputSchema(Schema):
    name = name_field(required=True)
    type = fields.String(required=True, validate=validate.OneOf(("file", "files"), error="must be file or files"))
    required = fields.Boolean(load_default=True, truthy={True}, falsy={False})
    media_type = fields.String()


class SharedResourceSchema(Schema):
    name = name_field(required=True)
    type = fields.String(required=True)
    required = fields.Boolean(load_default=True, truthy={True}, falsy={False})


class JobInterfaceSchema(Schema):
    version = version_field("1.0")
    command = fields.String(required=True)
    command_arguments = fields.String(required=True)
    input_data = fields.List(fields.Nested(InputSchema), load_default=list)
    output_data = fields.List(fields.Nested(OutputSchema), load_default=list)
    shared_resources = fields.List(fields.Nested(SharedResourceSchema), load_default=list)

    @validates_schema
    def names_are_unique(self, data: dict[str, Any], **_: Any) -> None:
        names = [entry["name"] for key in ("input_data", "output_data", "shared_resources") for entry in data[key]]
        errors = [
            f"the name {name!r} is used more than once; inputs and outputs share one namespace"
            for name in duplicates(names)
        ]
        if OUTPUT_DIR in names:
            errors.append(f"{OUTPUT_DIR} is the name of the output directory and cannot be used")
        if errors:
            raise ValidationError(errors)

    @validates_schema
    def arguments_name_inputs(self, data: dict[str, Any], **_: Any) -> None:
        known = {entry["name"] for key in ("input_data", "shared_resources") for entry in data[key]} | {OUTPUT_DIR}
        try:
            unknown = [name for name in command.placeholders(data["command_arguments"]) if name not in known]
        except Invalid as error:
            raise ValidationError(str(error), "command_arguments") from None
        if unknown:
            raise ValidationError(
                [f"${{{name}}} is neither an input nor {OUTPUT_DIR}" for name in unknown], "command_arguments"
            )


def normalize(raw: object, path: str = "interface") -> dict[str, Any]:
    """The document with every default filled in, as REST returns it. Raises Invalid."""
    document = load(JobInterfaceSchema(), raw, path)
    for entry in document["input_data"]:
        if entry["type"] != "property":
            entry.setdefault("media_types", [])
    return document


def parse(raw: object, path: str = "interface") -> JobInterface:
    """The domain's view of an interface document. Raises Invalid."""
    document = normalize(raw, path)
    return JobInterface(
        command=document["command"],
        command_arguments=document["command_arguments"],
        inputs=input_specs(document["input_data"]),
        outputs=tuple(
            OutputSpec(entry["name"], entry["type"], entry["required"], entry.get("media_type") or None)
            for entry in document["output_data"]
        ),
    )


def input_specs(entries: list[dict[str, Any]]) -> tuple[InputSpec, ...]:
    return tuple(
        InputSpec(entry["name"], entry["type"], entry["required"], tuple(entry.get("media_types", ())))
        for entry in entries
    )
