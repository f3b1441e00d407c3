"""Import/Export services: errors, job types and recipe types from one Scale to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from flask import request
from flask.views import MethodView
from marshmallow import EXCLUDE, Schema, ValidationError, fields

from scale_api.blueprint import Blueprint, parse_json
from scale_api.database import session, transaction
from scale_api.fields import Answer, Body, ids, required_text, texts
from scale_api.ignored import ignored_fields
from scale_api.query import json_answer
from scale_api.resources.error import ErrorPatch
from scale_api.resources.job_type import JobTypeDetailsAnswer, JobTypePatch
from scale_api.resources.recipe_type import RecipeTypeDetailsAnswer, RecipeTypePatch
from scale_api.schemas import ErrorAnswer, Warnings
from scale_core.documents import version_field
from scale_core.documents.problems import problems_of
from scale_core.errors import Invalid, Problem, Warning_
from scale_core.queries import configuration as queries
from scale_core.services import configuration as services
from scale_core.timestamps import utcnow

blp = Blueprint("configuration", __name__, description="Configuration from one Scale to another")


class ExportQuery(Schema):
    class Meta:
        unknown = EXCLUDE

    include = fields.List(
        fields.String(metadata={"enum": list(queries.KINDS)}),
        metadata={"description": "What to export; all by default."},
    )
    recipe_type_id = ids(attribute="recipe_type_ids")
    recipe_type_name = texts(attribute="recipe_type_names")
    job_type_id = ids(attribute="job_type_ids")
    job_type_name = texts(attribute="job_type_names")
    job_type_category = texts(attribute="job_type_categories")
    error_id = ids(attribute="error_ids")
    error_name = texts(attribute="error_names")


class ErrorImport(ErrorPatch):
    name = required_text(50)


class JobTypeImport(JobTypePatch):
    name = required_text(50)
    version = required_text(50)


class RecipeTypeImport(RecipeTypePatch):
    name = required_text(50)
    version = required_text(50)


class ConfigurationBody(Body):
    version = version_field("1.0")
    recipe_types = fields.List(fields.Nested(RecipeTypeImport), load_default=list)
    job_types = fields.List(fields.Nested(JobTypeImport), load_default=list)
    errors = fields.List(fields.Nested(ErrorImport), load_default=list)


class ImportBody(Body):
    document = fields.Nested(ConfigurationBody, required=True, data_key="import")


class ConfigurationAnswer(Answer):
    """Each list is there only if it was asked for; its entries are what creating such an object takes."""

    version = fields.String()
    recipe_types = fields.List(fields.Dict())
    job_types = fields.List(fields.Dict())
    errors = fields.List(fields.Dict())


@blp.route("/configuration/")
class Configuration(MethodView):
    @blp.arguments(ExportQuery, location="query")
    @blp.response(200, ConfigurationAnswer)
    def get(self, query: dict[str, Any]) -> Any:
        """Export"""
        return json_answer(_export(query))

    @blp.arguments(ImportBody)
    @blp.response(200, Warnings)
    def post(self, body: dict[str, Any]) -> Any:
        """Import: all or nothing"""
        return _import(body["document"], request.get_json()["import"])


@blp.route("/configuration/validation/")
class ConfigurationValidation(MethodView):
    @blp.arguments(ImportBody)
    @blp.response(200, Warnings)
    def post(self, body: dict[str, Any]) -> Any:
        """Validate Import: what an import would say, without a trace"""
        # the session for reading is rolled back at the end of the request
        warnings = services.import_configuration(session(), body["document"], utcnow())
        return {"warnings": [*_ignored(request.get_json()["import"]), *warnings]}


@blp.route("/configuration/download/")
class ConfigurationDownload(MethodView):
    @blp.arguments(ExportQuery, location="query")
    @blp.response(200, ConfigurationAnswer)
    def get(self, query: dict[str, Any]) -> Any:
        """Export Download: the same as a file to save"""
        response = json_answer(_export(query))
        name = f"scale-export_{utcnow():%Y-%m-%d_%H-%M-%S}.json"
        response.headers["Content-Disposition"] = f"attachment; filename={name}"
        return response


@blp.route("/configuration/upload/")
class ConfigurationUpload(MethodView):
    @blp.response(200, Warnings)
    @blp.doc(
        requestBody={
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"import": {"type": "string", "format": "binary"}},
                        "required": ["import"],
                    }
                },
                "application/json": {"schema": ConfigurationBody},
            },
        },
        parameters=[{"in": "header", "name": "X-File-Name", "schema": {"type": "string"}, "required": False,
                     "description": "The file's name, when the body is the file itself."}],
    )  # fmt: skip
    def post(self) -> Any:
        """Import Upload: a form with one file, or the file itself with its name in the header X-File-Name"""
        document = _uploaded()
        try:
            loaded = ImportBody().load({"import": document})
        except ValidationError as error:
            raise Invalid(problems=problems_of(error.messages)) from None
        return _import(loaded["document"], document)


def _export(query: Mapping[str, Any]) -> dict[str, Any]:
    return queries.export(session(), queries.ExportFilters(**{name: tuple(value) for name, value in query.items()}))


def _import(document: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, list[Warning_]]:
    with transaction() as writing:
        warnings = services.import_configuration(writing, document, utcnow())
    return {"warnings": [*_ignored(raw), *warnings]}


_ENTRIES: dict[str, tuple[type[Schema], type[Schema]]] = {
    "recipe_types": (RecipeTypeImport, RecipeTypeDetailsAnswer),
    "job_types": (JobTypeImport, JobTypeDetailsAnswer),
    "errors": (ErrorImport, ErrorAnswer),
}


def _ignored(raw: Mapping[str, Any]) -> list[Warning_]:
    """Warnings for what is in the document without effect."""
    warnings = ignored_fields(ConfigurationBody, ConfigurationAnswer, raw, "import")
    for kind, schemas in _ENTRIES.items():
        for number, entry in enumerate(raw.get(kind) or ()):
            warnings += ignored_fields(*schemas, entry, f"import.{kind}[{number}]")
    return warnings


def _uploaded() -> Any:
    """The document of the one file that was sent: bare, or as the body of an import. Raises Invalid."""
    files = [file for file in request.files.values() if file.filename]
    if len(files) > 1:
        raise Invalid("Send one file at a time.")
    if files:
        name, content = files[0].filename or "", files[0].read()
    elif named := request.headers.get("X-File-Name"):
        name, content = unquote(named), request.get_data()
    else:
        raise Invalid("Send a form with one file, or the file itself with its name in the header X-File-Name.")
    if not name.lower().endswith(".json"):
        raise Invalid(problems=[Problem("import", f"the name of the file, {name!r}, does not end in .json")])
    document = parse_json(content)
    return document["import"] if set(document) == {"import"} else document
