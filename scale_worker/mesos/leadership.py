"""One offer handler leads: it holds an advisory lock of PostgreSQL for as long as its connection lives, and is seen to.

The lock says who leads, the epoch in the scheduler row (services.scheduling) what a leader may still do: whoever takes
the lead makes the next one, and every transaction of the one before then fails.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable
from enum import StrEnum

import psycopg2
from psycopg2.extensions import connection

from scale_worker.mesos.watchers import Watcher, connect

logger = logging.getLogger(__name__)

LOCK = zlib.crc32(b"offer-handler") | 0x5CA1E << 32
APPLICATION = "scale-leadership"
HANDLER_APPLICATION = "scale-scheduler"  # the connections of the offer handler's rounds
RETRY_S = 0.5
SHOW_LIFE_S = 1.0  # how often a leader shows on the lock's connection that it lives
SILENCE_S = 3.0  # a leader that was silent for so long is deposed
WEDGED_S = 60.0  # a leader whose rounds do not end shows no life

# By PostgreSQL's clock alone. The connections of its rounds must go too: one may be stopped in a transaction that
# holds rows which its successor needs.
_DEPOSE = """
WITH silent AS MATERIALIZED (
    SELECT activity.pid FROM pg_locks lock JOIN pg_stat_activity activity ON activity.pid = lock.pid
    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
      AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (lock.classid::bigint << 32) | lock.objid::bigint = %(lock)s
      AND activity.query_start < clock_timestamp() - make_interval(secs => %(silence)s)
)
SELECT count(pg_terminate_backend(activity.pid)) FROM pg_stat_activity activity
WHERE EXISTS (SELECT FROM silent) AND activity.datname = current_database() AND activity.pid <> pg_backend_pid()
  AND (activity.pid IN (SELECT pid FROM silent) OR activity.application_name = %(handler)s)
"""


class Standing(StrEnum):
    LEADER = "leader"
    LOST = "lost"  # somebody else leads
    UNKNOWN = "unknown"  # PostgreSQL does not answer, so nobody can take the lead


class Leadership:
    """Not for use by two threads at once."""

    def __init__(self, database_url: str, silence_s: float = SILENCE_S) -> None:
        self._database_url, self._silence_s = database_url, silence_s
        self._connection: connection | None = None

    def wait(self, stopping: threading.Event) -> bool:
        """Wait for the lead; False when told to stop. A leader that shows no life is deposed."""
        said = None
        while not stopping.is_set():
            standing = self.check()
            if standing is Standing.LEADER:
                return True
            if standing is not said:
                logger.info(
                    "waiting: %s",
                    "another offer handler leads" if standing is Standing.LOST else "PostgreSQL does not answer",
                )
                said = standing
            if not (standing is Standing.LOST and self._depose()):
                stopping.wait(RETRY_S)
        return False

    def check(self) -> Standing:
        """Take the lead if it is free, show life if we have it; whether we have it."""
        try:
            if self._connection is not None:
                return self._still()
            return self._take()
        except psycopg2.Error:
            self.resign()
        try:
            return self._take()  # the connection was cut: nobody may have taken the lead meanwhile
        except psycopg2.Error:
            self.resign()
            return Standing.UNKNOWN

    def resign(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _still(self) -> Standing:
        assert self._connection is not None
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return Standing.LEADER

    def _take(self) -> Standing:
        fresh = connect(self._database_url, APPLICATION)
        with fresh.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
            row = cursor.fetchone()
        if row and row[0]:
            self._connection = fresh
            return Standing.LEADER
        fresh.close()
        return Standing.LOST

    def _depose(self) -> bool:
        """End the connections of a leader that has shown no life for too long; whether there was one."""
        parameters = {"lock": LOCK, "silence": self._silence_s, "handler": HANDLER_APPLICATION}
        try:
            asking = connect(self._database_url, APPLICATION)
            try:
                with asking.cursor() as cursor:
                    cursor.execute(_DEPOSE, parameters)
                    row = cursor.fetchone()
            finally:
                asking.close()
        except psycopg2.Error as error:
            logger.debug("nobody can be deposed now: %s", error)
            return False
        if row and row[0]:
            logger.warning("the offer handler that led has shown no life for %g s; it is deposed", self._silence_s)
        return bool(row and row[0])


class Keeper(Watcher):
    """Shows that the leader lives, and notices when it leads no more: then `lost` is set.

    `round_began` tells when the present round of the handler began, seconds of time.monotonic(). A handler whose round
    never ends shows no life: another one takes over.
    """

    def __init__(self, leadership: Leadership, stopping: threading.Event) -> None:
        super().__init__("leadership keeper", stopping)
        self._leadership = leadership
        self.round_began: Callable[[], float] = time.monotonic
        self._in_doubt = threading.Event()
        self.lost = threading.Event()

    def doubt(self) -> None:
        """Look now."""
        self._in_doubt.set()

    def run(self) -> None:
        while not self.stopping.is_set() and not self.lost.is_set():
            self._in_doubt.wait(SHOW_LIFE_S)
            self._in_doubt.clear()
            if self.stopping.is_set() or time.monotonic() - self.round_began() > WEDGED_S:
                continue
            if self._leadership.check() is Standing.LOST:
                self.lost.set()
