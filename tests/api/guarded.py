"""An API that asks who one is, and people who use it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core import secret
from scale_core.db.account import Account
from scale_core.domain.access import Role
from scale_core.services import token
from scale_core.timestamps import utcnow
from tests import factories

PASSWORD = "correct horse battery"


def make_account(session: Session, role: str = "viewer", name: str | None = None) -> Account:
    made = Account(
        name=name or factories.unique("person"), role=Role(role), is_active=True, password_hash=_hashed(),
        password_changed=utcnow(), created=utcnow(),
    )  # fmt: skip
    session.add(made)
    session.commit()
    return made


@cache
def _hashed() -> str:
    """Of everybody's password, made once: it takes a third of a second of a core, as it should."""
    return secret.hash_password(PASSWORD)


def make_token(session: Session, owner: Account, **fields: object) -> tuple[int, str]:
    made, key = token.create(session, {"name": "t", "account_id": owner.id, **fields}, utcnow())
    session.commit()
    return made.id, key


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def sign_in(client: FlaskClient, name: str, password: str = PASSWORD) -> dict[str, str]:
    """The header that goes with changes from now on."""
    answer = client.post("/sign-in/", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.get_json()["csrf_token"]}


@dataclass
class Headers:
    """Of everybody who may come."""

    viewer: dict[str, str]
    operator: dict[str, str]
    admin: dict[str, str]
    revoked: dict[str, str]
    expired: dict[str, str]


def everybody(session: Session) -> Headers:
    owners = {role: make_account(session, role) for role in ("viewer", "operator", "admin")}
    headers = {role: bearer(make_token(session, owner)[1]) for role, owner in owners.items()}
    revoked_id, revoked = make_token(session, owners["admin"])
    token.revoke(session, revoked_id, utcnow())
    expired, key = token.create(
        session, {"name": "old", "account_id": owners["admin"].id, "days": 1}, utcnow() - timedelta(days=2)
    )
    assert expired.expires < utcnow()
    session.commit()
    return Headers(**headers, revoked=bearer(revoked), expired=bearer(key))
