"""Who may do what: every operation of the application, by everybody who may come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_api import create_app, operations
from scale_core.domain.access import Role
from scale_core.settings import Settings
from tests.api.guarded import bearer, everybody, make_account, make_token, sign_in

PREFIXES = ("", "/v3")


def requests(app: Flask) -> Iterator[tuple[str, str, Role | None]]:
    """Method and a path of every operation, with the role that it needs."""
    for name in operations.all_of(app):
        method, path = name.split(" ")
        yield method, re.sub(r"{\w+}", "999999999", path), operations.NEEDED[name]


def test_the_table_names_every_operation_and_no_other(guarded_app: Flask) -> None:
    assert set(operations.all_of(guarded_app)) == set(operations.NEEDED)


def test_what_is_in_no_table_is_for_administrators() -> None:
    assert operations.needed("GET", "/new/<id:new_id>/") is Role.ADMIN
    assert operations.needed("HEAD", "/jobs/<id:job_id>/") is Role.VIEWER


def test_who_changes_something_is_no_viewer() -> None:
    """But for themselves, and where nothing is changed."""
    own = {"POST /session/password/", "POST /sign-in/", "POST /sign-out/", "POST /trigger-rules/preview/"}
    for name, role in operations.NEEDED.items():
        if not name.startswith("GET ") and name not in own:
            assert role in (Role.OPERATOR, Role.ADMIN), name


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("who", ["nobody", "unknown", "revoked", "expired"])
def test_who_is_not_known_is_asked_for_every_operation(
    guarded: FlaskClient, guarded_app: Flask, session: Session, who: str, prefix: str
) -> None:
    unknown = bearer("scale_" + "x" * 43)
    headers = {} if who == "nobody" else unknown if who == "unknown" else getattr(everybody(session), who)
    for method, path, needed in requests(guarded_app):
        answer = guarded.open(prefix + path, method=method, headers=headers)
        if needed is None:
            assert answer.status_code not in (401, 403) or path == "/sign-in/", (method, path)
            continue
        assert answer.status_code == 401, (method, path, answer.status_code)
        challenge = 'Bearer realm="Scale"' + ("" if who == "nobody" else ', error="invalid_token"')
        assert answer.headers["WWW-Authenticate"] == challenge
        assert answer.content_type.startswith("text/plain") or set(answer.get_json()) == {"detail"}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("who", Role)
def test_who_is_known_may_what_the_table_says(
    guarded: FlaskClient, guarded_app: Flask, session: Session, who: Role, prefix: str
) -> None:
    headers = getattr(everybody(session), who.value)
    refused = []
    for method, path, needed in requests(guarded_app):
        answer = guarded.open(prefix + path, method=method, headers=headers)
        is_refused = answer.status_code == 403
        assert is_refused is (needed is not None and not who.covers(needed)), (method, path, answer.text)
        assert answer.status_code not in (401, 500), (method, path, answer.text)
        if is_refused:
            refused.append(path)
            assert f"needs the role {needed}" in answer.text
    assert bool(refused) is (who is not Role.ADMIN)


def test_refusals_are_problem_documents_on_request(guarded: FlaskClient) -> None:
    answer = guarded.get("/jobs/", headers={"Accept": "application/problem+json"})
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert answer.get_json()["title"] == "Unauthorized"


def test_what_is_not_there_is_told_to_anybody(guarded: FlaskClient) -> None:
    assert guarded.get("/nothing/").status_code == 404
    assert guarded.delete("/jobs/").status_code == 405
    assert guarded.get("/jobs").status_code == 301
    assert guarded.options("/jobs/").status_code == 200


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "Bearer ", "bearer", "Token x", "", "Bearer \udcff", "Bearer " + "x" * 5000]
)
def test_other_ways_to_show_who_one_is(guarded: FlaskClient, header: str) -> None:
    answer = guarded.get(
        "/jobs/", environ_overrides={"HTTP_AUTHORIZATION": header.encode("latin-1", "replace").decode()}
    )
    assert answer.status_code == 401
    assert answer.get_json()["detail"]


def test_a_scope_narrows_the_role(guarded: FlaskClient, session: Session) -> None:
    owner = make_account(session, "admin")
    headers = bearer(make_token(session, owner, scope=["GET /jobs/", "* /queue/"])[1])
    assert guarded.get("/jobs/", headers=headers).status_code == 200
    assert guarded.get("/v3/jobs/", headers=headers).status_code == 200
    assert guarded.post("/queue/new-job/", json={}, headers=headers).status_code == 400
    refused = guarded.get("/nodes/", headers=headers)
    assert refused.status_code == 403
    assert "scope of the token 't': GET /jobs/, * /queue/" in refused.get_json()["detail"]


def test_a_token_is_worth_what_its_account_is(guarded: FlaskClient, session: Session) -> None:
    owner, boss = make_account(session, "operator"), bearer(make_token(session, make_account(session, "admin"))[1])
    headers = bearer(make_token(session, owner, role="operator")[1])
    assert guarded.patch("/scheduler/", json={"is_paused": False}, headers=headers).status_code == 201
    lower = guarded.patch(f"/accounts/{owner.id}/", json={"role": "viewer"}, headers=boss)
    assert lower.status_code == 200
    assert guarded.patch("/scheduler/", json={"is_paused": False}, headers=headers).status_code == 403
    assert guarded.patch(f"/accounts/{owner.id}/", json={"is_active": False}, headers=boss).status_code == 200
    answer = guarded.get("/jobs/", headers=headers)
    assert (answer.status_code, answer.get_json()["detail"]) == (401, "The account of this API token is disabled.")


def test_a_wrong_token_is_not_made_good_by_a_cookie(guarded: FlaskClient, session: Session) -> None:
    sign_in(guarded, make_account(session, "admin").name)
    assert guarded.get("/jobs/").status_code == 200
    assert guarded.get("/jobs/", headers=bearer("scale_wrong")).status_code == 401


# -------------------------------------------------------------------------------------------------------- when it is on


@pytest.fixture
def make(database_url: str, sessions: Callable[[], Session]) -> Callable[..., FlaskClient]:
    def made(**environ: str) -> FlaskClient:
        app = create_app(Settings.from_environ({"SCALE_DATABASE_URL": database_url, **environ}), sessions)
        app.testing = False
        return app.test_client()

    return made


def test_alone_and_without_accounts_it_is_off_and_says_so(make: Callable[..., FlaskClient], session: Session) -> None:
    client = make()
    shown = client.get("/session/").get_json()
    assert shown["access_control"]["is_on"] is False
    assert "create-admin" in shown["access_control"]["reason"]
    assert client.get("/status/").get_json()["access_control"] == {"is_on": False}
    assert client.get("/jobs/").status_code == 200
    body = {"name": "first", "role": "admin", "password": "correct horse battery"}
    assert client.post("/accounts/", json=body).status_code == 201
    assert client.get("/jobs/").status_code == 401, "the first account turns it on"
    headers = sign_in(client, "first")
    assert client.get("/session/").get_json()["access_control"]["is_on"] is True
    assert client.patch("/scheduler/", json={"is_paused": False}, headers=headers).status_code == 201


def test_it_is_on_as_soon_as_there_is_an_account(make: Callable[..., FlaskClient], session: Session) -> None:
    make_account(session)
    assert make().get("/jobs/").status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "scale.example"])
def test_it_is_on_where_others_can_reach_it(make: Callable[..., FlaskClient], host: str) -> None:
    assert make(SCALE_HOST=host).get("/jobs/").status_code == 401
    assert make(SCALE_HOST=host, SCALE_ACCESS_CONTROL="off").get("/jobs/").status_code == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_the_loopback(make: Callable[..., FlaskClient], host: str) -> None:
    assert make(SCALE_HOST=host).get("/jobs/").status_code == 200


def test_off_and_on_are_obeyed(make: Callable[..., FlaskClient], session: Session) -> None:
    assert make(SCALE_ACCESS_CONTROL="on").get("/jobs/").status_code == 401
    make_account(session)
    client = make(SCALE_ACCESS_CONTROL="off")
    assert client.get("/jobs/").status_code == 200
    assert "SCALE_ACCESS_CONTROL is off" in client.get("/session/").get_json()["access_control"]["reason"]


def test_where_nobody_signs_in_pages_of_others_are_kept_out(make: Callable[..., FlaskClient]) -> None:
    client = make()
    change = {"method": "PATCH", "json": {"is_paused": False}}
    assert client.open("/scheduler/", **change).status_code == 201
    assert client.open("/scheduler/", headers={"Origin": "http://localhost"}, **change).status_code == 201
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert client.open("/scheduler/", headers=headers, **change).status_code == 403, headers
    rebound = client.get("/jobs/", headers={"Host": "evil.example"})
    assert (rebound.status_code, "localhost only" in rebound.text) == (403, True)
    for host in ("localhost:8000", "127.0.0.1:1", "[::1]:5"):
        assert client.get("/jobs/", headers={"Host": host}).status_code == 200
