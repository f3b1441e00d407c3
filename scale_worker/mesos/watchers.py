"""Threads beside the offer handler's: none decides anything, each only carries news, and each survives all trouble."""

from __future__ import annotations

import base64
import http.client
import logging
import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, Full, Queue, SimpleQueue
from typing import Any

import orjson
import psycopg2
from celery import Celery
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection

from scale_core.db.session import KEEPALIVES, QUEUE_CHANNEL, read_queue_news
from scale_core.domain.task import TaskUpdate
from scale_worker.mesos.messages import QueueChanged, parse_agents
from scale_worker.mesos.wire import Refused

logger = logging.getLogger(__name__)

FINISH_TASK = "finish-executions"
FINISH_QUEUE = "finish"
FINISH_CHUNK = 50
GATHER_S = 0.01  # under load what ends meanwhile shares a message; one that ends alone goes at once
RETRY_S = 2.0
AGENTS_EVERY_S = 10.0
AGENTS_A_SECOND = 100  # a list of thousands takes a while to read and to write down: it is asked for less often
HTTP_TIMEOUT_S = 10.0


def connect(database_url: str, application_name: str) -> connection:
    """A plain connection in autocommit mode that notices a dead server. Raises psycopg2.Error."""
    made = psycopg2.connect(
        database_url.replace("+psycopg2", "", 1),
        connect_timeout=5,
        application_name=application_name,
        **KEEPALIVES,
    )
    made.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
    return made


class Watcher(threading.Thread):
    """A daemon thread that ends when `stopping` is set, and is woken if it waits for work without a clock."""

    def __init__(self, name: str, stopping: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = stopping

    def wake(self) -> None:
        """Look at `stopping`."""


class QueueListener(Watcher):
    """Wakes the handler when something is put on the queue."""

    def __init__(self, database_url: str, inbox: SimpleQueue[Any], stopping: threading.Event) -> None:
        super().__init__("queue listener", stopping)
        self._database_url, self._inbox = database_url, inbox

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._listen()
            except (psycopg2.Error, OSError, ValueError) as error:
                logger.debug("not listening to the queue: %s", error)
                self.stopping.wait(RETRY_S)

    def _listen(self) -> None:
        listening = connect(self._database_url, "scale-queue-listener")
        try:
            with listening.cursor() as cursor:
                cursor.execute(f"LISTEN {QUEUE_CHANNEL}")
            self._inbox.put(QueueChanged())  # whatever came while nobody listened
            while not self.stopping.is_set():
                if select.select([listening], [], [], 1.0)[0]:
                    listening.poll()
                    news = [read_queue_news(notice.payload) for notice in listening.notifies]
                    listening.notifies.clear()
                    if news:
                        self._inbox.put(QueueChanged(None if None in news else min(filter(None, news))))
        finally:
            listening.close()


class AgentWatcher(Watcher):
    """Asks the master for its agents: what of them a framework of our role may use, and who is there."""

    def __init__(
        self,
        master: Callable[[], str | None],
        credentials: tuple[str, str],
        inbox: SimpleQueue[Any],
        stopping: threading.Event,
        role: str = "*",
    ) -> None:
        super().__init__("agent watcher", stopping)
        self._master, self._credentials, self._inbox, self._role = master, credentials, inbox, role

    def run(self) -> None:
        pause_s = AGENTS_EVERY_S
        while not self.stopping.is_set():
            address = self._master()
            try:
                if address:
                    listed = parse_agents(self._ask(address), self._role)
                    self._inbox.put(listed)
                    pause_s = max(AGENTS_EVERY_S, len(listed.agents) / AGENTS_A_SECOND)
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                logger.debug("the master did not list its agents: %r", error)
            self.stopping.wait(pause_s if address else 0.2)

    def _ask(self, address: str) -> dict[str, Any]:
        host, _, port = address.rpartition(":")
        asking = http.client.HTTPConnection(host, int(port), timeout=HTTP_TIMEOUT_S)
        user, secret = self._credentials
        pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
        try:
            asking.request("GET", "/master/slaves", headers={"Authorization": f"Basic {pair}"} if user else {})
            response = asking.getresponse()
            body = response.read()
        finally:
            asking.close()
        if response.status != http.client.OK:
            raise ValueError(f"HTTP {response.status}")
        answer = orjson.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("no object")
        return answer


class Acknowledger(Watcher):
    """Tells Mesos which updates are written down, while the offer handler does the next round.

    What is not sent is no loss: the agent repeats its update, and it is acknowledged then.
    """

    def __init__(self, acknowledge: Callable[[Sequence[TaskUpdate]], None], stopping: threading.Event) -> None:
        super().__init__("acknowledger", stopping)
        self._acknowledge = acknowledge
        self._written: Queue[Sequence[TaskUpdate]] = Queue(maxsize=100)

    def tell(self, updates: Sequence[TaskUpdate]) -> None:
        """Never blocks."""
        try:
            self._written.put_nowait(updates)
        except Full:
            logger.warning("%d updates are acknowledged when they come again: Mesos is slow", len(updates))

    def wake(self) -> None:
        self.tell([])

    def run(self) -> None:
        while not self.stopping.is_set():
            if updates := self._written.get():
                try:
                    self._acknowledge(updates)
                except (OSError, Refused) as error:
                    logger.warning("%d acknowledgements did not reach Mesos: %s", len(updates), error)


class FinishNotifier(Watcher):
    """Tells Celery which executions to finish. What Redis does not take is dropped: the sweep finds it."""

    def __init__(self, app: Celery, stopping: threading.Event) -> None:
        super().__init__("finish notifier", stopping)
        self._app = app
        self._ended: Queue[Sequence[int]] = Queue(maxsize=1000)
        self._sent_at = 0.0

    def tell(self, ended: Sequence[int]) -> None:
        """Never blocks."""
        try:
            self._ended.put_nowait(ended)
        except Full:
            logger.warning("%d executions are left to the sweep", len(ended))

    def wake(self) -> None:
        self.tell([])

    def run(self) -> None:
        while not self.stopping.is_set():
            ended = self._take()
            if ended:
                self.stopping.wait(self._sent_at + GATHER_S - time.monotonic())
                ended += self._take_rest()
                self._sent_at = time.monotonic()
            for start in range(0, len(ended), FINISH_CHUNK):
                if not self._send(ended[start : start + FINISH_CHUNK]):
                    left = len(ended) - start + len(self._take_rest())
                    logger.warning("%d ended executions are left to the sweep", left)
                    break

    def _take(self) -> list[int]:
        """All that is there; waits for the first."""
        return [*self._ended.get(), *self._take_rest()]

    def _take_rest(self) -> list[int]:
        ended: list[int] = []
        with suppress(Empty):
            while True:
                ended += self._ended.get_nowait()
        return ended

    def _send(self, ids: list[int]) -> bool:
        try:
            self._app.send_task(FINISH_TASK, [ids], queue=FINISH_QUEUE, retry=False)
        except Exception as error:  # whatever the broker's client raises
            logger.warning("Celery cannot be told what ended: %s", error)
            return False
        return True
