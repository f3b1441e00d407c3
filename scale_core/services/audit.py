"""The audit: who changed what, in the same transaction as the change.

`watch` notes what the ORM writes in a session; what is written by plain statements says so itself, by `note`. `record`
writes it down before the commit. Where nobody watches (the scheduler, workers), both do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any

from sqlalchemy import event, func, insert, inspect, select
from sqlalchemy.orm import Session, UOWTransaction

from scale_core.db.account import Account, ApiToken, Audit, BrowserSession, SignInFailure
from scale_core.db.idempotency import IdempotencyKey
from scale_core.db.job import JobExecution, JobTypeRevision
from scale_core.db.queue import Queue
from scale_core.db.recipe import RecipeTypeRevision
from scale_core.domain.access import OPEN, Caller
from scale_core.domain.audit import without_secrets
from scale_core.timestamps import isoformat

_KEY = "audit"
# rows that only follow from others, and those that are kept for themselves
_LEFT_OUT = (
    Audit,
    BrowserSession,
    SignInFailure,
    IdempotencyKey,
    JobExecution,
    JobTypeRevision,
    RecipeTypeRevision,
    Queue,
)
_STAMPS = ("created", "last_modified", "hash", "password_hash", "hint")
_PASSWORD_CHANGED = {Account: "password_hash", ApiToken: "hash"}


@dataclass(frozen=True)
class Origin:
    """Who asks for what, and from where."""

    caller: Caller
    operation: str
    address: str = ""
    user_agent: str = ""
    request_id: str = ""


@dataclass
class Change:
    object_type: str
    object_id: int | None
    object_name: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass
class _Notes:
    caller: Caller
    by_object: dict[tuple[str, int | None], Change] = field(default_factory=dict)


def watch(session: Session, caller: Caller) -> None:
    """From now on note what `session` changes in the name of `caller`."""
    session.info[_KEY] = _Notes(caller)
    event.listen(session, "after_flush", _flushed)


def caller_of(session: Session) -> Caller:
    """In whose name `session` changes something; OPEN where nobody watches."""
    notes: _Notes | None = session.info.get(_KEY)
    return OPEN if notes is None else notes.caller


def note(
    session: Session, object_type: str, object_id: int | None, name: str = "", after: Mapping[str, Any] | None = None
) -> None:
    """Something was changed by a plain statement."""
    notes: _Notes | None = session.info.get(_KEY)
    if notes is not None:
        _add(notes, Change(object_type, object_id, name, None, dict(after or {}) or None))


def noted(session: Session) -> bool:
    """Whether there is anything to record; what is not yet written is written first."""
    session.flush()
    return bool(session.info[_KEY].by_object)


def has_written(session: Session) -> bool:
    """Whether this transaction has changed anything at all."""
    return session.scalar(select(func.pg_current_xact_id_if_assigned().is_not(None))) or False


def record(session: Session, origin: Origin, now: datetime, otherwise: Change | None = None) -> int:
    """Write down what was noted, or `otherwise` if that was nothing; how many rows there are."""
    changes = list(session.info[_KEY].by_object.values()) or ([otherwise] if otherwise else [])
    session.info[_KEY].by_object.clear()
    if changes:
        session.execute(insert(Audit), [_row(origin, change, now) for change in changes])
    return len(changes)


def _row(origin: Origin, change: Change, now: datetime) -> dict[str, Any]:
    caller = origin.caller
    return {
        "occurred": now,
        "account_id": caller.account_id,
        "account_name": caller.name[:150],
        "via": caller.via.value,
        "token_name": caller.token_name[:100],
        "address": origin.address[:64],
        "user_agent": origin.user_agent[:300],
        "request_id": origin.request_id[:64],
        "operation": origin.operation[:200],
        "object_type": change.object_type[:50],
        "object_id": change.object_id,
        "object_name": change.object_name[:250],
        "before": change.before,
        "after": change.after,
    }


def _flushed(session: Session, _context: UOWTransaction) -> None:
    notes: _Notes = session.info[_KEY]
    for row in session.new:
        if not isinstance(row, _LEFT_OUT):
            _add(notes, _change(row, None, _shown(row)))
    for row in session.dirty:
        if not isinstance(row, _LEFT_OUT) and (values := _edited(row)):
            before = {name: old for name, (old, _) in values.items()}
            _add(notes, _change(row, before, {name: new for name, (_, new) in values.items()}))
    for row in session.deleted:
        if not isinstance(row, _LEFT_OUT):
            _add(notes, _change(row, _shown(row), None))


def _add(notes: _Notes, change: Change) -> None:
    """What is changed twice in a transaction was before what it was at first, and is after what it is in the end."""
    key = (change.object_type, change.object_id)
    earlier = notes.by_object.get(key)
    if earlier is None or change.object_id is None:
        notes.by_object[key] = change
        return
    if earlier.before is not None:
        earlier.before = {**(change.before or {}), **earlier.before}
    if change.after is not None:
        earlier.after = {**(earlier.after or {}), **change.after}
    else:
        earlier.after = None
    earlier.object_name = earlier.object_name or change.object_name


def _change(row: Any, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Change:
    object_id = getattr(row, "id", None)
    name = getattr(row, "name", None) or getattr(row, "hostname", None) or getattr(row, "file_name", None) or ""
    kind = type(row).__tablename__.removeprefix("scale_")
    return Change(kind, object_id if isinstance(object_id, int) else None, str(name), before, after)


def _shown(row: Any) -> dict[str, Any]:
    """The values that say something."""
    names = [attribute.key for attribute in inspect(type(row)).column_attrs if attribute.key not in _STAMPS]
    loaded = inspect(row).dict
    values = {name: _plain(loaded[name], name) for name in names if name in loaded}
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def _edited(row: Any) -> dict[str, tuple[Any, Any]]:
    """name -> (before, after) of what was really changed. A new secret is told of, but not shown."""
    edited = {}
    state = inspect(row)
    for attribute in state.mapper.column_attrs:
        history = state.attrs[attribute.key].history
        if not history.has_changes():
            continue
        old = history.deleted[0] if history.deleted else None
        new = history.added[0] if history.added else None
        if attribute.key == _PASSWORD_CHANGED.get(type(row)):
            edited["password"] = ("(hidden)", "(changed)")
        elif attribute.key not in _STAMPS and old != new:
            edited[attribute.key] = (_plain(old, attribute.key), _plain(new, attribute.key))
    return edited


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return isoformat(value)
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, (str, int, float, bool, dict, list, tuple)):
        return without_secrets(value, name)
    return "(not shown)"  # geometries
