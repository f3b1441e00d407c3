"""Executions that outlived their timeout, and whose agent answers no kill: given up, so that none runs for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from scale_core.db.sql import load

SQL = load("execution")


def give_up(session: Session, now: datetime, grace_s: float) -> list[int]:
    """End what is over its timeout by twice the grace, as timed out; returns ids of executions, to be finished.

    The executor acts at the timeout, the scheduler asks for a kill after the grace, and this is when neither was heard
    of. A task that comes back is killed as one that nobody wants.
    """
    before = now - timedelta(seconds=2 * grace_s)
    return sorted(session.execute(SQL["end_overdue"], {"now": now, "before": before}).scalars())
