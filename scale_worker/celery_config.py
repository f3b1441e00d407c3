"""Celery: queues, routes, and the beat schedule as one table.

Redis carries wake-ups only. Every task takes its work from PostgreSQL and may run twice or never; the sweeps of this
schedule find again what a lost message would have started.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from scale_core.settings import Settings


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
REMOVE_EVERY = 6  # sweeps: whoever deletes files does not wait for the room
TASK_LIMIT_S = 600


def _broker_options(url: str) -> dict[str, Any]:
    if not url.startswith("redis"):
        return {}
    return {"socket_timeout": 10, "socket_connect_timeout": 3, "retry_on_timeout": True, "visibility_timeout": 3600}


def make_app(settings: Settings, include: Sequence[str] = ()) -> Celery:
    """The Celery application for these settings; a worker is to `include` the modules of its tasks."""
    made = Celery("scale", broker=settings.broker_url, include=include)
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
        beat_max_loop_interval=5,
        timezone="UTC",
        worker_hijack_root_logger=False,
        # name, seconds between two messages, seconds (at least those) after which one that nobody took expires
        beat_schedule={
            name: {"task": name, "schedule": period, "options": {"expires": max(period, expires)}}
            for name, period, expires in (
                ("scan-strikes", settings.strike_scan_s, 1.0),
                ("sweep-executions", settings.sweep_s, SWEEP_EXPIRES_S),
                ("remove-files", REMOVE_EVERY * settings.sweep_s, 1.0),
                ("forget-expired", 3600.0, 1.0),
                ("tick-clock", 60.0, 1.0),
            )
        },
    )
    return made
