"""What every operation of the OpenAPI document has in common: ids, errors, headers, examples.

Views say what is theirs; the rest is added here once, so that no operation can lack it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from apispec import APISpec, BasePlugin
from flask import Flask
from flask_smorest import Api
from werkzeug.routing import Rule

from scale_api import operations as operations_table
from scale_api.errors import PROBLEM
from scale_api.idempotency import HEADER as IDEMPOTENCY_KEY

Operation = dict[str, Any]

ERRORS = {
    "400": "What was sent cannot be accepted; each problem names its field.",
    "401": "Nobody knows who is asking: show an API token, or sign in.",
    "403": "Whoever is asking may not do this, or a page of another site asks.",
    "404": "There is no such object, or no such page.",
    "405": "What is no id is a file name here, and a name can only be looked at.",
    "409": "This contradicts what is stored, or the object's status does not allow it.",
    "412": "The object was changed since it was read (If-Match).",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "422": "The Idempotency-Key belongs to another request.",
    "429": "Too many tries failed; Retry-After says how long to wait.",
    "503": "The database or a storage is not available at the moment.",
}
PROBLEMS = {
    "type": "array",
    "description": "Everything that is wrong, by field.",
    "items": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
        "required": ["path", "message"],
    },
}
ERROR_SCHEMA = {
    "type": "object",
    "properties": {"detail": {"type": "string"}, "problems": PROBLEMS},
    "required": ["detail"],
}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457; sent to clients that accept it.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "problems": PROBLEMS,
    },
    "required": ["type", "title", "status", "detail"],
}
DESCRIPTION = (
    "Query parameters that an operation does not know are ignored, and an empty one (`started=`) counts as absent. "
    "Times are ISO 8601 with their zone. A body is at most 32 MiB."
)
EXAMPLE_ERROR = {
    "detail": "page: 'x' is not a positive whole number.",
    "problems": [{"path": "page", "message": "'x' is not a positive whole number."}],
}


def make_api(app: Flask) -> Api:
    """The API whose document says all of this."""
    plugin = Common(app)
    servers = [{"url": "/"}, {"url": "/v3"}]
    about = {"description": DESCRIPTION}
    api = Api(app, spec_kwargs={"servers": servers, "info": about, "extra_plugins": [plugin]})
    plugin.init_components(api.spec)
    return api


class Common(BasePlugin):
    """Completes each operation after its view was read."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def init_components(self, spec: APISpec) -> None:
        """Replace the shape of errors that the framework would answer."""
        spec.components.schemas["Error"] = ERROR_SCHEMA
        spec.components.schemas["Problem"] = PROBLEM_SCHEMA
        for name, scheme in _SCHEMES.items():
            spec.components.security_scheme(name, scheme)
        for name, text in _HEADERS.items():
            spec.components.header(name, {"description": text, "schema": {"type": "string"}})

    def operation_helper(
        self, path: str | None = None, operations: dict[str, Operation] | None = None, **kwargs: Any
    ) -> None:
        rule: Rule = kwargs["rule"]
        view = self._app.view_functions[rule.endpoint]
        view_class = getattr(view, "view_class", None)
        assert path is not None
        for method, operation in (operations or {}).items():
            handler = getattr(view_class, method, None)
            needed = operations_table.needed(method.upper(), rule.rule)
            operation["security"] = [] if needed is None else [{name: []} for name in _SCHEMES]
            _complete(method, path, operation, view_class, handler)
            if needed is not None:
                said = f"Needs the role {needed}."
                operation["description"] = "\n\n".join(filter(None, [operation.get("description"), said]))


def _complete(method: str, path: str, operation: Operation, view_class: Any, handler: Any) -> None:
    operation["operationId"] = _operation_id(method, path)
    operation.setdefault("summary", operation["operationId"])
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        _describe(parameter)
    is_read = method == "get"
    is_versioned = hasattr(view_class, "version_field")
    is_idempotent = getattr(handler, "is_idempotent", False)
    if is_read:
        parameters.append(
            _header("If-None-Match", "The ETag of what the client has: answered by 304 if it is the same.")
        )
    if not is_read:
        said = "With the cookie of a session: the csrf_token of GET /session/."
        parameters.append(_header("X-CSRF-Token", said))
    if is_versioned and not is_read:
        parameters.append(_header("If-Match", "The ETag of what the client has read: 412 if it was changed since."))
    if is_idempotent:
        parameters.append(_header(IDEMPOTENCY_KEY, "The same key with the same request: answered again, done once."))
    parameters.append(_header("X-Request-Id", "Names the request in Scale's log; made up if it is missing."))
    _complete_responses(method, path, operation, view_class, is_idempotent=is_idempotent, is_versioned=is_versioned)
    general = re.sub(r"{(?:\w+_)?(id|name)}", r"{\1}", path)
    examples = _examples().get(f"{method.upper()} {general}", {})
    if "request" in examples:
        body = next(iter(operation["requestBody"]["content"].values()))
        body["example"] = examples["request"]
    success = next(status for status in operation["responses"] if status.startswith("2"))
    if "response" in examples:
        operation["responses"][success]["content"]["application/json"]["example"] = examples["response"]


