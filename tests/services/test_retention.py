"""Retention: the old goes in batches, the young and whatever something hangs on stays."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.account import Audit
from scale_core.db.job import JobExecutionLog, JobLoad
from scale_core.db.metrics import MetricsError, MetricsIngest, MetricsJobType
from scale_core.db.trigger import TriggerEvent
from scale_core.services import error, retention
from tests import factories as make
from tests.conftest import NOW

DAYS = {"logs": 10.0, "events": 10.0, "metrics": 10.0, "load": 10.0, "audit": 10.0}
OLD, YOUNG = NOW - timedelta(days=11), NOW - timedelta(days=9)


def fill(session: Session, moments: list[datetime]) -> None:
    """One row of every kind at each moment."""
    type_ = make.make_no_op_type(session)
    strike = make.make_strike(session, make.make_workspace(session))
    cause = error.by_name(session, "unknown")
    for moment in moments:
        run = make.run(session, make.make_job(session, type_))
        counts = {"pending_count": 0, "queued_count": 0, "running_count": 0, "total_count": 0}
        session.add_all(
            [
                JobExecutionLog(job_exe_id=run.id, stdout=b"", stderr=b"", created=moment),
                JobLoad(job_type_id=type_.id, measured=moment, **counts),
                MetricsJobType(job_type_id=type_.id, occurred=moment.date()),
                MetricsIngest(strike_id=strike.id, occurred=moment.date()),
                MetricsError(error_id=cause.id, occurred=moment.date()),
                TriggerEvent(type="USER", description={}, occurred=moment),
                Audit(occurred=moment, via="open", operation="PATCH /scheduler/", object_type="scheduler"),
            ]
        )
    session.flush()


TIMES = {
    "logs": JobExecutionLog.created,
    "events": TriggerEvent.occurred,
    "load": JobLoad.measured,
    "audit": Audit.occurred,
    "metrics_job_type": MetricsJobType.occurred,
    "metrics_ingest": MetricsIngest.occurred,
    "metrics_error": MetricsError.occurred,
}


@pytest.mark.parametrize("kind", retention.KINDS)
def test_the_old_goes_in_batches_and_the_young_stays(session: Session, kind: str) -> None:
    def rows() -> int:
        return session.scalar(select(func.count()).where(TIMES[kind] < NOW - timedelta(days=8))) or 0

    fill(session, [OLD - timedelta(days=each) for each in range(3)] + [YOUNG])
    before = rows()
    assert [retention.remove(session, kind, DAYS, NOW, batch=2) for _ in range(3)] == [2, 1, 0]
    assert rows() == before - 3 == 1
    assert retention.remove(session, kind, dict.fromkeys(DAYS, 0.0), NOW + timedelta(days=999)) == 0, "0: for ever"


def test_events_stay_as_long_as_something_hangs_on_them(session: Session) -> None:
    job = make.make_job(session, make.make_no_op_type(session))
    job.event.occurred = OLD
    source = make.make_source(session, make.make_workspace(session))
    fired = {"version": "1.0", "file_id": source.id}
    firing = TriggerEvent(type="INGEST", description=fired, firing=f"INGEST:1:{source.id}", occurred=OLD)
    session.add(firing)
    session.flush()
    assert retention.remove(session, "events", DAYS, NOW) == 0
    source.is_deleted = True
    session.flush()
    assert retention.remove(session, "events", DAYS, NOW) == 1
    assert session.scalars(select(TriggerEvent.id)).all() == [job.event_id]
