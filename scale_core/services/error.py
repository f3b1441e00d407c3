"""The error catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.job import Error
from scale_core.domain.job import ErrorCategory
from scale_core.errors import Conflict, Invalid, Problem
from scale_core.services import assign, get, require

_EDITABLE = ("title", "description", "category")


def create(session: Session, fields: Mapping[str, Any], now: datetime) -> Error:
    """A new error of category ALGORITHM or DATA (Create Error). Raises Invalid, Conflict."""
    require(fields, "name", "title", "description", "category")
    _check_category(fields)
    if session.scalar(select(Error.id).where(Error.name == fields["name"])):
        raise Conflict(f"There is already an error called {fields['name']!r}; choose another name")
    error = Error(name=fields["name"], is_builtin=False, created=now)
    assign(error, fields, _EDITABLE)
    session.add(error)
    session.flush()
    return error


def edit(session: Session, error_id: int, fields: Mapping[str, Any], now: datetime) -> Error:
    """Change title, description or category (Edit Error). SYSTEM errors are Scale's own: Invalid."""
    error = get(session, Error, error_id, "error", lock=True)
    if error.category is ErrorCategory.SYSTEM:
        raise Invalid("Errors of category SYSTEM belong to Scale and cannot be edited")
    _check_category(fields)
    assign(error, {name: value for name, value in fields.items() if value not in (None, "")}, _EDITABLE)
    session.flush()
    return error


def put(session: Session, fields: Mapping[str, Any], now: datetime) -> None:
    """Create the error, or edit the one of this name; nothing is written that is so already. Raises Invalid."""
    existing = session.scalar(select(Error.id).where(Error.name == fields["name"]))
    if existing is None:
        create(session, fields, now)
    else:
        edit(session, existing, fields, now)


def by_name(session: Session, name: str) -> Error:
    """The catalogue's entry; `unknown` for a name that it does not have."""
    found = {error.name: error for error in session.scalars(select(Error).where(Error.name.in_((name, "unknown"))))}
    return found.get(name) or found["unknown"]


def _check_category(fields: Mapping[str, Any]) -> None:
    if fields.get("category") and fields["category"] not in (ErrorCategory.ALGORITHM, ErrorCategory.DATA):
        raise Invalid(problems=[Problem("category", "must be ALGORITHM or DATA")])
