"""Daily figures and job load, computed by PostgreSQL from what happened (Metrics Services, Job Load)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session

from scale_core.db.session import advisory_lock
from scale_core.db.sql import load

SQL = load("metrics")
KINDS = ("job_types", "ingests", "errors")


def compute_day(session: Session, day: date) -> None:
    """Write the figures of one UTC day anew; those that were there are replaced. Two that do it wait for each other."""
    started = datetime.combine(day, time(), UTC)
    advisory_lock(session, f"metrics-{day}")
    for kind in KINDS:
        session.execute(SQL[f"forget_{kind}"], {"day": day})
        session.execute(SQL[kind], {"day": day, "started": started, "ended": started + timedelta(days=1)})


def measure_load(session: Session, now: datetime) -> None:
    """How many jobs of each type are PENDING, QUEUED and RUNNING at this moment."""
    session.execute(SQL["load"], {"measured": now})
