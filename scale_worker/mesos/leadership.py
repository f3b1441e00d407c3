"""One offer handler leads: it holds an advisory lock of PostgreSQL for as long as its connection lives."""

from __future__ import annotations

import logging
import threading
import zlib
from enum import StrEnum

import psycopg2
from psycopg2.extensions import connection

from scale_worker.mesos.watchers import connect

logger = logging.getLogger(__name__)

LOCK = zlib.crc32(b"offer-handler") | 0x5CA1E << 32
RETRY_S = 1.0


class Standing(StrEnum):
    LEADER = "leader"
    LOST = "lost"  # somebody else leads
    UNKNOWN = "unknown"  # PostgreSQL does not answer, so nobody can take the lead


class Leadership:
    """Not for use by two threads at once."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: connection | None = None

    def wait(self, stopping: threading.Event) -> bool:
        """Wait for the lead; False when told to stop."""
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
            stopping.wait(RETRY_S)
        return False

    def check(self) -> Standing:
        """Take the lead if it is free; whether we have it."""
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
        fresh = connect(self._database_url, "scale-leadership")
        with fresh.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
            row = cursor.fetchone()
        if row and row[0]:
            self._connection = fresh
            return Standing.LEADER
        fresh.close()
        return Standing.LOST
