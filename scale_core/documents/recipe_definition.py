"""Recipe Definition Specification 1.0."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from scale_core.documents import duplicates, load, name_field, version_field
from scale_core.documents.job_interface import InputSchema, input_specs
from scale_core.domain.recipe import Dependency, RecipeDefinition, RecipeJobSpec, check_graph
from scale_core.errors import Invalid


class ConnectionSchema(Schema):
    output = fields.String(required=True)
    input = fields.String(required=True)


class DependencySchema(Schema):
    name = fields.String(required=True)
    connections = fields.List(fields.Nested(ConnectionSchema), load_default=list)


class RecipeInputSchema(Schema):
    recipe_input = fields.String(required=True)
    job_input = fields.String(required=True)


class JobTypeReferenceSchema(Schema):
    name = fields.String(required=True)
    version = fields.String(required=True)


class RecipeJobSchema(Schema):
    name = name_field(required=True)
    job_type = fields.Nested(JobTypeReferenceSchema, required=True)
    recipe_inputs = fields.List(fields.Nested(RecipeInputSchema), load_default=list)
    dependencies = fields.List(fields.Nested(DependencySchema), load_default=list)


class RecipeDefinitionSchema(Schema):
    version = version_field("1.0")
    input_data = fields.List(fields.Nested(InputSchema), load_default=list)
    jobs = fields.List(fields.Nested(RecipeJobSchema), required=True)

    @validates_schema
    def names_are_unique(self, data: dict[str, Any], **_: Any) -> None:
        for key in ("input_data", "jobs"):
            if names := duplicates([entry["name"] for entry in data.get(key, [])]):
                raise ValidationError([f"the name {name!r} is used more than once" for name in names], key)


def normalize(raw: object, path: str = "definition") -> dict[str, Any]:
    """The document with every default filled in. Raises Invalid."""
    document = load(RecipeDefinitionSchema(), raw, path)
    for entry in document["input_data"]:
        if entry["type"] != "property":
            entry.setdefault("media_types", [])
    return document


def parse(raw: object, path: str = "definition") -> RecipeDefinition:
    """The graph, free of circles and dangling names. Raises Invalid."""
    document = normalize(raw, path)
    definition = RecipeDefinition(
        inputs=input_specs(document["input_data"]),
        jobs=tuple(_job(entry) for entry in document["jobs"]),
    )
    if problems := check_graph(definition):
        raise Invalid(problems=problems)
    return definition


def _job(entry: dict[str, Any]) -> RecipeJobSpec:
    return RecipeJobSpec(
        name=entry["name"],
        job_type=(entry["job_type"]["name"], entry["job_type"]["version"]),
        recipe_inputs=tuple((pair["recipe_input"], pair["job_input"]) for pair in entry["recipe_inputs"]),
        dependencies=tuple(
            Dependency(d["name"], tuple((c["output"], c["input"]) for c in d["connections"]))
            for d in entry["dependencies"]
        ),
    )
