"""What has to be tidied up from time to time."""

from __future__ import annotations

import time

from scale_core.db.session import transaction
from scale_core.services import idempotency, retention
from scale_core.timestamps import utcnow
from scale_worker.celery_app import app, sessions, settings

REMOVE_S = 300.0  # a celery task may take 600 s


@app.task(name="forget-idempotency-keys")
def forget_idempotency_keys() -> None:
    with transaction(sessions()) as session:
        idempotency.forget(session, utcnow())


@app.task(name="remove-old")
def remove_old() -> None:
    """What only tells of the past goes when it is old, batch by batch; the next run goes on where this one ended."""
    days = {
        "logs": settings().keep_logs_days,
        "events": settings().keep_events_days,
        "metrics": settings().keep_metrics_days,
        "load": settings().keep_load_days,
    }
    until = time.monotonic() + REMOVE_S
    for kind in retention.KINDS:
        while time.monotonic() < until:
            with transaction(sessions()) as session:
                removed = retention.remove(session, kind, days, utcnow())
            if removed < retention.BATCH:
                break
