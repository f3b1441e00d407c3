"""Trigger events: what happened. Every job and recipe hangs on one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from scale_core import tracing
from scale_core.db.trigger import TriggerEvent
from scale_core.services import audit


def record(
    session: Session,
    type_: str,
    now: datetime,
    *,
    rule_id: int | None = None,
    description: Mapping[str, Any] | None = None,
    firing: str | None = None,
    occurred: datetime | None = None,
    trace_id: str = "",
) -> int | None:
    """The id of a new event; None when an event of this `firing` is there already.

    It goes on with the trace that is given, else with the one that goes on here, else it begins one.
    """
    statement = (
        insert(TriggerEvent)
        .values(
            type=type_,
            rule_id=rule_id,
            description=dict(description or {}),
            firing=firing,
            occurred=occurred or now,
            trace_id=trace_id or tracing.current() or tracing.new_id(),
        )
        .on_conflict_do_nothing(index_elements=["firing"])
        .returning(TriggerEvent.id)
    )
    return session.scalar(statement)


def record_all(
    session: Session,
    type_: str,
    rule_id: int,
    firings: Mapping[str, tuple[Mapping[str, Any], str]],
    occurred: datetime,
) -> dict[str, int]:
    """firing → id of a new event, for each firing with its description and trace; not of those that were there."""
    same = {"type": type_, "rule_id": rule_id, "occurred": occurred}
    rows = [
        {**same, "description": dict(description), "firing": firing, "trace_id": trace_id}
        for firing, (description, trace_id) in firings.items()
    ]
    statement = insert(TriggerEvent).values(rows).on_conflict_do_nothing(index_elements=["firing"])
    found = session.execute(statement.returning(TriggerEvent.firing, TriggerEvent.id))
    return {row.firing: row.id for row in found}


def set_error(session: Session, event_id: int, error: str) -> None:
    """Say on the event why its rule could queue nothing."""
    session.execute(update(TriggerEvent).where(TriggerEvent.id == event_id).values(error=error))


def user_event(session: Session, now: datetime) -> int:
    """The event behind what somebody started through REST: it names the account, and the token if it was one."""
    caller = audit.caller_of(session)
    description = {"user": caller.name or "Anonymous"}
    if caller.token_name:
        description["token"] = caller.token_name
    event_id = record(session, "USER", now, description=description)
    assert event_id is not None
    return event_id
