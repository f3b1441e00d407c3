"""Celery's worker: `celery -A scale_worker.celery_app worker`."""

from __future__ import annotations

from functools import cache
from typing import Any

from billiard import current_process
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    task_received,
    worker_before_create_process,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from scale_core import history, logs
from scale_core.db.session import before_forks, make_engine, make_sessions
from scale_core.settings import Settings
from scale_worker.celery_config import TASK_LIMIT_S, QueueName, make_app
from scale_worker.task_figures import TaskFigures
from scale_worker.watchdog import Watchdog

SILENT_S = 60.0


@cache
def settings() -> Settings:
    """This process's settings, read once."""
    return Settings.from_environ()


app = make_app(settings(), include=["scale_worker.tasks"])


@cache
def engine() -> Engine:
    settings().require("database_url")
    return make_engine(settings().database_url, pool_size=2, application_name="scale-worker")


@cache
def sessions() -> sessionmaker[Session]:
    return make_sessions(engine())


@worker_before_create_process.connect
def _share_memory(**_: Any) -> None:
    before_forks()


@worker_process_init.connect
def _forget_parents_connections(**_: Any) -> None:
    """A forked child must not talk over the sockets of its parent."""
    if engine.cache_info().currsize:
        engine().dispose(close=False)


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure("worker", settings().log_level, settings().log_format)
    history.configure("worker", settings().history_dir)


_bound: dict[str, Any] = {}
_figures = TaskFigures(settings().broker_url)
_watchdog = Watchdog(settings().broker_url, [name.value for name in QueueName], SILENT_S, TASK_LIMIT_S)


def _fork() -> int:
    """The number of this process among the worker's forks."""
    return int(getattr(current_process(), "index", 0))


@task_prerun.connect
def _bind_task_id(task_id: str, **_: Any) -> None:
    _watchdog.work(True, _fork())
    _figures.begin(task_id)
    _bound[task_id] = logs.bound(task_id[:8])
    _bound[task_id].__enter__()


@task_postrun.connect
def _unbind_task_id(task_id: str, task: Any = None, state: str | None = None, **_: Any) -> None:
    _watchdog.work(False, _fork())
    _figures.end(task_id, getattr(task, "name", ""), state or "UNKNOWN")
    context = _bound.pop(task_id, None)
    if context is not None:
        context.__exit__(None, None, None)


@worker_ready.connect
def _watch_myself(**_: Any) -> None:
    _watchdog.start()


@worker_shutting_down.connect
def _end_soon(**_: Any) -> None:
    _watchdog.end_soon()


@task_received.connect
def _hear(**_: Any) -> None:
    _watchdog.hear()
