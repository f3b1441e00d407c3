"""The clock: once a minute the rules that are due fire, and the jobs that they queued are run."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy.orm import Session

from scale_core.db.session import transaction
from scale_core.errors import Invalid
from scale_core.services import clock
from scale_core.timestamps import utcnow
from scale_worker import workspace_sizes
from scale_worker.celery_app import app, sessions, settings
from scale_worker.tasks import housekeeping

logger = logging.getLogger(__name__)


@app.task(name="tick-clock")
def tick_clock() -> None:
    """Fire what is due, then run what waits: also what an earlier tick left behind, and what people requeued."""
    with transaction(sessions()) as session:
        rules = clock.active_rules(session)
    for rule in rules:
        try:
            with transaction(sessions()) as session:
                clock.fire(session, rule, utcnow())
        except Invalid as error:  # a rule that is wrong holds up no other
            logger.error("clock rule %d (%s) cannot fire: %s", rule.id, rule.name, error)
            with transaction(sessions()) as session:
                clock.record_error(session, rule, utcnow(), str(error))
    with transaction(sessions()) as session:
        waiting = clock.waiting(session)
    for job_exe_id in waiting:
        with transaction(sessions()) as session:
            clock.run(session, job_exe_id, utcnow(), utcnow, _OUTSIDE)


def _measure_workspaces(session: Session, inputs: clock.Inputs, now: datetime) -> None:
    workspace_sizes.measure(session, settings())


def _remove_old(session: Session, inputs: clock.Inputs, now: datetime) -> None:
    housekeeping.remove_old(sessions(), now)


_OUTSIDE: dict[str, clock.Run] = {"scale-retention": _remove_old, "scale-workspace-sizes": _measure_workspaces}
