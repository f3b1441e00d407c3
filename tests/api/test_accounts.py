"""Accounts and API tokens over REST."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from scale_core.db.account import ApiToken
from scale_core.timestamps import utcnow
from tests.api.guarded import PASSWORD, bearer, make_account, make_token


@pytest.fixture
def admin(session: Session) -> dict[str, str]:
    return bearer(make_token(session, make_account(session, "admin", "root"))[1])


def test_an_account(guarded: FlaskClient, session: Session, admin: dict[str, str]) -> None:
    body = {"name": "ann", "role": "operator", "password": PASSWORD}
    made = guarded.post("/accounts/", json=body, headers=admin)
    assert made.status_code == 201
    shown = made.get_json()
    assert made.headers["Location"].endswith(f"/accounts/{shown['id']}/")
    assert (shown["name"], shown["role"], shown["is_active"], shown["subject"]) == ("ann", "operator", True, None)
    assert PASSWORD not in made.text
    assert "hash" not in made.text
    assert guarded.post("/accounts/", json={**body, "name": "ANN"}, headers=admin).status_code == 409
    edited = guarded.patch(f"/accounts/{shown['id']}/", json={"role": "viewer"}, headers=admin)
    assert edited.get_json()["role"] == "viewer"
    listed = guarded.get("/accounts/?role=viewer&is_active=true", headers=admin).get_json()["results"]
    assert [each["name"] for each in listed] == ["ann"]
    assert "subject" not in listed[0]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "<img src=x>"}, "name"),
        ({"name": "a" * 151}, "name"),
        ({"role": "root"}, "role"),
        ({"role": None}, "role"),
        ({"password": "short"}, "password"),
        ({"password": "a" * 20}, "password"),
        ({"password": "somebody-1234"}, "password"),
        ({"password": "x" * 1001}, "password"),
        ({"password": 5}, "password"),
    ],
)
def test_what_is_no_account(guarded: FlaskClient, admin: dict[str, str], change: dict[str, object], path: str) -> None:
    body = {"name": "somebody", "role": "viewer", "password": PASSWORD, **change}
    answer = guarded.post("/accounts/", json=body, headers=admin)
    assert answer.status_code == 400
    assert [problem["path"] for problem in answer.get_json()["problems"]] == [path]


@pytest.mark.parametrize("field", ["id", "password_hash", "subject", "created", "last_sign_in"])
def test_fields_that_only_scale_sets(guarded: FlaskClient, admin: dict[str, str], field: str) -> None:
    body = {"name": "somebody", "role": "viewer", "password": PASSWORD, field: "1"}
    answer = guarded.post("/accounts/", json=body, headers=admin)
    assert (answer.status_code, field in answer.get_json()["detail"]) == (400, True)


def test_one_administrator_stays(guarded: FlaskClient, session: Session) -> None:
    first, second = make_account(session, "admin"), make_account(session, "admin")
    headers = bearer(make_token(session, first)[1])
    assert guarded.patch(f"/accounts/{second.id}/", json={"is_active": False}, headers=headers).status_code == 200
    for change in ({"is_active": False}, {"role": "operator"}):
        refused = guarded.patch(f"/accounts/{first.id}/", json=change, headers=headers)
        assert (refused.status_code, "last administrator" in refused.text) == (409, True)
    assert guarded.patch(f"/accounts/{first.id}/", json={"role": "admin"}, headers=headers).status_code == 200


def test_passwords_are_hashed_by_argon2(session: Session) -> None:
    account = make_account(session)
    assert account.password_hash is not None
    assert account.password_hash.startswith("$argon2id$")


def test_a_token_is_shown_once_and_kept_as_a_hash(
    guarded: FlaskClient, session: Session, admin: dict[str, str]
) -> None:
    made = guarded.post("/tokens/", json={"name": "feed", "role": "viewer", "days": 7}, headers=admin)
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    shown = made.get_json()
    secret = shown["token"]
    assert shown["hint"] == secret[:12]
    assert guarded.get("/jobs/", headers=bearer(secret)).status_code == 200
    for path in ("/tokens/", f"/tokens/{shown['id']}/"):
        answer = guarded.get(path, headers=admin)
        assert secret not in answer.text
        assert "hash" not in answer.text
    rows = session.execute(text("SELECT to_jsonb(api_token)::text FROM api_token")).scalars().all()
    assert rows
    assert not any(secret in row for row in rows)


def test_a_token_ends(guarded: FlaskClient, session: Session, admin: dict[str, str]) -> None:
    token_id, secret = make_token(session, make_account(session))
    assert guarded.get("/jobs/", headers=bearer(secret)).status_code == 200
    revoked = guarded.delete(f"/tokens/{token_id}/", headers=admin).get_json()
    assert revoked["revoked"]
    assert guarded.delete(f"/tokens/{token_id}/", headers=admin).get_json()["revoked"] == revoked["revoked"]
    answer = guarded.get("/jobs/", headers=bearer(secret))
    assert (answer.status_code, answer.get_json()["detail"]) == (401, "This API token was revoked.")
    other_id, other = make_token(session, make_account(session), days=1)
    session.execute(update(ApiToken).where(ApiToken.id == other_id).values(expires=utcnow() - timedelta(seconds=1)))
    session.commit()
    answer = guarded.get("/jobs/", headers=bearer(other))
    assert (answer.status_code, answer.get_json()["detail"]) == (401, "This API token has expired.")


def test_the_last_use_is_shown_and_noted_once_a_minute(
    guarded: FlaskClient, session: Session, admin: dict[str, str]
) -> None:
    token_id, secret = make_token(session, make_account(session))

    def last_used() -> str | None:
        shown = guarded.get(f"/tokens/{token_id}/", headers=admin).get_json()
        assert shown["last_address"] == ("127.0.0.1" if shown["last_used"] else None)
        found: str | None = shown["last_used"]
        return found

    assert last_used() is None
    guarded.get("/jobs/", headers=bearer(secret))
    first = last_used()
    assert first
    guarded.get("/jobs/", headers=bearer(secret))
    assert last_used() == first
    session.execute(update(ApiToken).values(last_used=ApiToken.last_used - timedelta(seconds=61)))
    session.commit()
    guarded.get("/jobs/", headers=bearer(secret))
    assert last_used() != first


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": ""}, "name"),
        ({"role": "root"}, "role"),
        ({"scope": ["everything"]}, "scope[0]"),
        ({"days": 0}, "days"),
        ({"days": 3651}, "days"),
        ({"account_id": 999999}, "account_id"),
    ],
)
def test_what_is_no_token(guarded: FlaskClient, admin: dict[str, str], body: dict[str, object], path: str) -> None:
    answer = guarded.post("/tokens/", json={"name": "t", **body}, headers=admin)
    assert answer.status_code == 400
    assert [problem["path"] for problem in answer.get_json()["problems"]] == [path]


def test_a_token_cannot_be_more_than_its_account(guarded: FlaskClient, session: Session, admin: dict[str, str]) -> None:
    viewer = make_account(session, "viewer")
    answer = guarded.post("/tokens/", json={"name": "t", "account_id": viewer.id, "role": "admin"}, headers=admin)
    assert (answer.status_code, "cannot give more" in answer.text) == (400, True)


@pytest.mark.parametrize("order", ["hash", "account__password_hash", "-password_hash"])
def test_lists_cannot_be_ordered_by_secrets(guarded: FlaskClient, admin: dict[str, str], order: str) -> None:
    for path in ("/tokens/", "/accounts/"):
        assert guarded.get(f"{path}?order={order}", headers=admin).status_code == 400
