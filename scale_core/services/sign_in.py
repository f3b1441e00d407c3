"""Signing in and out with a browser; failures are counted before a password is looked at, so that none is missed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from scale_core import secret
from scale_core.db.account import Account, BrowserSession, SignInFailure
from scale_core.domain import sign_in as rules
from scale_core.domain.access import Role
from scale_core.errors import TooManyTries
from scale_core.settings import Settings

SEEN_NOTED_AFTER = timedelta(minutes=1)


@dataclass(frozen=True)
class Limits:
    """How long a session lasts: without a request, and at all."""

    idle: timedelta
    absolute: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(timedelta(seconds=settings.session_idle_s), timedelta(seconds=settings.session_longest_s))


@dataclass(frozen=True)
class Local:
    """Whose password is compared with `password_hash`."""

    id: int
    name: str
    role: Role
    password_hash: str | None


def count_try(session: Session, name: str, address: str, now: datetime) -> None:
    """Count a try as failed, until `forgive` takes it back. To be committed before the password is compared.

    Raises TooManyTries when the account or the address has to wait.
    """
    for kind, key in sorted(rules.keys(name, address).items()):  # one order, so that two never wait for each other
        fresh = insert(SignInFailure).values(key=key, failures=0, last=now).on_conflict_do_nothing()
        session.execute(fresh)
        row = session.get_one(SignInFailure, key, with_for_update=True, populate_existing=True)
        if row.blocked_until is not None and row.blocked_until > now:
            wait = math.ceil((row.blocked_until - now).total_seconds())
            raise TooManyTries(f"Too many failed tries to sign in; wait {wait} s.", wait)
        row.failures = row.failures + 1 if row.last > now - rules.FORGOTTEN_AFTER else 1
        row.last = now
        wait_s = rules.wait_s(kind, row.failures)
        row.blocked_until = now + timedelta(seconds=wait_s) if wait_s else None
    session.flush()


def forgive(session: Session, name: str, address: str) -> None:
    """The try succeeded. The account's failures are forgotten; of the address only this try: whoever has one account
    must not get new tries at others by it."""
    keys = rules.keys(name, address)
    session.execute(delete(SignInFailure).where(SignInFailure.key == keys["account"]))
    session.execute(
        update(SignInFailure)
        .where(SignInFailure.key == keys["address"], SignInFailure.failures > 0)
        .values(
            failures=SignInFailure.failures - 1,
            blocked_until=case((SignInFailure.failures > rules.FREE["address"], SignInFailure.blocked_until)),
        )
    )


def start(session: Session, account_id: int, limits: Limits, address: str, user_agent: str, now: datetime) -> str:
    """A new session; returns its secret, for the cookie. An old one of the same browser is for the caller to end."""
    key = secret.make_key()
    session.add(
        BrowserSession(
            hash=secret.digest(key),
            account_id=account_id,
            created=now,
            last_seen=now,
            expires=now + limits.absolute,
            address=address[:64],
            user_agent=user_agent[:300],
        )
    )
    session.execute(
        update(Account)
        .where(Account.id == account_id)
        .values(last_sign_in=now, last_modified=Account.last_modified)
        .execution_options(synchronize_session=False)
    )
    session.flush()
    return key


def end(session: Session, key: str) -> int | None:
    """End the session of this secret; the id of its account, None if there was none."""
    statement = delete(BrowserSession).where(BrowserSession.hash == secret.digest(key))
    return session.scalar(statement.returning(BrowserSession.account_id))


def note_seen(session: Session, session_id: int, now: datetime) -> None:
    """At most once a minute."""
    session.execute(
        update(BrowserSession)
        .where(BrowserSession.id == session_id, BrowserSession.last_seen < now - SEEN_NOTED_AFTER)
        .values(last_seen=now)
    )


def find(session: Session, name: str) -> Local | None:
    """The active account of this name, in whatever case."""
    columns = (Account.id, Account.name, Account.role, Account.password_hash)
    row = session.execute(select(*columns).where(func.lower(Account.name) == name.lower(), Account.is_active)).first()
    return Local(*row) if row else None


def forget(session: Session, limits: Limits, now: datetime) -> None:
    """Remove sessions that have ended by themselves, and failures that count no more."""
    session.execute(
        delete(BrowserSession).where(
            or_(BrowserSession.expires < now, BrowserSession.last_seen < now - limits.idle - SEEN_NOTED_AFTER)
        )
    )
    session.execute(
        delete(SignInFailure).where(
            and_(
                SignInFailure.last < now - rules.FORGOTTEN_AFTER,
                or_(SignInFailure.blocked_until.is_(None), SignInFailure.blocked_until < now),
            )
        )
    )
