"""Ends a worker that has fallen silent, so that whatever supervises it starts another; and one that should have ended.

A worker whose connection to Redis breaks while it acknowledges a message may never notice, and never take a message
again (celery 5.7). One that is told to end in the moment in which a fork takes a task forgets that task: nobody reads
its result, and the fork waits half a minute for a reader, or for ever if the result does not fit into the pipe (celery
5.7, billiard 4.3). Nothing is lost by the end of either: every task takes its work from PostgreSQL.
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
LOOK_ENDING_S = 0.5
QUIET_S = 5.0  # a worker that was told to end, and does nothing, has ended by then
TIMEOUT_S = 2.0
EXIT_CODE = 70
FORKS = 256


class Watchdog(threading.Thread):
    """Runs in the worker's main process; its forks say whether they are at work.

    The worker is silent when messages wait and it has taken none for `silent_s` seconds while no fork was at work, or
    for `task_s` more, longer than any task may take. Beat's messages come every few seconds: one that is well is not
    silent. Other brokers than Redis are not asked. `end` gets the exit status.
    """

    def __init__(
        self,
        broker_url: str,
        queues: Sequence[str],
        silent_s: float,
        task_s: float,
        end: Callable[[int], None] | None = None,
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
        self._is_ending = threading.Event()
        self._worked = clock()  # once it is ending

    def hear(self) -> None:
        """A message was taken."""
        self._heard = self._clock()

    def work(self, is_begun: bool, fork: int) -> None:
        """A task begins in the fork of that number, or is over. Who takes the place of a fork takes its number."""
        self._at_work[fork % FORKS] = is_begun

    def end_soon(self) -> None:
        """The worker was told to end: once no fork was at work for QUIET_S, it has."""
        self._worked = self._clock()
        self._is_ending.set()

    def run(self) -> None:
        self.hear()
        while not self.look():
            if self._is_ending.is_set():
                time.sleep(LOOK_ENDING_S)
            else:
                self._is_ending.wait(LOOK_S)

    def look(self) -> bool:
        """Whether the worker had to be ended, and was."""
        return self._look_ending() if self._is_ending.is_set() else self._look_silent()

    def _look_ending(self) -> bool:
        if any(self._at_work):
            self._worked = self._clock()
        if self._clock() - self._worked < QUIET_S:
            return False
        logger.warning("the worker was told to end, runs nothing, and is still there: it is ended")
        self._end(0)
        return True

    def _look_silent(self) -> bool:
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
        self._end(EXIT_CODE)
        return True

    def _waiting(self) -> int:
        """Messages in the queues; none while Redis is away, which is no fault of the worker."""
        if self._redis is None:
            return 0
        try:
            return sum(int(self._redis.llen(queue)) for queue in self._queues)
        except (redis.RedisError, OSError):
            return 0


def end_process(status: int) -> None:
    """End this process and its forks at once: one that hangs does not obey."""
    for thread in Path("/proc/self/task").iterdir():
        for pid in (thread / "children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    os._exit(status)
