"""Nodes (our durable record of Mesos agents' hosts) and the one row of the scheduler."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from scale_core.db.base import Base, BigInt, Document, Id, Stamped


class Node(Stamped, Base):
    """A host, known by its name; the agent id may change. `resources` is what the master last said of it."""

    __tablename__ = "node"

    id: Mapped[Id]
    hostname: Mapped[str] = mapped_column(String(250), unique=True)
    port: Mapped[int]
    agent_id: Mapped[str] = mapped_column(String(250), unique=True)
    pause_reason: Mapped[str | None] = mapped_column(String(250))
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    is_paused_errors: Mapped[bool] = mapped_column(server_default=text("false"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_online: Mapped[bool] = mapped_column(server_default=text("false"))
    resources: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    usage: Mapped[Document] = mapped_column(server_default=text("'{}'"))  # what its executor last measured
    health: Mapped[Document] = mapped_column(server_default=text("'{}'"))  # domain.node_health, while errors pause it
    attributes: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    archived: Mapped[datetime | None]
    last_offer: Mapped[datetime | None]


class Scheduler(Base):
    """Global state of scheduling: exactly one row, id 1. `heartbeat` moves while an offer handler leads."""

    __tablename__ = "scheduler"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    node_error_period: Mapped[int] = mapped_column(server_default=text("1"))  # minutes
    max_node_errors: Mapped[float] = mapped_column(server_default=text("50.0"))
    master_hostname: Mapped[str] = mapped_column(String(250), server_default="localhost")
    master_port: Mapped[int] = mapped_column(server_default=text("5050"))
    master_online: Mapped[bool] = mapped_column(server_default=text("false"))
    epoch: Mapped[BigInt] = mapped_column(server_default=text("0"))  # of the leader; a later one deposes it
    framework_id: Mapped[str | None] = mapped_column(String(255))
    hostname: Mapped[str] = mapped_column(String(250), server_default="")
    heartbeat: Mapped[datetime | None]
    waiting: Mapped[Document] = mapped_column(server_default=text("'{}'"))  # job type id -> why its jobs wait
    stats: Mapped[Document] = mapped_column(server_default=text("'{}'"))  # what the offer handler counts: figures.py
    last_error: Mapped[str | None] = mapped_column(Text)
