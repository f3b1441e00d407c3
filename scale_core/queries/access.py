"""Accounts and tokens as administrators see them; and whom a token or a session belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core import secret
from scale_core.db.account import Account, ApiToken, BrowserSession
from scale_core.domain.access import Caller, Role, Via, least
from scale_core.errors import NotFound, Unauthenticated
from scale_core.queries.listing import ALWAYS, Order, Page, Period, known, read_page
from scale_core.queries.shape import Json, Shape, rows

ACCOUNT_ORDER = Order(Account, default=["name"])
TOKEN_ORDER = Order(ApiToken, default=["-created"], related=["account"])


@dataclass(frozen=True)
class AccountFilters:
    period: Period = ALWAYS
    names: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    is_active: bool | None = None


@dataclass(frozen=True)
class TokenFilters:
    period: Period = ALWAYS
    names: tuple[str, ...] = ()
    account_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Found:
    """A caller, and when its use was last noted."""

    caller: Caller
    last_used: datetime | None


def list_accounts(session: Session, filters: AccountFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(Account.id), Account.last_modified)
    if filters.names:
        query = query.where(func.lower(Account.name).in_([name.lower() for name in filters.names]))
    if filters.roles:
        query = query.where(Account.role.in_(known(Role, filters.roles)))
    if filters.is_active is not None:
        query = query.where(Account.is_active.is_(filters.is_active))
    return read_page(session, query, ACCOUNT_ORDER, page, filters, rows(Account, shape).read)


def get_account(session: Session, account_id: int) -> Account:
    """Raises NotFound."""
    account = session.get(Account, account_id)
    if account is None:
        raise NotFound(f"There is no account with the id {account_id}.")
    return account


def list_tokens(session: Session, filters: TokenFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(ApiToken.id), ApiToken.created)
    if filters.names:
        query = query.where(ApiToken.name.in_(filters.names))
    if filters.account_ids:
        query = query.where(ApiToken.account_id.in_(filters.account_ids))
    return read_page(session, query, TOKEN_ORDER, page, filters, rows(ApiToken, shape).read)


def get_token(session: Session, token_id: int) -> ApiToken:
    """Raises NotFound."""
    token = session.get(ApiToken, token_id)
    if token is None:
        raise NotFound(f"There is no token with the id {token_id}.")
    return token


def somebody_is_known(session: Session) -> bool:
    """Whether there is any account."""
    return session.scalar(select(Account.id).limit(1)) is not None


def of_token(session: Session, token: str, now: datetime) -> Found:
    """Raises Unauthenticated, saying why the token opens nothing."""
    query = (
        select(
            *(ApiToken.id, ApiToken.name, ApiToken.role, ApiToken.scope, ApiToken.revoked, ApiToken.expires),
            ApiToken.last_used,
            Account.id.label("account_id"),
            Account.name.label("account"),
            Account.role.label("account_role"),
            Account.is_active,
        )
        .join(Account, Account.id == ApiToken.account_id)
        .where(ApiToken.hash == secret.digest(token))
    )
    row = session.execute(query).first()
    if row is None:
        raise Unauthenticated("This API token is not known.")
    if row.revoked is not None:
        raise Unauthenticated("This API token was revoked.")
    if row.expires <= now:
        raise Unauthenticated("This API token has expired.")
    if not row.is_active:
        raise Unauthenticated("The account of this API token is disabled.")
    role = least(row.role, row.account_role)
    caller = Caller(Via.TOKEN, role, row.account, row.account_id, row.id, row.name, tuple(row.scope))
    return Found(caller, row.last_used)


def of_session(session: Session, key: str, idle: timedelta, now: datetime) -> Found | None:
    """None: it has ended, or there never was one."""
    query = (
        select(
            BrowserSession.id,
            BrowserSession.last_seen,
            Account.id.label("account_id"),
            Account.name,
            Account.role,
        )
        .join(Account, Account.id == BrowserSession.account_id)
        .where(
            BrowserSession.hash == secret.digest(key),
            BrowserSession.expires > now,
            BrowserSession.last_seen > now - idle,
            Account.is_active,
        )
    )
    row = session.execute(query).first()
    if row is None:
        return None
    return Found(Caller(Via.SESSION, row.role, row.name, row.account_id, row.id), row.last_seen)
