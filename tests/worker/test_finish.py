"""Finishing executions that somebody else holds at that moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.job import JobExecution
from scale_core.domain.job import ExecutionStatus
from scale_worker.celery_app import app
from scale_worker.celery_config import TASK_ROUTES
from scale_worker.tasks import execution as tasks
from tests import factories as make
from tests.patience import PATIENCE_S, wait_for


@pytest.fixture
def ended(committed: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two executions whose task has ended; tasks of this process work in the test's database."""
    monkeypatch.setattr(tasks, "sessions", lambda: committed)
    with committed() as session:
        executions = [make.end(session, make.run(session, make.make_job(session))) for _ in range(2)]
        session.commit()
        return [each.id for each in executions]


@pytest.fixture
def holder(committed: sessionmaker[Session], ended: list[int]) -> Iterator[Session]:
    """Holds the first as a repeated status update does, until it is rolled back."""
    with committed() as session:
        session.execute(select(JobExecution.id).where(JobExecution.id == ended[0]).with_for_update())
        yield session
        session.rollback()


def statuses(sessions: sessionmaker[Session], ids: list[int]) -> list[ExecutionStatus]:
    with sessions() as session:
        return list(
            session.scalars(select(JobExecution.status).where(JobExecution.id.in_(ids)).order_by(JobExecution.id))
        )


def test_what_is_held_for_a_moment_is_finished_without_the_sweep(
    committed: sessionmaker[Session], ended: list[int], holder: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "HELD_PAUSES_S", (0.02,) * 1000)
    worker = threading.Thread(target=tasks.finish_executions, args=(ended,))
    worker.start()
    wait_for("the first try", lambda: statuses(committed, ended)[1] is ExecutionStatus.COMPLETED)
    holder.rollback()
    worker.join(PATIENCE_S)
    assert statuses(committed, ended) == [ExecutionStatus.COMPLETED] * 2


def test_what_is_held_for_long_holds_up_no_other(
    committed: sessionmaker[Session], ended: list[int], holder: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tasks.finish_executions(ended)
    assert statuses(committed, ended) == [ExecutionStatus.RUNNING, ExecutionStatus.COMPLETED]
    assert "1 executions are left to the sweep" in caplog.text
    holder.rollback()
    tasks.sweep_executions()
    assert statuses(committed, ended) == [ExecutionStatus.COMPLETED] * 2


def test_the_sweep_waits_behind_nothing_that_it_repairs() -> None:
    """After a crash a worker has much to finish: sweeps that queued behind that expired, one after the other."""
    assert TASK_ROUTES["sweep-executions"] != TASK_ROUTES["finish-executions"]
    sweep = app.conf.beat_schedule["sweep-executions"]
    assert sweep["options"]["expires"] >= 3 * sweep["schedule"]
