"""Accounts: who may use Scale, and in which role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from scale_core import secret
from scale_core.db.account import Account, BrowserSession
from scale_core.db.session import advisory_lock
from scale_core.domain.access import Role, parse_role
from scale_core.errors import Conflict, Forbidden, Invalid, Problem
from scale_core.services import get, require

_NAME = re.compile(r"[^\W_][\w.@+-]{0,149}")


def create(session: Session, fields: Mapping[str, Any], now: datetime) -> Account:
    """A local account. Raises Invalid, Conflict when the name is taken, in whatever case."""
    require(fields, "name", "password", "role")
    name, role = _check_name(fields["name"]), parse_role(fields["role"])
    secret.check_password(fields["password"], name)
    if by_name(session, name):
        raise Conflict(f"There is already an account called {name!r}; choose another name")
    account = Account(
        name=name,
        role=role,
        is_active=fields.get("is_active") is not False,
        password_hash=secret.hash_password(fields["password"]),
        password_changed=now,
        created=now,
    )
    session.add(account)
    session.flush()
    return account


def edit(session: Session, account_id: int, fields: Mapping[str, Any], now: datetime) -> Account:
    """Change role, is_active or password. All but a higher role ends the account's sessions.

    Raises NotFound, Invalid, and Conflict when no active administrator would be left.
    """
    advisory_lock(session, "accounts")  # two administrators must not disable each other at once
    account = get(session, Account, account_id, "account", lock=True)
    role = parse_role(fields["role"]) if fields.get("role") is not None else account.role
    is_active = account.is_active if fields.get("is_active") is None else fields["is_active"]
    password = fields.get("password")
    if account.role is Role.ADMIN and account.is_active and not (role is Role.ADMIN and is_active):
        _require_another_admin(session, account)
    if not is_active or password is not None or not role.covers(account.role):
        end_sessions(session, account.id)
    account.role, account.is_active = role, is_active
    if password is not None:
        _set_password(account, password, now)
    session.flush()
    return account


def change_password(
    session: Session, account_id: int, known: str | None, password: str, now: datetime, keep: int | None = None
) -> None:
    """One's own. `known` is the hash that the old password was compared with; all sessions end but `keep`.

    Raises Invalid; Conflict when the password was changed meanwhile.
    """
    account = get(session, Account, account_id, "account", lock=True)
    if account.password_hash != known:
        raise Conflict("The password was changed meanwhile; sign in again.")
    _set_password(account, password, now)
    end_sessions(session, account.id, keep)
    session.flush()


def by_name(session: Session, name: str) -> Account | None:
    return session.scalar(select(Account).where(func.lower(Account.name) == name.lower()))


def signed_on(session: Session, subject: str, name: str, role: Role, now: datetime) -> Account:
    """The account of an identity at the OpenID provider, made at the first time; its role is what the provider says.

    It is found by the identity alone: a name, which its owner may choose, never opens another's account. Raises
    Forbidden when the account is disabled.
    """
    advisory_lock(session, "accounts")
    account = session.scalar(select(Account).where(Account.subject == subject).with_for_update())
    if account is None:
        account = Account(
            name=_free_name(session, name),
            role=role,
            subject=subject,
            is_active=True,
            created=now,
            password_changed=None,
        )
        session.add(account)
    if not account.is_active:
        raise Forbidden("This account is disabled; an administrator can enable it.")
    if not role.covers(account.role):
        end_sessions(session, account.id)
    account.role = role
    session.flush()
    return account


def end_sessions(session: Session, account_id: int, keep: int | None = None) -> None:
    """Sign the account out everywhere."""
    query = delete(BrowserSession).where(BrowserSession.account_id == account_id)
    session.execute(query if keep is None else query.where(BrowserSession.id != keep))


def renew_hash(session: Session, account_id: int, known: str, password: str) -> None:
    """Hash the same password with today's parameters."""
    session.execute(
        update(Account)
        .where(Account.id == account_id, Account.password_hash == known)
        .values(password_hash=secret.hash_password(password), last_modified=Account.last_modified)
    )


def _set_password(account: Account, password: str, now: datetime) -> None:
    if account.subject is not None:
        raise Invalid(problems=[Problem("password", "this account signs on at the OpenID provider; change it there")])
    secret.check_password(password, account.name)
    account.password_hash, account.password_changed = secret.hash_password(password), now


def _require_another_admin(session: Session, account: Account) -> None:
    others = select(Account.id).where(Account.role == Role.ADMIN, Account.is_active, Account.id != account.id)
    if session.scalar(others.limit(1)) is None:
        raise Conflict(f"{account.name!r} is the last administrator; make another one first")


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problem = "must begin with a letter or digit and have only letters, digits and . _ @ + - (at most 150)"
        raise Invalid(problems=[Problem("name", problem)])
    return name


def _free_name(session: Session, wanted: str) -> str:
    """The wanted name as far as it can be one, with a number behind it when another account has it."""
    base = re.sub(r"[^\w.@+-]", "-", wanted).lstrip("._@+-")[:140] or "somebody"
    taken = set(session.scalars(select(func.lower(Account.name)).where(Account.name.ilike(f"{_literal(base)}%"))))
    if base.lower() not in taken:
        return base
    return next(name for number in range(2, len(taken) + 3) if (name := f"{base}-{number}").lower() not in taken)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
