"""Figures for Prometheus."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from sqlalchemy.orm import Session

from scale_api import create_app
from scale_core.db.ingest import Ingest
from scale_core.db.node import Scheduler
from scale_core.db.queue import Queue
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import ExecutionStatus
from scale_core.services import error, strike
from scale_core.settings import CHECKOUT, Settings
from scale_core.timestamps import utcnow
from scale_worker.task_figures import TaskFigures
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


def test_requests_are_counted_by_route(client: FlaskClient) -> None:
    before = read(client)
    client.get("/jobs/17000000/")
    client.get("/v3/jobs/17000000/")
    client.get("/what/strangers/think/up/")
    client.open("/jobs/", method="BREW")
    after = read(client)
    rose = {key: value - before.get(key, 0.0) for key, value in after.items() if "http" in key[0]}
    assert rose["scale_http_requests_total", "/jobs/<id:job_id>/", "404", "GET"] == 2
    assert rose["scale_http_requests_total", "(none)", "404", "GET"] == 1
    assert rose["scale_http_request_seconds_count", "/jobs/<id:job_id>/", "GET"] == 2
    assert not [key for key in after if "BREW" in key or "strangers" in " ".join(key)]


def test_processes_of_the_api_count_together(tmp_path: Path) -> None:
    """Each in files of its own, as gunicorn's workers do."""
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    count = "from scale_api import http_figures; http_figures.REQUESTS.labels('GET', '/jobs/', 200).inc(2)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], cwd=CHECKOUT, env=environ, check=True)
    show = (
        "from prometheus_client import CollectorRegistry, generate_latest; from scale_api import http_figures;"
        "registry = CollectorRegistry(); http_figures.register(registry); print(generate_latest(registry).decode())"
    )
    told = subprocess.run(
        [sys.executable, "-c", show], cwd=CHECKOUT, env=environ, check=True, capture_output=True, text=True
    )
    assert 'scale_http_requests_total{method="GET",route="/jobs/",status="200"} 4.0' in told.stdout


def test_celery_tasks_are_counted(settings: Settings, sessions: Callable[[], Session], broker_url: str) -> None:
    figures = TaskFigures(broker_url)
    client = create_app(replace(settings, broker_url=broker_url), sessions).test_client()
    before = read(client)
    figures.begin("one")
    figures.end("one", "finish-executions", "SUCCESS")
    figures.end("never begun", "finish-executions", "SUCCESS")
    after = read(client)
    key = "scale_tasks_total", "SUCCESS", "finish-executions"
    assert after[key] - before.get(key, 0.0) == 1
    assert after["scale_task_seconds_total", "SUCCESS", "finish-executions"] >= 0
    away = create_app(replace(settings, broker_url="redis://127.0.0.1:1"), sessions).test_client()
    assert ("scale_executions_running",) in read(away)
    TaskFigures("redis://127.0.0.1:1").end("one", "x", "SUCCESS")


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
