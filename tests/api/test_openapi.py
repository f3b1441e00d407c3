"""The OpenAPI document: valid, complete, and with examples that fit it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from scale_api.openapi import _examples as examples_of_operations
from scale_core.documents import workspace_configuration
from scale_core.settings import Settings


@pytest.fixture(scope="module")
def document(shared_app: Flask) -> dict[str, Any]:
    read: dict[str, Any] = shared_app.test_client().get("/openapi.json").get_json()
    return read


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in ("get", "post", "put", "patch"):
            if method in item:
                yield method, path, item[method]


def test_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) > 75
    assert "get_jobs" in ids
    assert "patch_job_types_job_type_id" in ids
    for method, path, operation in operations(document):
        assert operation["summary"] != operation["operationId"], path
        assert operation["tags"], path
        assert all(parameter["description"] for parameter in operation["parameters"]), path
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert "X-Request-Id" in names
        assert ("If-None-Match" in names) == (method == "get")
        assert {"400", "503"} <= set(operation["responses"])
        assert ("404" in operation["responses"]) >= ("{" in path)
        assert ("412" in operation["responses"]) == ("If-Match" in names) == (method in ("put", "patch"))
        assert ("422" in operation["responses"]) == ("Idempotency-Key" in names)
    queue = {path for _, path, operation in operations(document) if "422" in operation["responses"]}
    assert queue == {"/queue/new-job/", "/queue/new-recipe/", "/queue/requeue-jobs/"}
    texts = {
        (method, path)
        for method, path, operation in operations(document)
        if "text/plain" in operation["responses"]["400"]["content"]
    }
    assert ("patch", "/jobs/{job_id}/") in texts
    assert ("get", "/jobs/{job_id}/") not in texts


def test_examples_fit(document: dict[str, Any]) -> None:
    """Examples are the documentation's: they lack what was added since, but nothing contradicts the schemas."""
    resource = DRAFT202012.create_resource(document)
    registry = Registry().with_resource("urn:scale", resource)
    seen, wrong = set(), []
    for method, path, operation in operations(document):
        success = next(status for status in operation["responses"] if status.startswith("2"))
        places = [operation["responses"][success]["content"]]
        if "requestBody" in operation:
            places.append(operation["requestBody"]["content"])
        for content in places:
            for media_type in content.values():
                if "example" in media_type:
                    schema = _absolute(media_type["schema"])
                    validator = jsonschema.Draft202012Validator(schema, registry=registry)
                    wrong += [
                        f"{method} {path} {error.json_path}: {error.message[:200]}"
                        for error in validator.iter_errors(media_type["example"])
                    ]
                    seen.add(f"{method} {path}")
    assert wrong == []
    assert len(seen) == len(examples_of_operations())


def _absolute(schema: Any) -> Any:
    """References of a part of the document lead into the document."""
    if isinstance(schema, dict):
        return {key: f"urn:scale{value}" if key == "$ref" else _absolute(value) for key, value in schema.items()}
    return [_absolute(each) for each in schema] if isinstance(schema, list) else schema


def test_bodies_of_examples_are_taken(client: FlaskClient) -> None:
    """They fail at most because what they refer to is not there."""
    for operation, example in examples_of_operations().items():
        method, path = operation.split()
        if "request" in example and "{" not in path:
            response = client.open(path, method=method, json=example["request"])
            problems = (response.get_json(silent=True) or {}).get("problems", [])
            missing = ("there is no", "unknown job type", "is not mounted here", "No job matches")
            assert (
                response.status_code < 400
                or response.status_code == 404
                or all(any(word in problem["message"] for word in missing) for problem in problems)
            ), (operation, response.text)


def test_the_documentation_needs_no_internet(client: FlaskClient, settings: Settings) -> None:
    page = client.get("/docs/api/").text
    assert "http://" not in page
    assert "https://" not in page
    assert client.get("/docs/assets/swagger-ui-bundle.js").status_code == 200


def test_examples_of_workspaces_are_accepted_and_one_is_there_for_every_broker(document: dict[str, Any]) -> None:
    shown = document["components"]["schemas"]["WorkspaceBody"]["properties"]["json_config"]["examples"]
    assert [workspace_configuration.normalize(each)["broker"]["type"] for each in shown] == list(
        workspace_configuration.Broker.schemas
    )


def test_operations_say_who_may_and_how_to_show_it(document: dict[str, Any]) -> None:
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}
    for method, path, operation in operations(document):
        is_public = (method, path) in (
            ("get", "/version/"), ("get", "/session/"), ("post", "/sign-in/"),
        )  # fmt: skip
        assert operation["security"] == ([] if is_public else [{"token": []}, {"session": []}]), path
        assert ("401" in operation["responses"]) == (not is_public or path == "/sign-in/")
        assert ("Needs the role" in operation.get("description", "")) == (not is_public)
        assert ("429" in operation["responses"]) == (path in ("/sign-in/", "/session/password/"))
    cancel = document["paths"]["/jobs/{job_id}/"]["patch"]
    assert "Needs the role operator." in cancel["description"]
    assert "WWW-Authenticate" in cancel["responses"]["401"]["headers"]
