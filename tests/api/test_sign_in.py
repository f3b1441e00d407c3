"""Sessions of browsers: signing in and out, what they are safe from, and how long they last."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from scale_core.db.account import BrowserSession, SignInFailure
from scale_core.domain.sign_in import FREE
from scale_core.services import sign_in as services
from scale_core.timestamps import utcnow
from tests.api.guarded import PASSWORD, bearer, make_account, make_token, sign_in

CHANGE = {"method": "PATCH", "json": {"is_paused": False}}


def cookie(client: FlaskClient, name: str = "scale") -> str:
    found = client.get_cookie(name)
    assert found is not None
    return found.value


def test_signing_in_and_out(guarded: FlaskClient, session: Session) -> None:
    name = make_account(session, "operator").name
    assert guarded.get("/session/").get_json()["account"] is None
    headers = sign_in(guarded, name.upper())
    shown = guarded.get("/session/").get_json()
    assert (shown["account"]["name"], shown["account"]["role"], shown["account"]["via"]) == (
        name,
        "operator",
        "session",
    )
    assert shown["csrf_token"] == headers["X-CSRF-Token"]
    assert guarded.open("/scheduler/", headers=headers, **CHANGE).status_code == 201
    key = cookie(guarded)
    assert guarded.post("/sign-out/", headers=headers).status_code == 200
    assert guarded.get_cookie("scale") is None
    guarded.set_cookie("scale", key)
    assert guarded.get("/jobs/").status_code == 401, "the session has ended, not only the cookie"


def test_the_cookie(guarded: FlaskClient, session: Session) -> None:
    body = {"name": make_account(session).name, "password": PASSWORD}
    plain = guarded.post("/sign-in/", json=body).headers["Set-Cookie"]
    assert plain.startswith("scale=")
    assert all(part in plain for part in ("HttpOnly", "SameSite=Lax", "Path=/"))
    assert "Secure" not in plain
    secure = guarded.post("/sign-in/", json=body, base_url="https://localhost").headers["Set-Cookie"]
    assert secure.startswith("__Host-scale=")
    assert all(part in secure for part in ("HttpOnly", "SameSite=Lax", "Path=/", "Secure"))
    assert "Domain" not in secure


def test_under_tls_a_cookie_that_could_be_planted_is_not_taken(guarded: FlaskClient, session: Session) -> None:
    sign_in(guarded, make_account(session).name)
    key = cookie(guarded)
    client = guarded.application.test_client(use_cookies=False)
    for name, status in (("scale", 401), ("__Host-scale", 200)):
        answer = client.get("/jobs/", base_url="https://localhost", headers={"Cookie": f"{name}={key}"})
        assert answer.status_code == status, name


def test_the_secret_is_not_kept(guarded: FlaskClient, session: Session) -> None:
    sign_in(guarded, make_account(session).name)
    rows = session.execute(text("SELECT to_jsonb(session)::text FROM session")).scalars().all()
    assert rows
    assert cookie(guarded) not in "".join(rows)


def test_every_signing_in_has_a_new_key(guarded: FlaskClient, session: Session) -> None:
    """Whatever key an attacker has planted, or has seen before, is worth nothing afterwards."""
    name = make_account(session).name
    guarded.set_cookie("scale", "planted")
    sign_in(guarded, name)
    first = cookie(guarded)
    assert first != "planted"
    sign_in(guarded, name)
    assert cookie(guarded) != first
    guarded.set_cookie("scale", first)
    assert guarded.get("/jobs/").status_code == 401
    assert guarded.get_cookie("scale") is None, "what has ended is forgotten"


@pytest.mark.parametrize("change", [{"last_seen": timedelta(hours=1, seconds=1)}, {"expires": timedelta(hours=13)}])
def test_a_session_ends_by_itself(guarded: FlaskClient, session: Session, change: dict[str, timedelta]) -> None:
    sign_in(guarded, make_account(session).name)
    assert guarded.get("/jobs/").status_code == 200
    values = {name: getattr(BrowserSession, name) - by for name, by in change.items()}
    session.execute(update(BrowserSession).values(values).execution_options(synchronize_session=False))
    session.commit()
    answer = guarded.get("/jobs/")
    assert (answer.status_code, answer.get_json()["detail"]) == (401, "Your session has ended; sign in again.")


def test_a_request_keeps_a_session_alive(guarded: FlaskClient, session: Session) -> None:
    sign_in(guarded, make_account(session).name)
    earlier = utcnow() - timedelta(minutes=30)
    session.execute(update(BrowserSession).values(last_seen=earlier))
    session.commit()
    guarded.get("/jobs/")
    session.expire_all()
    assert session.scalars(select(BrowserSession.last_seen)).one() > earlier + timedelta(minutes=29)


def test_what_has_ended_is_removed(guarded: FlaskClient, session: Session) -> None:
    sign_in(guarded, make_account(session).name)
    guarded.post("/sign-in/", json={"name": "nobody", "password": "wrong"})
    limits = services.Limits(timedelta(hours=1), timedelta(hours=12))
    services.forget(session, limits, utcnow())
    assert session.scalars(select(BrowserSession.id)).all()
    assert session.scalars(select(SignInFailure.key)).all()
    services.forget(session, limits, utcnow() + timedelta(days=1))
    assert not session.scalars(select(BrowserSession.id)).all()
    assert not session.scalars(select(SignInFailure.key)).all()


# ------------------------------------------------------------------------------------------------------ pages of others


def test_changes_need_the_token_that_only_our_pages_know(guarded: FlaskClient, session: Session) -> None:
    headers = sign_in(guarded, make_account(session, "operator").name)
    for wrong in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "x" * 64}, {"X-CSRF-Token": "\xff"}):
        answer = guarded.open("/scheduler/", headers=wrong, **CHANGE)
        assert (answer.status_code, "X-CSRF-Token" in answer.text) == (403, True)
    assert guarded.open("/scheduler/", headers=headers, **CHANGE).status_code == 201
    assert guarded.get("/scheduler/").status_code == 200, "reading needs none"
    other = guarded.application.test_client()
    theirs = sign_in(other, make_account(session, "operator").name)
    assert guarded.open("/scheduler/", headers=theirs, **CHANGE).status_code == 403, "another session's"


def test_changes_from_other_origins_are_refused_even_with_it(guarded: FlaskClient, session: Session) -> None:
    headers = sign_in(guarded, make_account(session, "operator").name)
    own = {**headers, "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert guarded.open("/scheduler/", headers=own, **CHANGE).status_code == 201
    for other in ("http://localhost:81", "https://evil.example", "null", "http://localhost.evil.example", "http://["):
        assert guarded.open("/scheduler/", headers={**headers, "Origin": other}, **CHANGE).status_code == 403, other


def test_nobody_is_signed_in_by_a_page_of_others(guarded: FlaskClient, session: Session) -> None:
    body = {"name": make_account(session).name, "password": PASSWORD}
    assert guarded.post("/sign-in/", json=body, headers={"Origin": "https://evil.example"}).status_code == 403
    assert guarded.post("/sign-in/", data=body).status_code == 415
    assert guarded.get_cookie("scale") is None


def test_a_token_needs_no_csrf_token(guarded: FlaskClient, session: Session) -> None:
    headers = bearer(make_token(session, make_account(session, "operator"))[1])
    assert guarded.open("/scheduler/", headers=headers, **CHANGE).status_code == 201


# ------------------------------------------------------------------------------------------------------------ passwords


def test_changing_ones_password_ends_all_other_sessions(guarded: FlaskClient, session: Session) -> None:
    name = make_account(session).name
    other = guarded.application.test_client()
    sign_in(other, name)
    headers = sign_in(guarded, name)
    new = "another horse battery"
    wrong = guarded.post("/session/password/", json={"old_password": "x", "password": new}, headers=headers)
    assert (wrong.status_code, wrong.get_json()["problems"][0]["path"]) == (400, "old_password")
    weak = guarded.post("/session/password/", json={"old_password": PASSWORD, "password": "x"}, headers=headers)
    assert (weak.status_code, weak.get_json()["problems"][0]["path"]) == (400, "password")
    done = guarded.post("/session/password/", json={"old_password": PASSWORD, "password": new}, headers=headers)
    assert done.status_code == 200, done.text
    assert guarded.get("/jobs/").status_code == 200
    assert other.get("/jobs/").status_code == 401
    assert other.post("/sign-in/", json={"name": name, "password": PASSWORD}).status_code == 401
    sign_in(other, name, new)


def test_a_token_changes_no_password(guarded: FlaskClient, session: Session) -> None:
    headers = bearer(make_token(session, make_account(session))[1])
    body = {"old_password": PASSWORD, "password": "another horse battery"}
    assert guarded.post("/session/password/", json=body, headers=headers).status_code == 400


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "another horse battery"}, {"role": "viewer"}])
def test_an_administrator_can_end_sessions(guarded: FlaskClient, session: Session, change: dict[str, object]) -> None:
    account = make_account(session, "operator")
    sign_in(guarded, account.name)
    admin = bearer(make_token(session, make_account(session, "admin"))[1])
    assert guarded.patch(f"/accounts/{account.id}/", json=change, headers=admin).status_code == 200
    assert guarded.get("/jobs/").status_code == 401


# ------------------------------------------------------------------------------------------------------ wrong passwords


def attempt(
    client: FlaskClient, name: str, password: str = "wrong", address: str = "192.0.2.1"
) -> tuple[int, str | None]:
    answer = client.post(
        "/sign-in/", json={"name": name, "password": password}, environ_overrides={"REMOTE_ADDR": address}
    )
    return answer.status_code, answer.headers.get("Retry-After")


def assert_waits(answer: tuple[int, str | None], most_s: int) -> None:
    """Told to wait that long, of which a part is over by now; each wait is twice as long as the one before."""
    status, retry_after = answer
    assert status == 429
    assert most_s / 2 < int(retry_after or 0) <= most_s


def test_names_cannot_be_found_out(guarded: FlaskClient, session: Session) -> None:
    account = make_account(session)
    disabled = make_account(session)
    disabled.is_active = False
    session.commit()
    answers = [
        guarded.post("/sign-in/", json={"name": name, "password": "wrong password"}).get_json()
        for name in (account.name, "nobody-there", disabled.name, "a\nb", "%")
    ]
    assert answers == [{"detail": "The name or the password is wrong."}] * 5
    assert guarded.post("/sign-in/", json={"name": disabled.name, "password": PASSWORD}).status_code == 401


@pytest.mark.parametrize("is_there", [True, False])
def test_an_account_waits_after_some_failures(guarded: FlaskClient, session: Session, is_there: bool) -> None:
    name = make_account(session).name if is_there else "nobody-there"
    for number in range(FREE["account"]):
        assert attempt(guarded, name, address=f"192.0.2.{number}") == (401, None)
    assert_waits(attempt(guarded, name, PASSWORD, "192.0.2.99"), 30)  # from wherever, and with the right one
    session.execute(update(SignInFailure).values(blocked_until=utcnow() - timedelta(seconds=1)))
    session.commit()
    assert attempt(guarded, name) == (401, None)
    assert_waits(attempt(guarded, name), 60)
    session.execute(update(SignInFailure).values(blocked_until=utcnow() - timedelta(seconds=1)))
    session.commit()
    assert attempt(guarded, name, PASSWORD)[0] == (200 if is_there else 401)
    assert attempt(guarded, name)[0] == (401 if is_there else 429), "success wipes the slate clean"


def test_an_address_waits_after_many_failures(guarded: FlaskClient, session: Session) -> None:
    name = make_account(session).name
    for number in range(FREE["address"] - 1):
        assert attempt(guarded, f"guess-{number}")[0] == 401
    assert attempt(guarded, name, PASSWORD)[0] == 200
    assert attempt(guarded, "guess")[0] == 401, "a success is no failure, but forgives none of the others"
    assert_waits(attempt(guarded, name, PASSWORD), 30)
    assert attempt(guarded, name, PASSWORD, "192.0.2.2")[0] == 200


def test_a_large_body_is_refused_unread(guarded: FlaskClient) -> None:
    answer = guarded.post("/sign-in/", json={"name": "a", "password": "x" * 20_000})
    assert answer.status_code == 413


def test_proxies_are_believed_only_when_told_so(guarded_app: Flask, guarded: FlaskClient, session: Session) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    body = {"name": make_account(session).name, "password": PASSWORD}
    answer = guarded.post("/sign-in/", json=body, headers=forwarded)
    assert answer.headers["Set-Cookie"].startswith("scale=")
    assert session.scalars(select(BrowserSession.address)).one() == "127.0.0.1"