def _complete_responses(
    method: str, path: str, operation: Operation, view_class: Any, *, is_idempotent: bool, is_versioned: bool
) -> None:
    is_read = method == "get"
    responses = {
        str(status): response
        for status, response in operation["responses"].items()
        if str(status) not in ("default", "422", "400")
    }
    tags = ["ETag"] if is_read or is_versioned else []
    replayed = ["Idempotent-Replayed"] if is_idempotent else []
    for status, response in responses.items():
        response["headers"] = _sent(*tags, *replayed, *(["Location"] if status == "201" else []))
    if is_read:
        responses["304"] = {"description": "Nothing has changed since (If-None-Match).", "headers": _sent("ETag")}
    as_text = method.upper() in getattr(view_class, "text_errors", ())
    for status in _statuses(method, path, operation, is_idempotent=is_idempotent, is_versioned=is_versioned):
        responses[status] = _error(ERRORS[status], as_text=as_text)
        responses[status]["headers"] = _sent(*_SENT_WITH.get(status, ()))
    operation["responses"] = responses


COMPARES_PASSWORDS = ("/sign-in/", "/session/password/")
NAMES_BESIDE_IDS = ("/products/{product_id}/",)
BODY_NAMES_OBJECTS = ("/queue/", "/trigger-rules/preview/")  # which may not be there


def _statuses(
    method: str, path: str, operation: Operation, *, is_idempotent: bool, is_versioned: bool
) -> Iterator[str]:
    pages = any(parameter.get("name") == "page" for parameter in operation["parameters"])
    yield "400"
    if operation["security"] or path in COMPARES_PASSWORDS:
        yield "401"
    if operation["security"] or method != "get":
        yield "403"
    if path in COMPARES_PASSWORDS:
        yield "429"
    if "{" in path or pages or path.startswith(BODY_NAMES_OBJECTS):
        yield "404"
    if method != "get" and path in NAMES_BESIDE_IDS:
        yield "405"
    if method != "get":
        yield "409"
        yield "413"
        yield "415"
        if is_versioned:
            yield "412"
    if is_idempotent:
        yield "422"
    yield "503"


def _error(description: str, *, as_text: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "example": EXAMPLE_ERROR},
        PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}},
    }
    if as_text:
        content["text/plain"] = {"schema": {"type": "string"}}
    return {"description": description, "content": content}


def _sent(*names: str) -> dict[str, Any]:
    """Headers of a response."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _operation_id(method: str, path: str) -> str:
    """``get_jobs``, ``patch_jobs_job_id``: stable as long as the path is."""
    return "_".join([method, *re.findall(r"\w+", path)]).replace("-", "_")


def _header(name: str, description: str) -> dict[str, Any]:
    return {"in": "header", "name": name, "description": description, "required": False, "schema": {"type": "string"}}


def _describe(parameter: dict[str, Any]) -> None:
    """A description for what says none: filters are named after what they let through. No text may contain NUL."""
    schema = parameter.get("schema", {})
    for each in (schema, schema.get("items", {})):
        if each.get("type") == "string" and not {"enum", "anyOf", "format"} & set(each):
            each["pattern"] = r"^[^\u0000]*$"
    if parameter.get("description"):
        return
    words = str(parameter.get("name")).replace("_", " ")
    if parameter.get("in") == "path":
        parameter["description"] = f"The {words}."
        return
    more = " Repeat it for several." if parameter.get("schema", {}).get("type") == "array" else ""
    parameter["description"] = f"Only those with this {words}.{more}"


_SENT_WITH = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}
_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token of Scale."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "scale",
        "description": "Of whoever signed in with a browser; under TLS its name is __Host-scale.",
    },
}
_HEADERS = {
    "ETag": "For If-None-Match, and for If-Match of an edit.",
    "Idempotent-Replayed": "true: this is the stored answer of an earlier request under the same Idempotency-Key.",
    "Location": "The address of what was made.",
    "Retry-After": "Seconds to wait before trying again.",
    "WWW-Authenticate": "How to show who one is.",
    "X-Request-Id": "Names the request in Scale's log.",
}


@cache
def _examples() -> dict[str, Any]:
    """Examples by operation, as the documentation shows them."""
    loaded: dict[str, Any] = json.loads((Path(__file__).parent / "examples.json").read_text())
    return loaded
