"""Answers that were given to requests with an Idempotency-Key."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from scale_core.db.base import Base, Document


class IdempotencyKey(Base):
    """`fingerprint` tells whether a request that comes with a known key is the same as the first one."""

    __tablename__ = "idempotency_key"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[Document]
    body: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)
