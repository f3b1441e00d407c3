"""Figures for Prometheus."""

from __future__ import annotations

from datetime import timedelta

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from sqlalchemy.orm import Session

from scale_core.db.ingest import Ingest
from scale_core.db.node import Scheduler
from scale_core.db.queue import Queue
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import ExecutionStatus
from scale_core.services import error, strike
from scale_core.timestamps import utcnow
from tests import factories


def read(client: FlaskClient) -> dict[tuple[str, ...], float]:
    response = client.get("/metrics-prometheus/")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain")
    families = text_string_to_metric_families(response.text)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for each in families for sample in each.samples
    }


def test_figures_tell_what_waits_runs_and_ended(client: FlaskClient, session: Session) -> None:
    now = utcnow()
    type_ = factories.make_no_op_type(session)
    jobs = [factories.make_job(session, type_, now) for _ in range(4)]
    factories.run(session, jobs[0], now=now)
    failed = factories.run(session, jobs[1], now=now)
    failed.queued, failed.ended = now - timedelta(seconds=30), now
    failed.status, failed.error_id = ExecutionStatus.FAILED, error.by_name(session, "timeout").id
    session.flush()
    session.execute(update(Queue).values(queued=now - timedelta(seconds=90)))
    stats = {"rounds": 7, "launches": 3, "offers_held": 2, "round_s": {"p50": 0.25, "p99": 0.5}}
    session.execute(update(Scheduler).values(stats=stats, heartbeat=now))
    session.commit()
    found = read(client)
    label = sorted([type_.name, type_.version])
    assert found["scale_queue_depth", *label] == 2
    assert found["scale_queue_longest_seconds", *label] >= 90
    assert found["scale_executions_running",] == 1
    assert found["scale_executions_ended_5m", "FAILED", "timeout"] == 1
    assert found["scale_queue_time_5m_seconds", "FAILED", "timeout"] == 30
    assert found["scale_scheduler_rounds_total",] == 7
    assert found["scale_scheduler_launches_total",] == 3
    assert found["scale_scheduler_offers_held",] == 2
    assert found["scale_scheduler_round_seconds", "p99"] == 0.5
    assert found["scale_scheduler_heartbeat_seconds",] >= 0


def test_scale_that_has_done_nothing_has_figures_too(client: FlaskClient) -> None:
    found = read(client)
    assert found["scale_executions_running",] == 0
    assert found["scale_ingest_lag_seconds",] == 0
    assert not any(name.startswith("scale_scheduler_rounds") for name, *_ in found)


def test_each_strike_says_whether_it_keeps_up(client: FlaskClient, session: Session) -> None:
    store = factories.make_workspace(session)
    well, stuck = factories.make_strike(session, store), factories.make_strike(session, store)
    strike.record_scan(session, well.id, None, utcnow(), files_seen=1)
    strike.record_scan(session, stuck.id, "the directory /incoming does not answer", utcnow())
    for status, hours in ((IngestStatus.QUEUED, 1), (IngestStatus.ERRORED, 2), (IngestStatus.INGESTED, 3)):
        session.add(
            Ingest(
                file_name=status.value, strike_id=well.id, status=status, transfer_path="/incoming/x",
                bytes_transferred=1, transfer_started=utcnow(), created=utcnow() - timedelta(hours=hours),
            )
        )  # fmt: skip
    session.commit()
    found = read(client)
    assert round(found["scale_strike_lag_seconds", well.name] / 3600, 1) == 1
    assert found["scale_strike_lag_seconds", stuck.name] == 0
    assert [found["scale_strike_errors", each.name] for each in (well, stuck)] == [1, 0]
    assert [found["scale_strike_readable", each.name] for each in (well, stuck)] == [1, 0]
