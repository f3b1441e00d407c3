"""What Celery's tasks cost, counted in Redis, where every API process finds it for Prometheus.

Figures that a flush of Redis takes begin again at 0, as Prometheus expects of what restarts.
"""

from __future__ import annotations

import logging
import time
from functools import cache

import redis

from scale_core.queries.telemetry import TASK_FIGURES

logger = logging.getLogger(__name__)

TIMEOUT_S = 1.0


class TaskFigures:
    """`begin` and `end` frame a task; neither ever fails."""

    def __init__(self, broker_url: str) -> None:
        self._url = broker_url
        self._began: dict[str, float] = {}

    def begin(self, task_id: str) -> None:
        self._began[task_id] = time.monotonic()

    def end(self, task_id: str, name: str, state: str) -> None:
        began = self._began.pop(task_id, None)
        if began is None or not self._url.startswith("redis"):
            return
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.hincrby(TASK_FIGURES, f"{name}|{state}|count", 1)
                pipeline.hincrbyfloat(TASK_FIGURES, f"{name}|{state}|seconds", round(time.monotonic() - began, 6))
                pipeline.execute()
        except (redis.RedisError, OSError) as error:
            logger.debug("task figures are not counted: %s", error)

    @property
    def _client(self) -> redis.Redis:
        return _client(self._url)


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
