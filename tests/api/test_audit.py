"""The audit: every changing operation leaves a row, in the same transaction, and no secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, exc, func, select, text
from sqlalchemy.orm import Session

from scale_api import operations
from scale_core.db.account import Audit
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import JobStatus
from scale_core.services import error as error_service
from scale_core.timestamps import utcnow
from tests import factories
from tests.api.guarded import PASSWORD, bearer, make_account, make_token, sign_in
from tests.api.world import World
from tests.conftest import NOW

NO_CHANGE = {
    "POST /configuration/validation/",
    "POST /job-types/validation/",
    "POST /recipe-types/validation/",
    "POST /strikes/validation/",
    "POST /trigger-rules/preview/",
    "POST /workspaces/validation/",
}
HOST = {"version": "1.0", "broker": {"type": "host", "host_path": "/data"}}
OTHER = "another horse battery"
# operation -> (path, body, type of the object, a part of what is noted after it)
Case = tuple[str, dict[str, Any] | None, str, dict[str, Any]]


def cases(session: Session, world: World, directory: str) -> dict[str, Case]:
    other = make_account(session, "operator", "other")
    token_id, _ = make_token(session, other)
    fields = {"name": "own", "title": "T", "description": "D", "category": "DATA"}
    own = error_service.create(session, fields, NOW)
    world.ingest.status, world.ingest.transfer_ended = IngestStatus.ERRORED, NOW
    session.commit()
    strike = factories.strike_configuration(world.raw, f"localhost:{directory}")
    place = factories.place("one", world.job_type, recipe_inputs=[{"recipe_input": "file", "job_input": "in"}])
    definition = factories.definition(place, inputs=[{"name": "file", "type": "file"}])
    why = {"pause_reason": "other"}
    error = {"name": "new-error", "title": "T", "description": "D", "category": "DATA"}
    exported = {"version": "1.0", "errors": [{**error, "name": "imported"}]}
    uploaded = {"version": "1.0", "errors": [{**error, "name": "uploaded"}]}
    data = factories.job_data(world.source, world.products)
    recipe = {
        "version": "1.0", "input_data": [{"name": "file", "file_id": world.source.id}],
        "workspace_id": world.products.id,
    }  # fmt: skip
    node = {"hostname": world.node.hostname, "port": 5051, "pause_reason": "why", "is_paused": True}
    return {
        "POST /accounts/": (
            "/accounts/", {"name": "n", "role": "viewer", "password": PASSWORD}, "account", {"role": "viewer"},
        ),
        "PATCH /accounts/{account_id}/": (
            f"/accounts/{other.id}/", {"role": "viewer", "password": OTHER}, "account",
            {"role": "viewer", "password": "(changed)"},
        ),
        "POST /tokens/": ("/tokens/", {"name": "feed"}, "api_token", {"name": "feed"}),
        "DELETE /tokens/{token_id}/": (f"/tokens/{token_id}/", None, "api_token", {}),
        "POST /errors/": ("/errors/", error, "error", {"category": "DATA"}),
        "PATCH /errors/{error_id}/": (f"/errors/{own.id}/", {"title": "New"}, "error", {"title": "New"}),
        "POST /workspaces/": ("/workspaces/", {"name": "w", "json_config": HOST}, "workspace", {"name": "w"}),
        "PATCH /workspaces/{workspace_id}/": (
            f"/workspaces/{world.raw.id}/", {"title": "New"}, "workspace", {"title": "New"},
        ),
        "POST /job-types/": (
            "/job-types/", {"name": "t", "version": "1", "interface": factories.interface()}, "job_type", {"name": "t"},
        ),
        "PATCH /job-types/{job_type_id}/": (
            f"/job-types/{world.job_type.id}/", {"is_paused": True}, "job_type", {"is_paused": True},
        ),
        "POST /recipe-types/": (
            "/recipe-types/", {"name": "r", "version": "1", "definition": definition}, "recipe_type", {"name": "r"},
        ),
        "PATCH /recipe-types/{recipe_type_id}/": (
            f"/recipe-types/{world.recipe_type.id}/", {"title": "New"}, "recipe_type", {"title": "New"},
        ),
        "POST /configuration/": ("/configuration/", {"import": exported}, "error", {"name": "imported"}),
        "POST /configuration/upload/": ("/configuration/upload/", uploaded, "error", {"name": "uploaded"}),
        "PATCH /products/{product_id}/": (
            f"/products/{world.product.id}/", {"is_published": False}, "file", {},
        ),
        "DELETE /products/{product_id}/": (f"/products/{world.product.id}/", None, "file", {}),
        "PUT /nodes/{node_id}/": (f"/nodes/{world.node.id}/", node, "node", {"is_paused": True, "pause_reason": "why"}),
        "PATCH /nodes/{node_id}/": (f"/nodes/{world.node.id}/", why, "node", why),
        "PATCH /scheduler/": ("/scheduler/", {"is_paused": True}, "scheduler", {"is_paused": True}),
        "POST /strikes/": ("/strikes/", {"name": "s", "configuration": strike}, "strike", {"name": "s"}),
        "POST /strike/create/": ("/strike/create/", {"name": "s2", "configuration": strike}, "strike", {"name": "s2"}),
        "PATCH /strikes/{strike_id}/": (f"/strikes/{world.strike.id}/", {"title": "New"}, "strike", {"title": "New"}),
        "POST /ingests/{ingest_id}/retry/": (
            f"/ingests/{world.ingest.id}/retry/", None, "ingest", {"status": IngestStatus.QUEUED.value},
        ),
        "POST /queue/new-job/": (
            "/queue/new-job/", {"job_type_id": world.job_type.id, "job_data": data}, "job", {"status": "QUEUED"},
        ),
        "POST /queue/new-recipe/": (
            "/queue/new-recipe/", {"recipe_type_id": world.recipe_type.id, "recipe_data": recipe}, "recipe", {},
        ),
        "POST /queue/prioritise-jobs/": (
            "/queue/prioritise-jobs/", {"job_ids": [world.queued.id], "priority": 7}, "job", {"priority": 7},
        ),
        "POST /queue/requeue-jobs/": (
            "/queue/requeue-jobs/", {"job_ids": [world.failed.id]}, "job", {"requeued": True},
        ),
        "PATCH /jobs/{job_id}/": (
            f"/jobs/{world.queued.id}/", {"status": "CANCELED"}, "job", {"status": JobStatus.CANCELED.value},
        ),
    }  # fmt: skip


def test_every_changing_operation_is_audited(
    guarded: FlaskClient, session: Session, world: World, tmp_path: Any
) -> None:
    admin = make_account(session, "admin", "root")
    headers = {**bearer(make_token(session, admin, name="laptop")[1]), "User-Agent": "curl/8"}
    headers |= {"X-Request-Id": "r-1", "X-File-Name": "export.json"}
    done = cases(session, world, str(tmp_path))
    with_session = {"POST /sign-in/", "POST /sign-out/", "POST /session/password/"}  # tested below
    changing = {name for name in operations.all_of(guarded.application) if not name.startswith("GET ")}
    assert set(done) == changing - NO_CHANGE - with_session, "an operation is missing here, or is there no longer"
    for name, (path, body, kind, after) in done.items():
        newest = session.scalar(select(func.max(Audit.id))) or 0
        answer = guarded.open(path, method=name.split()[0], json=body, headers=headers)
        assert answer.status_code in (200, 201, 202, 204), (name, answer.text)
        session.expire_all()
        rows = session.scalars(select(Audit).where(Audit.id > newest, Audit.request_id == "r-1")).all()
        assert rows, name
        for row in rows:
            assert (row.account_id, row.account_name, row.via, row.token_name) == (admin.id, "root", "token", "laptop")
            assert (row.address, row.user_agent, row.operation) == ("127.0.0.1", "curl/8", name)
            assert abs((utcnow() - row.occurred).total_seconds()) < 3600
        found = [row for row in rows if row.object_type == kind]
        assert found, (name, [row.object_type for row in rows])
        assert any((row.after or {}).items() >= after.items() for row in found), (name, [row.after for row in found])
    everything = session.execute(text("SELECT string_agg(to_jsonb(audit)::text, ' ') FROM audit")).scalar_one()
    for secret in (PASSWORD, OTHER, "argon2", headers["Authorization"].split()[1]):
        assert secret not in everything


def test_who_signs_in_and_out_is_audited(guarded: FlaskClient, session: Session) -> None:
    account = make_account(session, "operator")
    headers = sign_in(guarded, account.name)
    body = {"old_password": PASSWORD, "password": OTHER}
    assert guarded.post("/session/password/", json=body, headers=headers).status_code == 200
    assert guarded.post("/sign-out/", headers=headers).status_code == 200
    rows = session.scalars(select(Audit).order_by(Audit.id)).all()
    assert [(row.operation, row.after) for row in rows] == [
        ("POST /sign-in/", {"signed_in": True}),
        (
            "POST /session/password/",
            {"password": "(changed)"} | {k: v for k, v in (rows[1].after or {}).items() if k != "password"},
        ),
        ("POST /sign-out/", {"signed_in": False}),
    ]
    assert {(row.account_id, row.via, row.object_id) for row in rows} == {(account.id, "session", account.id)}


def test_before_and_after(client: FlaskClient, session: Session, world: World) -> None:
    """What an edit did not touch is not in it; nobody was asked who they are."""
    path = f"/workspaces/{world.raw.id}/"
    client.patch(path, json={"title": "First", "description": "what came in"})
    client.patch(path, json={"title": "Second", "is_active": False})
    last = session.scalars(select(Audit).order_by(Audit.id.desc())).first()
    assert last is not None
    assert (last.via, last.account_id, last.object_name) == ("open", None, world.raw.name)
    assert last.before == {"title": "First", "is_active": True, "archived": None}
    assert last.after is not None
    assert set(last.after) == {"title", "is_active", "archived"}


def test_what_changed_nothing_leaves_nothing(client: FlaskClient, session: Session, world: World) -> None:
    assert client.post("/errors/", json={"name": "a"}).status_code == 400
    assert client.patch("/jobs/999999/", json={"status": "CANCELED"}).status_code == 404
    assert client.patch(f"/jobs/{world.completed.id}/", json={"status": "CANCELED"}).status_code == 400
    body = {"name": "w", "json_config": HOST}
    assert client.post("/workspaces/validation/", json=body).status_code == 200
    assert session.scalar(select(func.count(Audit.id))) == 0


def test_a_repeated_request_is_one_change(client: FlaskClient, session: Session, world: World) -> None:
    body = {"job_type_id": world.job_type.id, "job_data": factories.job_data(world.source, world.products)}
    for _ in range(2):
        assert client.post("/queue/new-job/", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    rows = session.scalars(select(Audit).where(Audit.object_type == "job")).all()
    assert len(rows) == 1


def test_the_answer_to_a_key_is_for_whoever_asked_first(guarded: FlaskClient, session: Session, world: World) -> None:
    body = {"job_type_id": world.job_type.id, "job_data": factories.job_data(world.source, world.products)}
    statuses = []
    for _ in range(2):
        headers = bearer(make_token(session, make_account(session, "operator"))[1])
        answer = guarded.post("/queue/new-job/", json=body, headers={**headers, "Idempotency-Key": "k"})
        statuses.append(answer.status_code)
    assert statuses == [201, 422]


@pytest.mark.parametrize("statement", ["UPDATE audit SET account_name = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
def test_nobody_changes_the_audit(client: FlaskClient, session: Session, statement: str) -> None:
    client.patch("/scheduler/", json={"is_paused": True})
    with pytest.raises(exc.DBAPIError, match="can only be added to"):
        session.execute(text(statement))


def test_what_is_young_cannot_be_removed(session: Session) -> None:
    with pytest.raises(exc.DBAPIError, match="within a day"):
        session.execute(text("SELECT remove_old_audit(now(), 1000)"))


def test_others_than_the_owner_cannot_remove_anything(committed: Callable[[], Session], engine: Engine) -> None:
    with committed() as session, session.begin():
        session.add(Audit(occurred=NOW, via="open", operation="x", object_type="y"))
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE guard_other"))
        connection.execute(text("GRANT SELECT, INSERT, DELETE ON audit TO guard_other"))
        connection.execute(text("SET LOCAL ROLE guard_other"))
        for statement in (
            "SELECT remove_old_audit(now() - interval '2 days', 10)",
            "DELETE FROM audit",
            "SET LOCAL scale.removing_old_audit = 'on'; DELETE FROM audit",
        ):
            with pytest.raises(exc.DBAPIError), connection.begin_nested():
                connection.execute(text(statement))
        connection.rollback()


def test_the_list_is_filtered(guarded: FlaskClient, session: Session, world: World) -> None:
    admin, other = make_account(session, "admin", "root"), make_account(session, "admin", "ann")
    headers = bearer(make_token(session, admin)[1])
    guarded.patch(f"/workspaces/{world.raw.id}/", json={"title": "New"}, headers=headers)
    theirs = bearer(make_token(session, other, name="laptop")[1])
    guarded.patch("/scheduler/", json={"is_paused": True}, headers=theirs)

    def found(query: str) -> list[str]:
        answer = guarded.get(f"/audit/?{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        return [row["object_type"] for row in answer.get_json()["results"]]

    assert found("") == ["scheduler", "workspace"]
    assert found("account_name=root") == ["workspace"]
    assert found(f"account_id={other.id}") == ["scheduler"]
    assert found("token_name=laptop") == ["scheduler"]
    assert found(f"object_type=workspace&object_id={world.raw.id}") == ["workspace"]
    assert found(f"object_type=workspace&object_id={world.raw.id + 1000}") == []
    assert found("operation=PATCH /scheduler/") == ["scheduler"]
    assert found("started=PT1H") == ["scheduler", "workspace"]
    assert found("ended=PT1H") == []
    assert found("order=id") == ["workspace", "scheduler"]
    newest = guarded.get("/audit/", headers=headers).get_json()["results"][0]
    assert guarded.get(f"/audit/{newest['id']}/", headers=headers).get_json() == newest
    assert guarded.get("/audit/999999/", headers=headers).status_code == 404


def test_what_comes_from_users_cannot_break_it(client: FlaskClient, session: Session) -> None:
    agent = "x" * 5000 + "<script>"
    assert client.patch("/scheduler/", json={"is_paused": True}, headers={"User-Agent": agent}).status_code == 201
    row = session.scalars(select(Audit)).one()
    assert row.user_agent == "x" * 300


def test_secrets_of_documents_are_hidden(client: FlaskClient, session: Session) -> None:
    config = {**HOST, "broker": {**HOST["broker"], "password": "hunter2"}}  # type: ignore[dict-item]
    answer = client.post("/workspaces/", json={"name": "w", "json_config": config, "base_url": "http://u:hunter2@x/"})
    assert answer.status_code in (201, 400)
    client.post("/workspaces/", json={"name": "w2", "json_config": HOST, "base_url": "http://u:hunter2@x/"})
    everything = session.execute(text("SELECT string_agg(to_jsonb(audit)::text, ' ') FROM audit")).scalar_one()
    assert "w2" in everything
    assert "hunter2" not in everything
