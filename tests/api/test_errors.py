"""Whatever a client does wrong has an answer that says so, and none of it is a 500."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_api import create_app, errors
from scale_core import errors as scale_errors
from scale_core.db.session import make_engine, make_sessions
from scale_core.settings import CHECKOUT, Settings
from tests.api.world import World

DETAILS = [
    "/errors/{}/",
    "/workspaces/{}/",
    "/job-types/{}/",
    "/recipe-types/{}/",
    "/recipes/{}/",
    "/jobs/{}/",
    "/job-executions/{}/",
    "/job-executions/{}/logs/",
    "/ingests/{}/",
    "/strikes/{}/",
    "/sources/{}/",
    "/products/{}/",
    "/files/{}/",
    "/files/{}/content/",
    "/nodes/{}/",
]
POSTS = [
    "/errors/",
    "/workspaces/",
    "/workspaces/validation/",
    "/job-types/",
    "/job-types/validation/",
    "/recipe-types/",
    "/recipe-types/validation/",
    "/strikes/",
    "/strikes/validation/",
    "/strike/create/",
    "/queue/new-job/",
    "/queue/new-recipe/",
]


@pytest.mark.parametrize("path", DETAILS)
@pytest.mark.parametrize("key", ["0", "123456789", "9223372036854775807", "9223372036854775808", "9" * 400, "-1", "x"])
def test_unknown_objects(client: FlaskClient, path: str, key: str) -> None:
    response = client.get(path.format(key))
    assert response.status_code == 404
    if path == "/nodes/{}/" and key.isdigit() and len(key) < 19 + (key == "9223372036854775807"):
        assert response.mimetype == "text/plain"
    else:
        assert set(response.json) == {"detail"}


def test_unknown_routes(client: FlaskClient) -> None:
    response = client.get("/nothing/here/")
    assert (response.status_code, response.json) == (404, {"detail": "Not found."})
    assert client.get("/v3/nothing/").status_code == 404
    assert client.get("/v3jobs/").status_code == 404


def test_methods(client: FlaskClient) -> None:
    response = client.delete("/jobs/")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert set(response.json) == {"detail"}
    assert client.head("/jobs/").status_code == client.options("/jobs/").status_code == 200


def test_problem_documents(client: FlaskClient) -> None:
    response = client.get("/jobs/?page=x", headers={"Accept": "application/problem+json"})
    assert (response.status_code, response.content_type) == (400, "application/problem+json")
    assert response.json["title"] == "Bad Request"
    assert response.json["problems"][0]["path"] == "page"
    assert client.get("/jobs/1/", headers={"Accept": "application/problem+json"}).json["status"] == 404


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"{}", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": Infinity}', "application/json", 400),
        (b'{"name": -Infinity}', "application/json", 400),
        (b'{"name": 1e400}', "application/json", 400),
        (b"{} trailing", "application/json", 400),
        (b"\xef\xbb\xbf{}", "application/json", 400),
        ("{}".encode("utf-16"), "application/json; charset=utf-16", 400),
        (b"{}", "", 415),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b'{"name": "a\\u0000b"}', "application/json", 400),
        (b'{"a\\u0000b": 1}', "application/json", 400),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_bodies(client: FlaskClient, path: str, body: bytes, content_type: str, status: int) -> None:
    response = client.post(path, data=body, content_type=content_type)
    assert response.status_code == status, response.text
    assert response.json["detail"]


@pytest.mark.parametrize("value", [None, 5, 1.5, True, "text", [], [{}], {"x": [1]}, "", "x" * 100_000, 10**18, -1])
@pytest.mark.parametrize("path", POSTS)
def test_wrong_types(client: FlaskClient, world: World, path: str, value: object) -> None:
    """Each field of each body in turn holds something that it should not."""
    whole = {
        "name": "n", "version": "1", "title": "t", "description": "d", "category": "DATA", "is_active": True,
        "base_url": "http://x", "json_config": {"version": "1.0", "broker": {"type": "host", "host_path": "/x"}},
        "interface": {"version": "1.0", "command": "c", "command_arguments": "", "input_data": [], "output_data": []},
        "error_mapping": {}, "trigger_rule": None, "timeout": 1, "priority": 1, "cpus_required": 1.0,
        "max_scheduled": 1, "definition": {"version": "1.0", "input_data": [], "jobs": []},
        "configuration": {"version": "1.0", "mount": "host:/x", "transfer_suffix": "_", "files_to_ingest": []},
        "job_type_id": world.job_type.id, "job_data": {}, "recipe_type_id": world.recipe_type.id, "recipe_data": {},
    }  # fmt: skip
    for field in whole:
        response = client.post(path, json={**whole, field: value})
        assert response.status_code < 500, (field, value, response.text)


def test_unexpected_content_length(app: Flask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 10
    refused = app.test_client().post("/errors/", json={"name": "x" * 100})
    assert refused.status_code == 413
    assert "larger than 10 bytes" in refused.json["detail"]


@pytest.mark.parametrize("path", ["/ingests/a%00b/", "/jobs/?status=%00", "/jobs/?%00=1", "/sources/%00/"])
def test_nul_in_urls(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs/%ff/", 404), ("/jobs/%zz/", 404), ("/jobs/1%2F2/", 404), ("/ingests/%ff%fe/", 404),
        ("/sources/%ED%A0%80/", 404), ("/errors/%0a/", 404), ("/jobs/?%ff=%ff", 200), ("/jobs/?status=%ff%fe", 200),
        ("/jobs/?job_type_name=%ED%A0%80", 200), ("/jobs/?order=%F0%9F%98%80", 400), ("/jobs/?job_id=%ff", 400),
        ("/jobs/?page=%D9%A3", 400), ("/jobs/?job_id=NaN", 400), ("/jobs/?job_id=1e400", 400),
        ("/jobs/?job_id=-1", 200), ("/jobs/?job_id=9223372036854775808", 400), ("/jobs/?page=9223372036854775808", 404),
        ("/jobs/?started=PT1e400S", 400), ("/jobs/?started=P99999999999D", 400), ("/jobs/?started=NaN", 400),
        ("/jobs/?started=0000-00-00T00:00:00Z", 400), ("/jobs/?x=" + "y" * 200_000, 200), ("/" + "z" * 100_000, 404),
        ("/jobs/?" + "&".join(f"job_type_id={number}" for number in range(5000)), 200),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_rubbish_in_urls(client: FlaskClient, path: str, status: int) -> None:
    response = client.get(path)
    assert response.status_code == status, response.text
    assert status == 200 or response.json["detail"]


def test_the_last_of_several_keys_counts_and_large_bodies_are_read(client: FlaskClient) -> None:
    body = b'{"name": "first", "name": "\xf0\x9f\x8c\x8d", "title": "t", "description": "d", "category": "DATA", '
    made = client.post(
        "/errors/", data=body + b'"more": "' + b"x" * (20 << 20) + b'"}', content_type="application/json"
    )
    assert (made.status_code, made.json["name"]) == (201, "\N{EARTH GLOBE EUROPE-AFRICA}")


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status"),
    [("GET", "/nothing/", None, 404), ("GET", "/jobs/0/", None, 404), ("DELETE", "/jobs/", None, 405),
     ("POST", "/errors/", "text/plain", 415), ("POST", "/errors/", "application/json", 400)],
)  # fmt: skip
def test_every_refusal_can_be_a_problem_document(
    client: FlaskClient, method: str, path: str, content_type: str | None, status: int
) -> None:
    data = b"?" if content_type else None
    headers = {"Accept": "application/problem+json", "X-Request-Id": "mine"}
    refused = client.open(path, method=method, data=data, content_type=content_type, headers=headers)
    assert (refused.status_code, refused.mimetype) == (status, "application/problem+json")
    assert refused.headers["X-Request-Id"] == "mine"
    assert (refused.json["type"], refused.json["status"]) == ("about:blank", status)
    assert refused.json["title"]
    assert refused.json["detail"]


def test_methods_that_an_operation_lacks(client: FlaskClient) -> None:
    for path, item in client.get("/openapi.json").json["paths"].items():
        for method in {"get", "post", "put", "patch", "delete", "trace"} - set(item):
            filled = re.sub(r"{\w+}", "1", path.replace("{file_name}", "no-number.txt"))
            refused = client.open(filled, method=method.upper())
            assert refused.status_code == 405, (method, path)
            assert set(refused.headers["Allow"].lower().split(", ")) - {"head", "options"} == set(item) - {"parameters"}


def test_slashes(client: FlaskClient) -> None:
    response = client.get("/v3/jobs?page=1")
    assert (response.status_code, response.headers["Location"]) == (301, "http://localhost/v3/jobs/?page=1")
    response = client.post("/errors", json={})
    assert response.status_code == 308  # unlike 301 this keeps method and body
    followed = client.post("/errors", json={}, follow_redirects=True)
    assert (followed.status_code, followed.json["problems"][0]["path"]) == (400, "name")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (scale_errors.NotFound(), 404),
        (scale_errors.Invalid("no"), 400),
        (scale_errors.Conflict("no"), 409),
        (scale_errors.IllegalTransition("job", [1], "A", "B"), 409),
        (scale_errors.BrokerError("no"), 503),
        (scale_errors.ConfigurationError("no"), 500),
        (RuntimeError("secret"), 500),
    ],
)
def test_statuses(app: Flask, error: Exception, status: int) -> None:
    def fail() -> None:
        raise error

    app.add_url_rule("/fail/", view_func=fail)
    response = app.test_client().get("/fail/")
    assert response.status_code == status
    assert "secret" not in response.text
    assert ("Retry-After" in response.headers) is (status == 503)


def test_every_error_has_a_status() -> None:
    ours = ("scale_core", "scale_api")
    kinds = {kind for kind in scale_errors.ScaleError.__subclasses__() if kind.__module__.startswith(ours)}
    assert kinds - set(errors.STATUS) == {
        scale_errors.ConfigurationError,
        scale_errors.Deposed,
        errors.UnsupportedMediaType,
    }


def test_without_database(settings: Settings) -> None:
    """Nobody listens on port 1: what PostgreSQL's absence looks like."""
    engine = make_engine("postgresql+psycopg2://postgres@127.0.0.1:1/none")
    client = create_app(settings, make_sessions(engine)).test_client()
    response = client.get("/jobs/")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert (
        client.post(
            "/errors/", json=dict.fromkeys(("name", "title", "description"), "x") | {"category": "DATA"}
        ).status_code
        == 503
    )
    assert client.get("/version/").status_code == 200


