"""What has to be tidied up from time to time."""

from __future__ import annotations

from scale_core.db.session import transaction
from scale_core.services import idempotency
from scale_core.timestamps import utcnow
from scale_worker.celery_app import app, sessions


@app.task(name="forget-idempotency-keys")
def forget_idempotency_keys() -> None:
    with transaction(sessions()) as session:
        idempotency.forget(session, utcnow())
