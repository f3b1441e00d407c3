"""Use cases: one function each, given a session and the time. They flush, never commit, and talk to nothing but SQL.

Lock order, everywhere: queue, job_exe, recipe, job; ascending ids within a table. Whoever changes the status of a job
that belongs to a recipe locks the recipe first, so that two parents that end at once never strand their child.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from scale_core.errors import Invalid, NotFound, Problem

Row = TypeVar("Row")


def get(session: Session, table: type[Row], id_: int, what: str, *, lock: bool = False) -> Row:
    """The row of this id, or NotFound in words."""
    row = session.get(table, id_, with_for_update=lock or None, populate_existing=lock)
    if row is None:
        raise NotFound(f"There is no {what} with id {id_}")
    return row


def require(fields: Mapping[str, Any], *names: str) -> None:
    """Raise Invalid for each named field that is absent, null or blank."""
    missing = [name for name in names if fields.get(name) in (None, "", {}) or str(fields[name]).strip() == ""]
    if missing:
        raise Invalid(problems=[Problem(name, "is required") for name in missing])


def assign(row: Any, fields: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Copy the named fields that were given."""
    for name in names:
        if name in fields:
            setattr(row, name, fields[name])
