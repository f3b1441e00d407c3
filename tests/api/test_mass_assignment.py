"""Fields that only Scale sets, sent along with every changing operation: nothing of them is ever stored."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from scale_core.db import Base
from tests.api.guarded import bearer, make_account, make_token
from tests.api.test_audit import cases
from tests.api.world import World

NUMBER, WORD, TIME = 987654321, "planted-by-a-client", "1999-09-09T09:09:09Z"
PLANTED: dict[str, Any] = {
    **dict.fromkeys(
        ("id", "pk", "revision_num", "current_revision_id", "created_by", "job_exe_id", "job_id", "event_id",
         "node_id", "strike_id", "trigger_event_id", "num_exes", "used_size", "total_size", "file_size",
         "source_file_id", "superseded_by_job_id", "superseded_by_recipe_id", "error_id", "framework_id", "epoch"),
        NUMBER,
    ),
    **dict.fromkeys(
        ("hash", "password_hash", "token", "hint", "subject", "issuer", "uuid", "checksum", "docker_params",
         "created_by",
         "retry_decision", "slave_id", "agent_id", "resources", "json", "sql", "__proto__", "constructor", "firing",
         "trace_id", "last_address", "session", "csrf_token", "file_path", "moving_to", "last_error"),
        WORD,
    ),
    **dict.fromkeys(
        ("created", "last_modified", "last_status_change", "queued", "started", "ended", "archived", "paused",
         "deleted",
         "published", "unpublished", "superseded", "revoked", "last_used", "last_sign_in", "password_changed",
         "occurred",
         "removal_due", "deprecated"),
        TIME,
    ),
}  # fmt: skip


def everything(session: Session) -> str:
    tables = [table.name for table in Base.metadata.sorted_tables if table.name not in ("country_data", "countries")]
    rows = (session.scalar(text(f"SELECT string_agg(to_jsonb(t)::text, ' ') FROM \"{name}\" t")) for name in tables)
    return " ".join(row or "" for row in rows)


def test_nothing_that_only_scale_sets_is_taken_from_clients(
    guarded: FlaskClient, session: Session, world: World, tmp_path: Any
) -> None:
    admin = make_account(session, "admin", "root")
    headers = {**bearer(make_token(session, admin)[1]), "X-File-Name": "export.json"}
    document = guarded.get("/openapi.json").get_json()
    for name, (path, body, _, _) in cases(session, world, str(tmp_path)).items():
        method = name.split()[0]
        operation = document["paths"][name.split()[1]][method.lower()]
        own = taken(document, operation) | set(body or {})
        planted = {field: value for field, value in PLANTED.items() if field not in own}
        assert len(planted) > 40, name
        answer = guarded.open(path, method=method, json={**planted, **(body or {})}, headers=headers)
        if answer.status_code == 400:  # some say so instead of ignoring it
            assert "Unexpected fields" in answer.text or "unexpected" in answer.text.lower(), (name, answer.text)
            answer = guarded.open(path, method=method, json=body, headers=headers)
        assert answer.status_code in (200, 201, 202, 204), (name, answer.text)
        for trace in (str(NUMBER), WORD, "1999-09-09"):
            assert trace not in answer.text, name
            assert trace not in everything(session), (name, trace)


def test_what_decides_over_more_than_its_row_is_not_taken(client: FlaskClient, session: Session, world: World) -> None:
    """Fields whose value would not show that they were planted."""
    more = {"is_system": True, "is_long_running": True, "is_builtin": True, "is_superseded": True, "is_online": False}
    interface = {"version": "1.0", "command": "true", "command_arguments": ""}
    made = client.post("/job-types/", json={"name": "t", "version": "1", "interface": interface, **more})
    assert made.status_code == 201, made.text
    client.patch(f"/job-types/{world.job_type.id}/", json={"title": "x", **more})
    client.post("/errors/", json={"name": "e", "title": "T", "description": "D", "category": "DATA", **more})
    client.patch(f"/nodes/{world.node.id}/", json={"is_active": True, **more})
    session.expire_all()
    flags = "SELECT name FROM job_type WHERE is_system AND name IN ('t', :own)"
    assert session.execute(text(flags), {"own": world.job_type.name}).all() == []
    assert session.execute(text("SELECT 1 FROM error WHERE name = 'e' AND is_builtin")).all() == []
    assert session.execute(text("SELECT is_online FROM node")).scalars().all() == [True]


def test_a_status_is_only_what_its_operation_may_make_it(client: FlaskClient, session: Session, world: World) -> None:
    for status in (
        "COMPLETED",
        "RUNNING",
        "FAILED",
        "QUEUED",
        "PENDING",
        "BLOCKED",
        "nonsense",
        "",
        1,
        None,
        ["CANCELED"],
    ):
        answer = client.patch(f"/jobs/{world.queued.id}/", json={"status": status})
        assert answer.status_code == 400, (status, answer.text)
    assert client.get(f"/jobs/{world.queued.id}/").get_json()["status"] == "QUEUED"


def taken(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    """The fields that the body of an operation has, by the API's own document."""
    found: set[str] = set()
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        found |= set(schema.get("properties", ()))
    return found
