"""Every operation of the documentation, table by table: operations.json holds the facts of its tables and examples.

`query` and `request` name the parameters and fields (``*``: may be repeated, ``!``: required), `response` the fields of
the answer with their types, `shown` what only the JSON examples show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core.domain.job import JobStatus
from tests import factories
from tests.conftest import NOW
from tests.specification.rich_world import Rich, make_rich_world

OPERATIONS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "operations.json").read_text())
GETS = [name for name in OPERATIONS if name.startswith("GET ")]
EDITS = [name for name in OPERATIONS if not name.startswith("GET ")]

# documents: what is in them is their authors' affair
DOCUMENTS = re.compile(
    r"(^|\.|\])(meta_data|interface|definition|configuration|description|error_mapping|json_config|environment|results_manifest|data)[.\[]|(^|\.)results\."
)
EXAMPLES = {
    "integer": "1",
    "string": "abc",
    "datetime": "2015-01-01T00:00:00Z",
    "boolean": "true",
}
WRONG_FIELDS: dict[str, Any] = {
    "integer": "many", "number": "much", "boolean": "maybe", "object": 1, "array": 1, "string": {},
    "datetime": "yesterday",
}  # fmt: skip
WRONG = {"integer": "one", "datetime": "yesterday", "boolean": "perhaps"}

# fields that may be null in every row, or stand in an object that is: a person queues jobs and recipes by no rule
NULL = {
    "POST /queue/new-job/": ("event.rule.", "job_exes[].node.", "recipes[].", "products[]", "input_files[].geometry"),
    "POST /queue/new-recipe/": ("event.rule.", "jobs[].job.event.rule."),
}


@pytest.fixture(scope="module")
def make_staged() -> Callable[[Session], Rich]:
    return make_rich_world


@pytest.fixture
def rich(staged_world: Rich) -> Rich:
    return staged_world


def path_of(operation: str, rich: Rich) -> str:
    path = operation.partition(" ")[2]
    return re.sub(r"\{\w+\}", str(rich.ids.get(path.split("/")[1])), path)


def values(document: Any, path: str) -> Iterator[tuple[bool, Any]]:
    """(is it there, what it is) for every place that the path leads to; nothing where a list is empty or null."""
    name, _, rest = path.partition(".")
    key, is_list = name.removesuffix("[]"), name.endswith("[]")
    if document is None:
        return
    if not isinstance(document, dict) or key not in document:
        yield False, None
    elif is_list:
        for each in document[key] or ():
            if rest:
                yield from values(each, rest)
            else:
                yield True, each
    elif rest:
        yield from values(document[key], rest)
    else:
        yield True, document[key]


def is_of_type(value: Any, kind: str) -> bool:
    name, _, choices = kind.partition(" ")
    if value is None:
        return True
    if choices and name == "string":
        return isinstance(value, str)
    checks: dict[str, Any] = {
        "integer": lambda: isinstance(value, int) and not isinstance(value, bool),
        "number": lambda: isinstance(value, (int, float)) and not isinstance(value, bool),
        "string": lambda: isinstance(value, str),
        "boolean": lambda: isinstance(value, bool),
        "array": lambda: isinstance(value, list),
        "object": lambda: isinstance(value, (dict, list)),
        "datetime": lambda: value.endswith("Z") and datetime.fromisoformat(value) is not None,
        "date": lambda: date.fromisoformat(value) is not None,
        "url": lambda: value.startswith("http"),
        "wkt": lambda: shapely.from_wkt(value) is not None,
    }
    return bool(checks[name]())


def check_answer(operation: str, document: Any) -> list[str]:
    """What the answer lacks, or has in another type."""
    facts = OPERATIONS[operation]
    kinds: dict[str, str] = {**dict.fromkeys(facts.get("shown", ()), ""), **facts.get("response", {})}
    wrong = []
    for path, kind in kinds.items():
        if DOCUMENTS.search(path):
            continue
        found = list(values(document, path))
        if any(not there for there, _ in found):
            wrong.append(f"{path}: not there")
        elif not found and not path.startswith(NULL.get(operation, ())):
            wrong.append(f"{path}: in nothing that there is")
        elif kind and not all(is_of_type(value, kind) for _, value in found):
            wrong.append(f"{path}: {next(value for _, value in found if not is_of_type(value, kind))!r} is no {kind}")
    return wrong


@pytest.mark.parametrize("prefix", ["", "/v3"])
@pytest.mark.parametrize("operation", GETS)
def test_answers(client: FlaskClient, rich: Rich, operation: str, prefix: str) -> None:
    path = path_of(operation, rich)
    if path.endswith("/plot-data/"):  # values tell their choice when there are two
        path += f"?choice_id={rich.world.job_type.id}&choice_id=1"
    response = client.get(prefix + path)
    assert response.status_code == OPERATIONS[operation]["status"], response.text
    assert response.content_type == "application/json"
    document = response.get_json()
    if operation == "GET /nodes/{id}/":
        offline = client.get(f"{prefix}/nodes/{rich.offline.id}/").get_json()
        assert (offline.pop("disconnected"), "disconnected" in document) == (True, False)
        document["disconnected"] = True
    assert check_answer(operation, document) == []


@pytest.mark.parametrize("operation", [name for name in GETS if "query" in OPERATIONS[name]])
def test_parameters(client: FlaskClient, rich: Rich, operation: str) -> None:
    path = path_of(operation, rich)
    for name, kind in OPERATIONS[operation]["query"].items():
        value = {"include": "errors", "column": "total_count", "group": "overview", "order": "id"}.get(
            name, EXAMPLES[kind.rstrip("*")]
        )
        if name == "order" and path == "/jobs/updates/":
            value = "-last_status_change"
        repeated = f"&{name}={value}" if kind.endswith("*") or name == "order" else ""
        response = client.get(f"{path}?{name}={value}{repeated}")
        if name == "ended" or (name == "started" and path in ("/load/", "/ingests/status/")):
            assert response.status_code == 200, (name, response.text)
        assert response.status_code == 200, (name, response.text)
        wrong = WRONG.get(kind.rstrip("*"))
        if wrong and name not in ("page", "page_size"):
            refused = client.get(f"{path}?{name}={wrong}")
            assert refused.status_code == 400, name
            assert name in refused.text


def bodies(rich: Rich, directory: str) -> dict[str, dict[str, Any]]:
    """A body with every documented field for each operation that takes one."""
    world = rich.world
    store = world.products.name
    rule = {
        "type": "PARSE",
        "name": "my-rule",
        "is_active": True,
        "configuration": {
            "version": "1.0",
            "condition": {"media_type": "text/plain", "data_types": ["foo"]},
            "data": {"input_data_name": "in", "workspace_name": store},
        },
    }
    job_type = {
        "title": "My first job", "description": "Reads the input", "category": "test", "author_name": "John",
        "author_url": "http://www.mysite.com", "is_long_running": False, "is_operational": True, "is_paused": False,
        "icon_code": "f1c5", "docker_privileged": False, "docker_image": "python", "uses_docker": True, "priority": 1,
        "timeout": 0, "max_scheduled": 1, "max_tries": 0, "cpus_required": 1.0, "mem_required": 64.0,
        "disk_out_const_required": 64.0, "disk_out_mult_required": 0.0, "interface": factories.interface(),
        "error_mapping": {"version": "1.0", "exit_codes": {"1": "unknown", "2": "bad-data"}}, "trigger_rule": rule,
    }  # fmt: skip
    recipe_rule = {**rule, "configuration": {**rule["configuration"], "data": {  # type: ignore[dict-item]
        "input_data_name": "file", "workspace_name": store}}}  # fmt: skip
    recipe_type = {
        "title": "My Recipe",
        "description": "A simple recipe type",
        "definition": world.recipe_type.definition,
        "trigger_rule": recipe_rule,
    }
    configuration = {"version": "1.0", "errors": [], "job_types": [], "recipe_types": [], "more": "is warned of"}
    strike = factories.strike_configuration(world.raw, mount=f"localhost:{directory}")
    node = {"hostname": world.node.hostname, "port": 5052, "pause_reason": "maintenance", "is_paused": True}
    data = {
        "version": "1.0",
        "input_data": [{"name": "in", "file_id": world.source.id}],
        "output_data": [{"name": "out", "workspace_id": world.products.id}],
    }
    recipe_data = {
        "version": "1.0",
        "input_data": [{"name": "file", "file_id": world.source.id}],
        "workspace_id": world.products.id,
    }
    return {
        "POST /configuration/": {"import": configuration},
        "POST /configuration/validation/": {"import": configuration},
        "POST /errors/": {"name": "e", "title": "E", "description": "An error", "category": "DATA"},
        "PATCH /errors/{id}/": {"title": "E", "description": "Another", "category": "ALGORITHM"},
        "PATCH /jobs/{id}/": {"status": "CANCELED"},
        "POST /job-types/": {"name": "my-job", "version": "1.0", **job_type},
        "POST /job-types/validation/": {"name": "my-job", "version": "1.0", **job_type, "id": 1},
        "PATCH /job-types/{id}/": job_type,
        "PATCH /nodes/{id}/": node,
        "PUT /nodes/{id}/": node,
        "POST /queue/new-job/": {"job_type_id": world.job_type.id, "job_data": data},
        "POST /queue/new-recipe/": {"recipe_type_id": world.recipe_type.id, "recipe_data": recipe_data},
        "POST /queue/requeue-jobs/": {
            "started": "2016-01-01T00:00:00Z", "ended": "2100-01-02T00:00:00Z", "status": "FAILED",
            "job_ids": [world.failed.id], "job_type_ids": [world.job_type.id],
            "job_type_names": [world.job_type.name], "job_type_categories": ["test"], "priority": 1,
        },
        "POST /recipe-types/": {"name": "my-recipe", "version": "1.0", **recipe_type},
        "POST /recipe-types/validation/": {"name": "my-recipe", "version": "1.0", **recipe_type, "id": 1},
        "PATCH /recipe-types/{id}/": recipe_type,
        "PATCH /scheduler/": {"is_paused": True},
        "POST /strike/create/": {
            "name": "my-strike", "title": "S", "description": "It watches", "configuration": strike,
        },
    }  # fmt: skip


@pytest.fixture
def requests_(session: Session, rich: Rich, tmp_path: Path) -> dict[str, dict[str, Any]]:
    rich.world.source.is_deleted, rich.world.source.deleted = False, None
    rich.world.source.media_type = "text/plain"
    rich.world.failed.last_modified = NOW
    session.commit()
    return bodies(rich, str(tmp_path))


@pytest.mark.parametrize("operation", [name for name in EDITS if name != "POST /configuration/upload/"])
def test_edits(client: FlaskClient, rich: Rich, requests_: dict[str, Any], session: Session, operation: str) -> None:
    method, _, path = operation.partition(" ")
    path = f"/jobs/{rich.world.queued.id}/" if path == "/jobs/{id}/" else path_of(operation, rich)
    facts, body = OPERATIONS[operation], requests_[operation]
    missing = {name for name in facts["request"] if "." not in name} - set(body)
    assert not missing, "the test should send every documented field"
    response = client.open(path, method=method, json=body)
    assert response.status_code == facts["status"], response.text
    assert response.content_type == "application/json"
    assert check_answer(operation, response.get_json()) == []
    assert ("Location" in response.headers) >= bool(facts.get("location"))
    if facts.get("location"):
        assert client.get(response.headers["Location"]).status_code == 200


@pytest.mark.parametrize("operation", [name for name in EDITS if "request" in OPERATIONS[name]])
def test_wrong_types_are_refused_by_name(
    client: FlaskClient, rich: Rich, requests_: dict[str, Any], operation: str
) -> None:
    method, _, path = operation.partition(" ")
    path = f"/jobs/{rich.world.queued.id}/" if path == "/jobs/{id}/" else path_of(operation, rich)
    for field, kind in OPERATIONS[operation]["request"].items():
        if "." in field:
            continue
        wrong: Any = WRONG_FIELDS[kind.rstrip("!")]
        response = client.open(path, method=method, json={**requests_[operation], field: wrong})
        assert response.status_code == 400, (field, response.text)
        assert field in response.text
        if kind.endswith("!"):
            without = {name: value for name, value in requests_[operation].items() if name != field}
            response = client.open(path, method=method, json=without)
            assert response.status_code == 400
            assert field in response.text


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if "{id}" in name])
def test_unknown_ids(client: FlaskClient, rich: Rich, requests_: dict[str, Any], operation: str) -> None:
    method, _, path = operation.partition(" ")
    for unknown in ("0", str(2**62), "9" * 40):
        body = requests_.get(operation)
        response = client.open(path.replace("{id}", unknown), method=method, json=body)
        assert response.status_code == 404, response.text


@pytest.mark.parametrize("operation", [name for name in EDITS if OPERATIONS[name].get("errors")])
def test_errors_that_are_text(client: FlaskClient, rich: Rich, operation: str) -> None:
    method, _, path = operation.partition(" ")
    refused = client.open(path_of(operation, rich), method=method, json={"colour": "red", "size": 1})
    assert refused.status_code == 400
    assert refused.content_type == "text/plain; charset=utf-8"
    assert "colour" in refused.text
    assert "size" in refused.text
    unknown = client.open(path.replace("{id}", "0"), method=method, json={})
    if "{id}" in path:
        assert unknown.status_code in (400, 404)
        assert unknown.content_type == "text/plain; charset=utf-8"


def test_statuses_of_jobs(client: FlaskClient, rich: Rich) -> None:
    for status in JobStatus:
        listed = client.get(f"/jobs/?status={status}").get_json()["results"]
        assert {job["status"] for job in listed} <= {status.value}
