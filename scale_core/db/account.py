"""Accounts, API tokens, sessions of browsers, and failures to sign in. Secrets are kept as hashes only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from scale_core.db.base import Base, BigInt, Document, Id, Stamped, enum_of
from scale_core.domain.access import Role


class Account(Stamped, Base):
    """A person or a program. Accounts are disabled, never deleted: the audit refers to them.

    Without `password_hash` there is no local password; `subject` is the identity at the OpenID provider.
    """

    __tablename__ = "account"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(150))
    role: Mapped[Role] = mapped_column(enum_of(Role, "role"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    password_changed: Mapped[datetime | None]
    subject: Mapped[str | None] = mapped_column(String(500), unique=True)
    last_sign_in: Mapped[datetime | None]

    __table_args__ = (Index("uq_account_lower_name", func.lower(name), unique=True),)


class ApiToken(Base):
    """`hash` is the SHA-256 of the secret, of which `hint` is the beginning; `scope` narrows what the role allows."""

    __tablename__ = "api_token"

    id: Mapped[Id]
    account_id: Mapped[BigInt] = mapped_column(ForeignKey("account.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    hint: Mapped[str] = mapped_column(String(20))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[Role] = mapped_column(enum_of(Role, "role"))
    scope: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    created: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires: Mapped[datetime]
    revoked: Mapped[datetime | None]
    last_used: Mapped[datetime | None]
    last_address: Mapped[str | None] = mapped_column(String(64))

    account: Mapped[Account] = relationship()


class BrowserSession(Base):
    """Somebody who has signed in with a browser, until `expires` or until they were idle too long."""

    __tablename__ = "session"

    id: Mapped[Id]
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[BigInt] = mapped_column(ForeignKey("account.id"), index=True)
    created: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_seen: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)
    address: Mapped[str] = mapped_column(String(64), server_default="")
    user_agent: Mapped[str] = mapped_column(String(300), server_default="")


class SignInFailure(Base):
    """How often signing in failed, per account and per address (domain/sign_in.py)."""

    __tablename__ = "sign_in_failure"

    key: Mapped[str] = mapped_column(String(220), primary_key=True)
    failures: Mapped[int]
    last: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]


class Audit(Base):
    """Who changed what, when, from where; before and after. A trigger refuses every change of a row.

    No foreign keys: nothing that happens to other rows may touch these.
    """

    __tablename__ = "audit"

    id: Mapped[Id]
    occurred: Mapped[datetime] = mapped_column(index=True)
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    account_name: Mapped[str] = mapped_column(String(150), server_default="")
    via: Mapped[str] = mapped_column(String(20))
    token_name: Mapped[str] = mapped_column(String(100), server_default="")
    address: Mapped[str] = mapped_column(String(64), server_default="")
    user_agent: Mapped[str] = mapped_column(String(300), server_default="")
    request_id: Mapped[str] = mapped_column(String(64), server_default="")
    operation: Mapped[str] = mapped_column(String(200))
    object_type: Mapped[str] = mapped_column(String(50))
    object_id: Mapped[int | None] = mapped_column(BigInteger)
    object_name: Mapped[str] = mapped_column(String(250), server_default="")
    before: Mapped[Document | None]
    after: Mapped[Document | None]

    __table_args__ = (Index(None, "object_type", "object_id", "id"), Index(None, "account_name", "id"))