def test_request_ids(client: FlaskClient) -> None:
    assert client.get("/version/", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    assert len(client.get("/version/", headers={"X-Request-Id": "a b"}).headers["X-Request-Id"]) == 32


def test_request_ids_are_logged(settings: Settings) -> None:
    """In a process of its own, as gunicorn runs it: reads that go well say nothing, and no path forges a line."""
    program = """
from scale_api import create_app
client = create_app().test_client()
client.get("/version/", headers={"X-Request-Id": "reads-well"})
client.get("/x%0Aforged", headers={"X-Request-Id": "finds-nothing"})
client.post("/errors/", data="{", content_type="application/json", headers={"X-Request-Id": "writes-badly"})
"""
    environment = {**os.environ, "SCALE_HOME": str(settings.home), "SCALE_DATABASE_URL": settings.database_url}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, cwd=CHECKOUT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "[reads-well]" not in ran.stderr
    assert re.search(r"^.* INFO +api \[finds-nothing [0-9a-f]{32}\] .*: GET /x%0Aforged: 404$", ran.stderr, re.M)
    assert re.search(r"^.* INFO +api \[writes-badly [0-9a-f]{32}\] .*: POST /errors/: 400$", ran.stderr, re.M)


def test_the_read_session_ends_with_the_request(app: Flask, sessions: Callable[[], Session]) -> None:
    opened: list[Session] = []

    def remember() -> Session:
        opened.append(sessions())
        return opened[-1]

    app.extensions["scale_sessions"] = remember
    client = app.test_client()
    client.get("/version/")
    assert opened == []
    client.get("/jobs/")
    assert len(opened) == 1
    assert not opened[0].in_transaction()
