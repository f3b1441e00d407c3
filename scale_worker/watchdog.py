"""Ends a worker that has fallen silent, so that whatever supervises it starts another.

A worker whose connection to Redis breaks while it acknowledges a message may never notice, and never take a message
again (celery 5.7). Nothing is lost by its end: every task takes its work from PostgreSQL.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import redis

logger = logging.getLogger(__name__)

LOOK_S = 5.0
TIMEOUT_S = 2.0
EXIT_CODE = 70
FORKS = 256


class Watchdog(threading.Thread):
    """Runs in the worker's main process; its forks say whether they are at work.

    The worker is silent when messages wait and it has taken none for `silent_s` seconds while no fork was at work, or
    for `task_s` more, longer than any task may take. Beat's messages come every second: one that is well is not silent.
    Other brokers than Redis are not asked.
    """

    def __init__(
        self,
        broker_url: str,
        queues: Sequence[str],
        silent_s: float,
        task_s: float,
        end: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._queues, self._silent_s, self._task_s = queues, silent_s, task_s
        self._end, self._clock = end or end_process, clock
        self._redis = (
            redis.Redis.from_url(broker_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
            if broker_url.startswith("redis")
            else None
        )
        # shared with all forks, each of which writes a place of its own: no lock, which one that is killed would keep
        self._at_work = multiprocessing.RawArray("b", FORKS)
        self._heard = clock()

    def hear(self) -> None:
        """A message was taken."""
        self._heard = self._clock()

    def work(self, is_begun: bool, fork: int) -> None:
        """A task begins in the fork of that number, or is over. Who takes the place of a fork takes its number."""
        self._at_work[fork % FORKS] = is_begun

    def run(self) -> None:
        self.hear()
        while not self.look():
            time.sleep(LOOK_S)

    def look(self) -> bool:
        """Whether the worker was silent, and was ended."""
        waiting = self._waiting()
        if waiting == 0:
            self.hear()
            return False
        silence = self._clock() - self._heard
        if silence < self._silent_s + (self._task_s if any(self._at_work) else 0.0):
            return False
        logger.critical(
            "%d messages wait and none was taken for %.0f s: the worker ends, for another one", waiting, silence
        )
        self._end()
        return True

    def _waiting(self) -> int:
        """Messages in the queues; none while Redis is away, which is no fault of the worker."""
        if self._redis is None:
            return 0
        try:
            return sum(int(self._redis.llen(queue)) for queue in self._queues)
        except (redis.RedisError, OSError):
            return 0


def end_process() -> None:
    """End this process and its forks at once: a worker that is silent does not obey, either."""
    for thread in Path("/proc/self/task").iterdir():
        for pid in (thread / "children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    os._exit(EXIT_CODE)
