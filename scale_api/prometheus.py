"""Figures for Prometheus at /metrics-prometheus/: the same whichever API process is asked.

They are read from PostgreSQL, those of Celery from Redis, and those of HTTP from where the API's processes count them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import redis
from flask import Blueprint, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scale_api import http_figures
from scale_api.database import session
from scale_core.queries import telemetry
from scale_core.queries.telemetry import Telemetry
from scale_core.settings import Settings
from scale_core.timestamps import utcnow

REDIS_TIMEOUT_S = 1.0

blueprint = Blueprint("prometheus", __name__)

COUNTED = {
    "rounds": "Rounds of the offer handler that had something to do",
    "launches": "Tasks launched",
    "updates": "Status updates written",
    "offers": "Offers received",
    "declined": "Offers declined",
    "rescinded": "Offers that Mesos took back",
    "calls_failed": "Calls that Mesos did not take",
}


@blueprint.get("/metrics-prometheus/")
def figures() -> Response:
    """Counters of the scheduler start at 0 with each leader, as Prometheus expects of a process that restarts."""
    registry = CollectorRegistry()
    registry.register(
        _Figures(telemetry.telemetry(session(), utcnow()), _tasks(current_app.extensions["scale_settings"]))
    )
    http_figures.register(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _tasks(settings: Settings) -> dict[tuple[str, str, str], float]:
    """By task, state and figure; nothing while Redis is away: it must not keep all other figures from being seen."""
    if not settings.broker_url.startswith("redis"):
        return {}
    try:
        found = {}
        for field, value in _client(settings.broker_url).hgetall(telemetry.TASK_FIGURES).items():
            task, state, figure = str(field).split("|")
            found[task, state, figure] = float(value)
        return found
    except (redis.RedisError, OSError, ValueError):
        return {}


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S, decode_responses=True
    )


class _Figures(Collector):
    def __init__(self, found: Telemetry, tasks: Mapping[tuple[str, str, str], float]) -> None:
        self._found, self._of_tasks = found, tasks

    def collect(self) -> Iterator[Metric]:
        yield from self._jobs()
        yield from self._ingests()
        yield from self._strikes()
        yield from self._scheduler()
        yield from self._tasks()

    def _jobs(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("scale_queue_depth", "Executions that wait", labels=["job_type", "version"])
        oldest = GaugeMetricFamily(
            "scale_queue_longest_seconds", "Age of the oldest execution that waits", labels=["job_type", "version"]
        )
        for each in self._found.queue:
            depth.add_metric([each.job_type, each.version], each.count)
            oldest.add_metric([each.job_type, each.version], each.longest_s)
        ended = GaugeMetricFamily(
            "scale_executions_ended_5m", "Executions that ended in the last 5 minutes", labels=["status", "error"]
        )
        queued = GaugeMetricFamily(
            "scale_queue_time_5m_seconds", "Mean time in the queue of these executions", labels=["status", "error"]
        )
        for end in self._found.ended:
            ended.add_metric([end.status, end.error], end.count)
            queued.add_metric([end.status, end.error], end.queue_s)
        yield from (depth, oldest, ended, queued)
        yield GaugeMetricFamily("scale_executions_running", "Executions that run", self._found.running)

    def _ingests(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("scale_ingests_waiting", "Files not ingested yet", self._found.ingest_waiting)
        yield GaugeMetricFamily(
            "scale_ingest_lag_seconds", "Since the oldest of these files was transferred", self._found.ingest_lag_s
        )

    def _tasks(self) -> Iterator[Metric]:
        ended = CounterMetricFamily("scale_tasks", "Celery tasks that ended", labels=["task", "state"])
        seconds = CounterMetricFamily("scale_task_seconds", "Time that they took", labels=["task", "state"])
        for (task, state, figure), value in self._of_tasks.items():
            (ended if figure == "count" else seconds).add_metric([task, state], value)
        yield from (ended, seconds)

    def _strikes(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily("scale_strike_lag_seconds", "How long its oldest file waits", labels=["strike"])
        errors = GaugeMetricFamily("scale_strike_errors", "Its ingests that are ERRORED", labels=["strike"])
        readable = GaugeMetricFamily("scale_strike_readable", "Whether its directory can be read", labels=["strike"])
        for each in self._found.strikes:
            lag.add_metric([each.strike], each.lag_s)
            errors.add_metric([each.strike], each.errors)
            readable.add_metric([each.strike], each.is_readable)
        yield from (lag, errors, readable)

    def _scheduler(self) -> Iterator[Metric]:
        stats = self._found.stats
        if self._found.heartbeat_s is not None:
            yield GaugeMetricFamily(
                "scale_scheduler_heartbeat_seconds", "Since an offer handler last led", self._found.heartbeat_s
            )
        for name, what in COUNTED.items():
            if name in stats:
                yield CounterMetricFamily(f"scale_scheduler_{name}", what, stats[name])
        if "offers_held" in stats:
            yield GaugeMetricFamily("scale_scheduler_offers_held", "Offers held now", stats["offers_held"])
        rounds = GaugeMetricFamily("scale_scheduler_round_seconds", "Time of recent rounds", labels=["quantile"])
        for name, value in (stats.get("round_s") or {}).items():
            rounds.add_metric([name], value)
        yield rounds
