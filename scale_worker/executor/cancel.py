"""Stopping what runs: by the framework's kill, by a job's timeout, by the end of the executor."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

from scale_worker.executor.failures import Killed

KILLED = "killed"
TIMEOUT = "timeout"
DISK = "disk"  # more output than was scheduled
# A killed task must be gone within two seconds, the engine's own delays included.
_GRACE_S = {KILLED: 1.0, TIMEOUT: 2.0, DISK: 0.0}
_COMPACT_AT = 1000

log = logging.getLogger(__name__)


class Alarm:
    """One call to make at a time; `cancel` makes it none."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Watchdog:
    """Makes calls after a delay: one sleeping thread for all executions.

    Each call gets a thread of its own: stopping a container may hang with its engine, and must hold up no other stop.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()
        self._compact_at = _COMPACT_AT
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def after(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        alarm = Alarm(call)
        entry = (time.monotonic() + delay_s, next(self._numbers), alarm)
        with self._changed:
            heapq.heappush(self._heap, entry)
            if len(self._heap) > self._compact_at:
                self._compact()
            if self._heap[0] is entry:
                self._changed.notify()
        return alarm

    def _compact(self) -> None:
        """Forget cancelled alarms: with long timeouts and short jobs they are nearly all of the heap."""
        self._heap = [entry for entry in self._heap if entry[2].call is not None]
        heapq.heapify(self._heap)
        self._compact_at = max(_COMPACT_AT, 2 * len(self._heap))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._heap or self._heap[0][0] > time.monotonic():
                    self._changed.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                call = heapq.heappop(self._heap)[2].call
            if call is not None:
                threading.Thread(target=_logged, args=[call], name="stop", daemon=True).start()


def _logged(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        log.exception("a stop failed")


class Cancellation:
    """The wish that one execution end. The first reason wins.

    While something runs, `attach` holds how to stop it: stop(False) politely, stop(True) for good after the grace.
    `stop` is called from other threads, and must do nothing when what it stops has ended.
    """

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._stop: Callable[[bool], None] | None = None
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            stop = self._stop
        if stop is not None:
            self._begin(stop, reason)

    def request_after(self, delay_s: float, reason: str) -> Alarm:
        return self._watchdog.after(delay_s, lambda: self.request(reason))

    def attach(self, stop: Callable[[bool], None]) -> None:
        with self._lock:
            self._stop = stop
            reason = self.reason
        if reason is not None:
            self._begin(stop, reason)

    def detach(self) -> None:
        with self._lock:
            self._stop = None

    def check(self) -> None:
        """Raise Killed if the framework asked for it."""
        if self.reason == KILLED:
            raise Killed("killed by request of the framework")

    def _begin(self, stop: Callable[[bool], None], reason: str) -> None:
        self._watchdog.after(0, lambda: stop(False))
        self._watchdog.after(_GRACE_S[reason], lambda: self._force(stop))

    def _force(self, stop: Callable[[bool], None]) -> None:
        if self._stop is stop:
            stop(True)
