"""References made of what they describe: JSON documents of their schemas, settings of their reader, REST of OpenAPI."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any

import orjson
from apispec import APISpec
from flask import current_app
from marshmallow import Schema, fields, missing, validate

from scale_api import operations as operations_table
from scale_core.documents import (
    clock_rule,
    error_interface,
    job_data,
    job_interface,
    recipe_definition,
    results_manifest,
    strike_configuration,
    trigger_rule,
    workspace_configuration,
)
from scale_core.domain.access import Role
from scale_core.settings import CHECKOUT, Settings

KINDS = {
    fields.Boolean: "true or false",
    fields.Integer: "whole number",
    fields.Float: "number",
    fields.String: "text",
    fields.Dict: "object",
    fields.List: "list",
    fields.Nested: "object",
    fields.Raw: "anything",
    workspace_configuration.Broker: "object",
    workspace_configuration.Reference: "object",
}
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Row:
    """One field of a document; `path` is spelled as problems spell it, `default` is JSON or empty."""

    path: str
    kind: str
    is_required: bool
    default: str
    rule: str


@dataclass(frozen=True)
class Document:
    title: str
    about: str
    rows: list[Row]


@dataclass(frozen=True)
class Variable:
    name: str
    kind: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    summary: str
    description: str
    role: str
    parameters: list[Mapping[str, Any]]
    body: list[Row]
    answers: list[tuple[str, str]]


# Every JSON document that people write, with the module that says what it is for.
DOCUMENTS: tuple[tuple[str, ModuleType, type[Schema]], ...] = (
    ("Job interface", job_interface, job_interface.JobInterfaceSchema),
    ("Job data", job_data, job_data.JobDataSchema),
    ("Results manifest", results_manifest, results_manifest.ManifestSchema),
    ("Error interface", error_interface, error_interface.ErrorInterfaceSchema),
    ("Recipe definition", recipe_definition, recipe_definition.RecipeDefinitionSchema),
    ("Recipe data", job_data, job_data.RecipeDataSchema),
    ("Strike configuration", strike_configuration, strike_configuration.StrikeConfigurationSchema),
    ("Ingest and parse trigger configuration", trigger_rule, trigger_rule.TriggerConfigurationSchema),
    ("Clock trigger configuration", clock_rule, clock_rule.ClockConfigurationSchema),
    ("Workspace configuration", workspace_configuration, workspace_configuration.WorkspaceConfigurationSchema),
)


@cache
def documents() -> list[Document]:
    return [
        Document(title, inspect.cleandoc(module.__doc__ or "").split("\n\n")[0], list(rows_of(schema())))
        for title, module, schema in DOCUMENTS
    ]


def rows_of(schema: Schema, path: str = "") -> Iterator[Row]:
    """The fields of a schema and of what is nested in it, depth first."""
    for name, field in schema.fields.items():
        yield from _rows(field, f"{path}{field.data_key or name}")


def _rows(field: fields.Field, path: str) -> Iterator[Row]:
    default = field.load_default() if callable(field.load_default) else field.load_default
    rules = [*map(_rule, field.validators), "may be null" if field.allow_none else ""]
    inner = field.inner if isinstance(field, fields.List) else None
    if inner is not None and not isinstance(inner, fields.Nested):
        rules += [f"each {text}" for text in map(_rule, inner.validators) if text]
    kind = _kind(field) + (f" of {_kind(inner)}" if inner is not None else "")
    shown = "" if default is missing or default is None else _json(default)
    yield Row(path, kind, field.required, shown, "; ".join(filter(None, rules)))
    if isinstance(field, fields.Nested):
        yield from rows_of(field.schema, f"{path}.")
    elif isinstance(inner, fields.Nested):
        yield from rows_of(inner.schema, f"{path}[].")
    for of_type, schema in getattr(field, "schemas", {}).items():
        for row in rows_of(schema(), f"{path}."):
            yield replace(row, rule="; ".join(filter(None, (f"for the type {of_type}", row.rule))))


def _kind(field: fields.Field) -> str:
    return next(name for kind, name in KINDS.items() if isinstance(field, kind))


def _rule(validator: Any) -> str:
    """What a validator wants, in the words of its error where it has some."""
    own = str(getattr(validator, "error", None) or "")
    if own and not own.startswith("is not"):  # which tells of a value, not of what is wanted
        return own
    if isinstance(validator, validate.OneOf):
        return "one of " + ", ".join(map(str, validator.choices))
    if isinstance(validator, validate.Length | validate.Range):
        bounds = (("at least", validator.min), ("at most", validator.max))
        said = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
        return f"length {said}" if isinstance(validator, validate.Length) else said
    return ""


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


@cache
def settings() -> list[Variable]:
    """Every variable that Settings.from_environ asks for, with the meaning that docs/configuration.md gives it."""
    asked: dict[str, None] = {}

    class Recording(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            asked[key] = None
            return default

    Settings.from_environ(Recording())
    lines = (CHECKOUT / "docs" / "configuration.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("| `SCALE_")]
    rows = {row[0].strip("` "): row for row in cells}
    return [Variable(name, rows[name][2], _text(rows[name][1]), _text(rows[name][3])) for name in asked if name in rows]


def _text(markdown: str) -> str:
    """Without links and marks."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "").strip("*")


def operations() -> list[tuple[str, list[Operation]]]:
    """The operations of the OpenAPI document by their tag."""
    return _operations(current_app.extensions["scale_openapi"])


@cache
def _operations(spec: APISpec) -> list[tuple[str, list[Operation]]]:
    document = spec.to_dict()
    found: dict[str, list[Operation]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["Scale"])[0]
                found.setdefault(tag, []).append(_operation(document, path, method, item))
    return sorted(found.items())


def _operation(document: Mapping[str, Any], path: str, method: str, item: Mapping[str, Any]) -> Operation:
    operation = item[method]
    role = operations_table.NEEDED.get(f"{method.upper()} {path}", Role.ADMIN)
    parameters = [_resolved(document, each) for each in (*item.get("parameters", ()), *operation.get("parameters", ()))]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answers = {status: _resolved(document, answer) for status, answer in operation["responses"].items()}
    return Operation(
        method.upper(),
        path,
        operation["summary"],
        operation.get("description", "")
        .removesuffix(f"Needs the role {role}.")
        .strip(),  # which has a place of its own
        role.value if role else "anybody",
        [each for each in parameters if each["in"] != "header"],
        list(_properties(document, _resolved(document, body))),
        [(status, answer.get("description", "")) for status, answer in answers.items() if status.startswith("2")],
    )


def _properties(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Row]:
    for name, each in schema.get("properties", {}).items():
        found = _resolved(document, each)
        default = _json(found["default"]) if found.get("default") is not None else ""
        yield Row(name, type_of(found), name in schema.get("required", ()), default, found.get("description", ""))


def type_of(schema: Mapping[str, Any]) -> str:
    """A JSON schema's types in one line."""
    kind = schema.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _resolved(document: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The value itself where it is a reference into the document."""
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value
