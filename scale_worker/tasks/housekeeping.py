"""What has to be tidied up from time to time."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from scale_core import brokers, patience
from scale_core.db.session import Sessions, transaction
from scale_core.errors import ScaleError
from scale_core.services import file, idempotency, retention, sign_in
from scale_core.services.file import Removal
from scale_core.timestamps import utcnow
from scale_worker.celery_app import app, sessions, settings

logger = logging.getLogger(__name__)

REMOVE_S = 40.0  # the execution that does it is locked meanwhile, and PostgreSQL ends what idles for 60 s
FILES = 100  # that one run removes at most, so that a workspace that hangs holds up little


@app.task(name="remove-files", send_events=False)
def remove_files() -> None:
    """Remove what was deleted from its workspace; what does not work is tried again after a while."""
    with transaction(sessions()) as session:
        due = file.removals(session, FILES, utcnow())
    gone = [removal.file_id for removal in due if _remove(removal)]
    if gone:
        with transaction(sessions()) as session:
            file.removed(session, gone)


def _remove(removal: Removal) -> bool:
    try:
        broker = brokers.broker_for(removal.broker, settings())
        patience.within(f"workspace {removal.workspace_id}", lambda: broker.delete(removal.file_path))
    except ScaleError as error:
        logger.error("the deleted file %d still lies in its workspace: %s", removal.file_id, error)
        return False
    return True


@app.task(name="forget-expired")
def forget_expired() -> None:
    with transaction(sessions()) as session:
        idempotency.forget(session, utcnow())
    with transaction(sessions()) as session:
        sign_in.forget(session, sign_in.Limits.of(settings()), utcnow())


def remove_old(sessions: Sessions, now: datetime) -> None:
    """What only tells of the past goes when it is old, batch by batch, each in a transaction of its own; what is left
    after REMOVE_S goes with the next firing of the clock rule scale-retention."""
    days = {
        "logs": settings().keep_logs_days,
        "events": settings().keep_events_days,
        "metrics": settings().keep_metrics_days,
        "load": settings().keep_load_days,
        "audit": settings().keep_audit_days,
    }
    until = time.monotonic() + REMOVE_S
    for kind in retention.KINDS:
        while time.monotonic() < until:
            with transaction(sessions) as session:
                removed = retention.remove(session, kind, days, now)
            if removed < retention.BATCH:
                break
