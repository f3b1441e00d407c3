"""API tokens: how programs show who they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from scale_core import secret
from scale_core.db.account import Account, ApiToken
from scale_core.domain.access import check_scope, parse_role
from scale_core.errors import Invalid, Problem
from scale_core.services import get, require

DEFAULT_DAYS, MAX_DAYS = 90, 3650
USE_NOTED_AFTER = timedelta(minutes=1)


def create(session: Session, fields: Mapping[str, Any], now: datetime) -> tuple[ApiToken, str]:
    """A token of an account, and its secret, which nobody can be shown again. Raises Invalid.

    What it allows is the least of its role, its account's role, and its scope.
    """
    require(fields, "name", "account_id")
    account = session.get(Account, fields["account_id"])
    if account is None or not account.is_active:
        raise Invalid(problems=[Problem("account_id", f"there is no active account with id {fields['account_id']}")])
    role = parse_role(fields["role"]) if fields.get("role") is not None else account.role
    if not account.role.covers(role):
        raise Invalid(problems=[Problem("role", f"{account.name!r} is {account.role} and cannot give more than that")])
    days = DEFAULT_DAYS if fields.get("days") is None else int(fields["days"])
    if not 1 <= days <= MAX_DAYS:
        raise Invalid(problems=[Problem("days", f"must be from 1 to {MAX_DAYS}")])
    made = secret.make_token()
    token = ApiToken(
        account_id=account.id,
        name=fields["name"],
        hint=made[: secret.HINT_LENGTH],
        hash=secret.digest(made),
        role=role,
        scope=list(check_scope(fields.get("scope") or ())),
        created=now,
        expires=now + timedelta(days=days),
    )
    session.add(token)
    session.flush()
    return token, made


def revoke(session: Session, token_id: int, now: datetime) -> ApiToken:
    """From now on it opens nothing. Revoking again changes nothing. Raises NotFound."""
    token = get(session, ApiToken, token_id, "token", lock=True)
    token.revoked = token.revoked or now
    session.flush()
    return token


def note_use(session: Session, token_id: int, address: str, now: datetime) -> None:
    """At most once a minute: each request would else be a write."""
    session.execute(
        update(ApiToken)
        .where(
            ApiToken.id == token_id,
            or_(ApiToken.last_used.is_(None), ApiToken.last_used < now - USE_NOTED_AFTER),
        )
        .values(last_used=now, last_address=address[:64])
    )
