"""Retention: what only tells of the past goes when it is old, in bounded batches.

Jobs, executions, files, ancestry and ingests are kept: they say where data come from. The caller commits after each
batch and asks again until nothing is left, so no transaction is long and a stop in between loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, text
from sqlalchemy.orm import Session

BATCH = 1000


# kind → (whose age counts, statement that removes at most :batch rows older than :before, oldest first)
_STATEMENTS: Mapping[str, tuple[str, str]] = {
    "logs": (
        "logs",
        """
        DELETE FROM job_exe_log WHERE job_exe_id IN (
            SELECT job_exe_id FROM job_exe_log WHERE created < :before ORDER BY created LIMIT :batch
            FOR UPDATE SKIP LOCKED)
        """,
    ),
    # what a job or recipe hangs on stays, and so does the firing of a file that is catalogued: it must not fire again
    "events": (
        "events",
        """
        DELETE FROM trigger_event WHERE id IN (
            SELECT event.id FROM trigger_event event
            WHERE event.occurred < :before
              AND NOT EXISTS (SELECT 1 FROM job WHERE job.event_id = event.id)
              AND NOT EXISTS (SELECT 1 FROM recipe WHERE recipe.event_id = event.id)
              AND NOT (event.type IN ('INGEST', 'PARSE') AND EXISTS (
                  SELECT 1 FROM scale_file file
                  WHERE file.id = CAST(event.description ->> 'file_id' AS bigint) AND NOT file.is_deleted))
            ORDER BY event.occurred LIMIT :batch
            FOR UPDATE SKIP LOCKED)
        """,
    ),
    # the only way past the trigger that refuses every change of the audit (migration 0021)
    "audit": ("audit", "SELECT remove_old_audit(:before, :batch)"),
    "load": (
        "load",
        """
        DELETE FROM job_load WHERE id IN (
            SELECT id FROM job_load WHERE measured < :before ORDER BY measured LIMIT :batch FOR UPDATE SKIP LOCKED)
        """,
    ),
} | {
    table: (
        "metrics",
        f"""
        DELETE FROM {table} WHERE id IN (
            SELECT id FROM {table} WHERE occurred < CAST(:before AS date) ORDER BY occurred LIMIT :batch
            FOR UPDATE SKIP LOCKED)
        """,  # noqa: S608 # names of this file only
    )
    for table in ("metrics_job_type", "metrics_ingest", "metrics_error")
}
KINDS = tuple(_STATEMENTS)


def remove(session: Session, kind: str, days: Mapping[str, float], now: datetime, batch: int = BATCH) -> int:
    """Remove one batch of one of KINDS; how many rows went. Fewer than `batch` means that no more are old enough.

    `days` says after how many days rows go: logs, events, metrics, load, audit; 0 keeps them for ever.
    """
    age, statement = _STATEMENTS[kind]
    if not days[age]:
        return 0
    values = {"before": now - timedelta(days=days[age]), "batch": batch}
    done = cast("CursorResult[Any]", session.execute(text(statement), values))
    return int(done.scalar_one()) if done.returns_rows else done.rowcount
