"""Trigger rules (conditions) and trigger events (what happened; every job and recipe hangs on one)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from scale_core.db.base import Base, Document, Id, Stamped, enum_of


class RuleType(StrEnum):
    INGEST = "INGEST"
    PARSE = "PARSE"
    CLOCK = "CLOCK"


class TriggerRule(Stamped, Base):
    __tablename__ = "trigger_rule"

    id: Mapped[Id]
    type: Mapped[RuleType] = mapped_column(enum_of(RuleType, "type"), index=True)
    name: Mapped[str] = mapped_column(String(50), server_default="", index=True)
    configuration: Mapped[Document]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"), index=True)
    archived: Mapped[datetime | None]


class TriggerEvent(Base):
    """`type` is USER, INGEST, PARSE, STRIKE_CREATED, STRIKE_TRANSFER or a clock rule's event_type.

    `firing` identifies what caused the event (rule, file): unique, so that doing a step twice fires nothing twice.
    """

    __tablename__ = "trigger_event"

    id: Mapped[Id]
    type: Mapped[str] = mapped_column(String(50), index=True)
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("trigger_rule.id"), index=True)
    description: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    firing: Mapped[str | None] = mapped_column(String(200), unique=True)
    error: Mapped[str | None] = mapped_column(Text)  # why the rule matched but could queue nothing
    occurred: Mapped[datetime] = mapped_column(index=True)
    trace_id: Mapped[str] = mapped_column(String(32), server_default="")

    rule: Mapped[TriggerRule | None] = relationship()


Index(
    "ix_trigger_event_file_id",
    TriggerEvent.description["file_id"].astext,
    postgresql_where=TriggerEvent.description["file_id"].astext.is_not(None),
)
Index("ix_trigger_event_failed", TriggerEvent.occurred, postgresql_where=TriggerEvent.error.is_not(None))
