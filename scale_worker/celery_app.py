"""Celery: queues, routes, and the beat schedule as one table. `celery -A scale_worker.celery_app worker|beat|flower`.

Redis carries wake-ups only. Every task takes its work from PostgreSQL and may run twice or never; the sweeps of this
schedule find again what a lost message would have started.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import cache
from typing import Any

from billiard import current_process
from celery import Celery
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    task_received,
    worker_process_init,
    worker_ready,
)
from kombu import Exchange, Queue
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from scale_core import history, logs
from scale_core.db.session import make_engine, make_sessions
from scale_core.settings import Settings
from scale_worker.task_figures import TaskFigures
from scale_worker.watchdog import Watchdog


class QueueName(StrEnum):
    STRIKE = "strike"  # looking at directories; one stuck mount must not hold up the rest
    FINISH = "finish"  # the end of executions
    CLOCK = "clock"  # everything by the clock


TASK_ROUTES = {
    "scan-strikes": {"queue": QueueName.STRIKE.value},
    "scan-strike": {"queue": QueueName.STRIKE.value},
    "finish-executions": {"queue": QueueName.FINISH.value},
    # not behind what it repairs: where that takes long, no sweep would ever come to its turn before it expires
    "sweep-executions": {"queue": QueueName.CLOCK.value},
}
SWEEP_EXPIRES_S = 30.0
TASK_LIMIT_S = 600
SILENT_S = 60.0


def _broker_options(url: str) -> dict[str, Any]:
    if not url.startswith("redis"):
        return {}
    return {"socket_timeout": 10, "socket_connect_timeout": 3, "retry_on_timeout": True, "visibility_timeout": 3600}


def make_app(settings: Settings) -> Celery:
    """The Celery application for these settings."""
    made = Celery("scale", broker=settings.broker_url, include=["scale_worker.tasks"])
    made.conf.update(
        # the default exchange routes by queue name alone: no bindings in Redis that a flush could lose
        task_queues=[Queue(name.value, Exchange(""), routing_key=name.value) for name in QueueName],
        task_default_queue=QueueName.CLOCK.value,
        task_default_exchange="",
        task_default_routing_key=QueueName.CLOCK.value,
        task_routes=TASK_ROUTES,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        task_time_limit=TASK_LIMIT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_broker_options(settings.broker_url),
        beat_max_loop_interval=1,
        timezone="UTC",
        worker_hijack_root_logger=False,
        # name, seconds between two messages, seconds (at least those) after which one that nobody took expires
        beat_schedule={
            name: {"task": name, "schedule": period, "options": {"expires": max(period, expires)}}
            for name, period, expires in (
                ("scan-strikes", settings.strike_scan_s, 1.0),
                ("sweep-executions", settings.sweep_s, SWEEP_EXPIRES_S),
                ("remove-files", settings.sweep_s, 1.0),
                ("forget-expired", 3600.0, 1.0),
                ("tick-clock", 60.0, 1.0),
            )
        },
    )
    return made


@cache
def settings() -> Settings:
    """This process's settings, read once."""
    return Settings.from_environ()


app = make_app(settings())


@cache
def engine() -> Engine:
    settings().require("database_url")
    return make_engine(settings().database_url, pool_size=2, application_name="scale-worker")


@cache
def sessions() -> sessionmaker[Session]:
    return make_sessions(engine())


@worker_process_init.connect
def _forget_parents_connections(**_: Any) -> None:
    """A forked child must not talk over the sockets of its parent."""
    if engine.cache_info().currsize:
        engine().dispose(close=False)


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    process = next((name for name in ("beat", "flower") if name in sys.argv), "worker")
    logs.configure(process, settings().log_level, settings().log_format)
    history.configure(process, settings().history_dir)


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


@task_received.connect
def _hear(**_: Any) -> None:
    _watchdog.hear()
