"""Requests that may be sent twice: the second time they get the first answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, text
from sqlalchemy.orm import Session

from scale_core.db.idempotency import IdempotencyKey
from scale_core.db.session import advisory_lock
from scale_core.errors import KeyReused

KEPT = timedelta(hours=24)


@dataclass(frozen=True)
class StoredAnswer:
    status: int
    headers: Mapping[str, str]
    body: str


def claim(session: Session, key: str, fingerprint: str) -> StoredAnswer | None:
    """Wait until no other request works under the key; the answer that one has stored, None if there is none.

    The key stays claimed until the transaction ends, however long the work takes that is done in others. Raises
    KeyReused when the key belongs to another request.
    """
    advisory_lock(session, f"idempotency {key}")
    session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    stored = session.get(IdempotencyKey, key)
    if stored is None:
        return None
    if stored.fingerprint != fingerprint:
        raise KeyReused()
    return StoredAnswer(stored.status, stored.headers, stored.body)


def store(session: Session, key: str, fingerprint: str, answer: StoredAnswer, now: datetime) -> None:
    """Keep the answer for as long as the same request may come again."""
    session.add(
        IdempotencyKey(
            key=key,
            fingerprint=fingerprint,
            status=answer.status,
            headers=dict(answer.headers),
            body=answer.body,
            created=now,
        )
    )
    session.flush()


def forget(session: Session, now: datetime) -> int:
    """Remove what is older than KEPT; how many there were."""
    done = session.execute(delete(IdempotencyKey).where(IdempotencyKey.created < now - KEPT))
    return cast("CursorResult[Any]", done).rowcount
