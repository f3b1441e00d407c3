"""pymesos as Scale uses it: a Scheduler whose callbacks only parse and enqueue, and a driver that survives its master.

pymesos' own driver ends its thread, and may tear the framework down with all its tasks, on an exception in a callback;
re-subscribes without a pause when the master answers 503; waits a day for a hung master; and notices no silence.
"""

from __future__ import annotations

import base64
import functools
import http.client
import logging
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import orjson

from scale_core.domain.task import TaskUpdate
from scale_core.settings import Settings
from scale_worker.mesos.detector import MasterDetector
from scale_worker.mesos.messages import (
    AgentLost,
    Disconnected,
    Event,
    FrameworkError,
    FrameworkRemoved,
    Message,
    OfferRescinded,
    OffersReceived,
    Subscribed,
    parse_offer,
    parse_update,
    parse_usage,
)
from scale_worker.mesos.wire import SCHEDULER_PATH, Answer, Calls, Records, Refused

_sigint = signal.getsignal(signal.SIGINT)
import pymesos  # noqa: E402 - it takes SIGINT for itself at import, so this must stand between the two lines around it

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, _sigint if _sigint is not None else signal.default_int_handler)
for _handler in list(logging.getLogger("pymesos").handlers):
    logging.getLogger("pymesos").removeHandler(_handler)  # else every line appears twice

logger = logging.getLogger(__name__)

CALL_TIMEOUT_S = 10.0
FIRST_HEARTBEAT_S = 15.0  # until SUBSCRIBED says the real interval
MISSED_HEARTBEATS = 3
STABLE_S = 10.0  # a stream that lived this long was no failure
PAUSES_S = (0.05, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
REMOVED = ("Framework has been removed", "Completed framework attempted to re-subscribe")
ZOOKEEPER = ("zk://", "zoo://")
MASTER_PORT = 5050
FAILED_OVER = "Framework failed over"


def framework_info(settings: Settings, framework_id: str | None) -> Message:
    """FrameworkInfo: checkpointing, so that tasks outlive agents; a failover time-out, so that they outlive us."""
    info: Message = {
        "user": "root",
        "name": settings.framework_name,
        "failover_timeout": settings.framework_failover_s,
        "checkpoint": True,
        "hostname": socket.gethostname(),
    }
    if settings.mesos_role != "*":
        info["role"] = settings.mesos_role
    if settings.mesos_principal:
        info["principal"] = settings.mesos_principal
    if framework_id:
        info["id"] = {"value": framework_id}
    return info


def addresses(master: str) -> tuple[str, ...]:
    """The masters of SCALE_MESOS_MASTER as host:port; none when ZooKeeper is to be asked."""
    if master.startswith(ZOOKEEPER):
        return ()
    given = (part.strip() for part in master.split(","))
    return tuple(part if ":" in part else f"{part}:{MASTER_PORT}" for part in given if part)


def _safely(callback: Callable[..., None]) -> Callable[..., None]:
    """No exception may leave a callback: it would end the driver's thread."""

    @functools.wraps(callback)
    def call(*args: Any) -> None:
        try:
            callback(*args)
        except Exception:
            logger.exception("an event of Mesos was not understood and is left out: %s", args[2:])

    return call


class Framework(pymesos.Scheduler):
    """Puts every event, parsed, on the inbox."""

    def __init__(self, inbox: SimpleQueue[Any]) -> None:
        self._inbox = inbox

    @_safely
    def registered(self, driver: Any, framework_id: Message, master_info: Message) -> None:
        self._put(Subscribed(framework_id["value"], master_info["hostname"], master_info["port"]))

    @_safely
    def reregistered(self, driver: Any, master_info: Message) -> None:
        self._put(Subscribed(driver.framework_id, master_info["hostname"], master_info["port"]))

    @_safely
    def disconnected(self, driver: Any) -> None:
        self._put(Disconnected())

    @_safely
    def resourceOffers(self, driver: Any, offers: Sequence[Message]) -> None:
        self._put(OffersReceived(tuple(parse_offer(offer) for offer in offers)))

    @_safely
    def offerRescinded(self, driver: Any, offer_id: Message) -> None:
        self._put(OfferRescinded(offer_id["value"]))

    @_safely
    def statusUpdate(self, driver: Any, update: Message) -> None:
        self._put(parse_update(update))

    @_safely
    def slaveLost(self, driver: Any, agent_id: Message) -> None:
        self._put(AgentLost(agent_id["value"]))

    @_safely
    def executorLost(self, driver: Any, executor_id: Message, agent_id: Message, status: int | None) -> None:
        logger.warning("executor %s on agent %s ended, status %s", executor_id["value"], agent_id["value"], status)

    @_safely
    def inverseOffers(self, driver: Any, offers: Sequence[Message]) -> None:
        pass  # maintenance is not taken part in

    @_safely
    def frameworkMessage(self, driver: Any, executor_id: Message, agent_id: Message, message: str) -> None:
        self._put(parse_usage(agent_id["value"], message))

    @_safely
    def processHeartBeat(self, driver: Any) -> None:
        pass  # the driver watches them by the stream's silence

    @_safely
    def error(self, driver: Any, message: str) -> None:
        is_removed = message.startswith(REMOVED)
        self._put(FrameworkRemoved(message) if is_removed else FrameworkError(message))

    def _put(self, event: Event) -> None:
        self._inbox.put(event)


class _Lane:
    """One connection for calls to the present master, for one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Calls | None = None

    def __enter__(self) -> _Lane:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def to(self, master: str, timeout_s: float) -> Calls:
        host, _, port = master.rpartition(":")
        address = (host, int(port))
        if self._calls is not None and self._calls.address != address:
            self._calls.close()
            self._calls = None
        if self._calls is None:
            self._calls = Calls(address, timeout_s)
        return self._calls


class Driver(pymesos.MesosSchedulerDriver):
    """pymesos' scheduler driver with an event stream and calls of our own. Never tears the framework down."""

    def __init__(
        self,
        scheduler: Framework,
        info: Message,
        master: str,
        principal: str = "",
        secret: str = "",
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        super().__init__(
            scheduler, info, master, implicit_acknowledgements=False, failover=True, timeout=call_timeout_s
        )
        self._call_timeout_s = call_timeout_s
        self._wakeup_fds: tuple[int, int] | None = None
        self._basic_credential: str | None = None
        self._lanes = (_Lane(), _Lane())  # acknowledgements have one to themselves: there are many, and nobody waits
        self.version: str | None = None
        self._masters = addresses(master)
        self._new_master: str | None = None
        self._master: str | None = None
        self._wake = threading.Event()
        self._stream: socket.socket | None = None
        self._refusal = ""
        if principal:
            self._basic_credential = f"Basic {base64.b64encode(f'{principal}:{secret}'.encode()).decode()}"

    def start(self) -> None:
        """Follow the first of the masters, or the one that ZooKeeper names. Raises an error of kazoo's when ZooKeeper
        does not answer."""
        super(pymesos.MesosSchedulerDriver, self).start()  # less its own way to the master
        if self._masters:
            self.change_master(self._masters[0])
        else:
            self.detector = MasterDetector(self.master_uri.partition("://")[2], self)
            self.detector.start()

    def stop(self, failover: bool = True) -> None:
        """Leave; the tasks and the framework stay."""
        super().stop(failover=True)

    def drop(self) -> None:
        """End the event stream; the driver subscribes again."""
        with self._lock:
            stream = self._stream
        if stream is not None:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    def acknowledge(self, updates: Iterable[TaskUpdate]) -> None:
        """Acknowledge all that want it. One that is lost on the way is answered by the same update, again."""
        bodies = [
            self._call(
                "ACKNOWLEDGE",
                acknowledge={
                    "agent_id": {"value": update.agent_id},
                    "task_id": {"value": update.task_id},
                    "uuid": update.uuid,
                },
            )
            for update in updates
            if update.uuid
        ]
        for answer in self._send_all(bodies, lane=1):
            if not answer.is_success:
                logger.warning("an acknowledgement was refused: HTTP %s %s", answer.status, answer.text.strip())

    def kill(self, task_ids: Iterable[str]) -> None:
        """Ask for the end of tasks."""
        self._send_all([self._call("KILL", kill={"task_id": {"value": task_id}}) for task_id in task_ids])

    def reconcile(self, tasks: Sequence[tuple[str, str]]) -> None:
        """Ask for the state of these (task id, agent id); of all that the master knows if there are none."""
        ids = [
            {"task_id": {"value": task_id}, **({"agent_id": {"value": agent_id}} if agent_id else {})}
            for task_id, agent_id in tasks
        ]
        self._send(self._call("RECONCILE", reconcile={"tasks": ids}))

    def launch(self, offer_ids: Iterable[str], tasks: Sequence[Message]) -> None:
        """ACCEPT all offers of one agent for these tasks; what is left of them is offered again at once."""
        offers = [{"value": offer_id} for offer_id in offer_ids]
        self.launchTasks(offers, tasks, filters={"refuse_seconds": 0.0})

    def decline(self, offer_ids: Iterable[str], refuse_s: float) -> None:
        """Give offers back and hear nothing of the like for a while."""
        offers = [{"value": offer_id} for offer_id in offer_ids]
        if offers:
            self.declineOffer(offers, filters={"refuse_seconds": refuse_s})

    def forget_framework(self) -> None:
        """Subscribe as a new framework next time."""
        with self._lock:
            self._framework.pop("id", None)

    def on_subscribed(self, info: Message) -> None:
        silence = MISSED_HEARTBEATS * float(info.get("heartbeat_interval_seconds") or FIRST_HEARTBEAT_S)
        if self._stream is not None:
            self._stream.settimeout(silence)  # silence for so long ends the stream by TimeoutError
        super().on_subscribed(info)

    def on_error(self, event: Message) -> None:
        message = str(event.get("message"))
        self._refusal = message
        if message.startswith(REMOVED):
            self.forget_framework()
        super().on_error({"message": message})

    def on_failure(self, failure: Message) -> None:
        """Mesos knows no exit status of an executor that outlived its agent; pymesos would end the stream over that."""
        super().on_failure({"status": None, **failure})

    def change_master(self, new_master: str | None) -> None:
        with self._lock:
            self._new_master, self.version = new_master, None
        self._notify()

    def _get_version(self, master: str) -> str | None:
        """The master's version, None while it boots: pymesos adds capabilities by it."""
        host, _, port = master.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=self._call_timeout_s)
        try:
            connection.request("GET", "/version", headers=self._headers())
            response = connection.getresponse()
            text = response.read()
            version = str(orjson.loads(text)["version"]) if response.status == http.client.OK else ""
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return None
        finally:
            connection.close()
        numbers = re.match(r"\d+(\.\d+)*", version)
        return numbers.group() if numbers else None

    def _notify(self) -> None:
        self._wake.set()
        self.drop()

    def _run(self) -> None:
        failures = 0
        try:
            while not self.aborted:
                self._wake.clear()
                with self._lock:
                    self._master = master = self._new_master
                if self.aborted:
                    break
                if not master:
                    self._wake.wait(1.0)
                    continue
                lived = self._follow_safely(master)
                if lived == 0.0:
                    self._try_another(master)
                failures = 0 if lived >= STABLE_S and not self._refusal else failures + 1
                if self._refusal.startswith(FAILED_OVER):
                    failures = len(PAUSES_S)  # another scheduler has our id: it must find out, not fight
                self._wake.wait(_pause(failures // max(1, len(self._masters))))
        finally:
            self._close_pipe()

    def _try_another(self, master: str) -> None:
        """The master does not take us: is it the next one of the list? ZooKeeper tells by itself."""
        with self._lock:
            if self._masters and self._new_master == master:
                following = self._masters.index(master) + 1 if master in self._masters else 0
                self._new_master = self._masters[following % len(self._masters)]
                self.version = self.version if self._new_master == master else None

    def _follow_safely(self, master: str) -> float:
        """Follow one event stream to its end; returns how many seconds it lived."""
        self._refusal = ""
        began = time.monotonic()
        reason = "the master ended it"
        try:
            self._follow(master)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = "nothing was heard for too long" if isinstance(error, TimeoutError) else str(error)
        except Refused as error:
            reason = self._refusal = str(error)
            self.sched.error(self, reason)
        except Exception:
            logger.exception("the event stream failed")  # a mistake of ours must not end the thread
        was_connected = self.connected
        self.stream_id = None
        with self._lock:
            self._stream = None
        if was_connected:
            self.on_close()
        if not self.aborted:
            logger.warning("event stream of %s is over: %s", master, self._refusal or reason)
        return time.monotonic() - began if was_connected else 0.0

    def _follow(self, master: str) -> None:
        if self.version is None:
            self.version = self._get_version(master)  # unknown while the master boots
        host, _, port = master.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=self._call_timeout_s)
        try:
            connection.request("POST", SCHEDULER_PATH, self._subscribe_body(), self._headers())
            response = connection.getresponse()
            if response.status == http.client.TEMPORARY_REDIRECT:
                self._redirect(response.getheader("Location") or "")
                return
            if response.status != http.client.OK:
                raise Refused(response.status, response.read(4096).decode("utf-8", "replace"))
            with self._lock:
                self._stream = connection.sock
            if connection.sock is None or self._new_master != master or self.aborted:
                return
            connection.sock.settimeout(MISSED_HEARTBEATS * FIRST_HEARTBEAT_S)
            self.stream_id = response.getheader("Mesos-Stream-Id") or ""  # type: ignore[assignment]
            self._read_events(response)
        finally:
            connection.close()

    def _read_events(self, response: http.client.HTTPResponse) -> None:
        records = Records()
        while data := response.read1(1 << 18):
            for record in records.feed(data):
                self.process_event(orjson.loads(record))

    def _redirect(self, location: str) -> None:
        target = urlsplit(location if "//" in location else f"//{location}").netloc
        if not target:
            raise ValueError("the master redirects to nowhere")
        logger.info("the leading master is %s", target)
        with self._lock:
            self._new_master, self.version = target, None

    def _subscribe_body(self) -> bytes:
        body: Message = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.framework}}
        if "id" in self._framework:
            body["framework_id"] = self._framework["id"]
        return orjson.dumps(body)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return headers | ({"Authorization": self._basic_credential} if self._basic_credential else {})

    def _call(self, kind: str, **content: Any) -> Message:
        return {"type": kind, "framework_id": {"value": self.framework_id}, **content}

    def _send(self, body: Mapping[str, Any], *_: Any, **__: Any) -> Message:
        """One call, as pymesos' own methods make them. Raises OSError, Refused."""
        for answer in self._send_all([body]):
            if not answer.is_success:
                raise Refused(answer.status, answer.text)
        return {}

    def _send_all(self, bodies: Sequence[Mapping[str, Any]], lane: int = 0) -> list[Answer]:
        if not bodies:
            return []
        with self._lanes[lane] as calls:
            stream_id, master = self.stream_id, self.master
            if stream_id is None or not master:
                raise ConnectionError("no master is connected")
            headers = {"Mesos-Stream-Id": stream_id} if stream_id else {}
            if self._basic_credential:
                headers["Authorization"] = self._basic_credential
            return calls.to(master, self._call_timeout_s).send(bodies, headers)

    def _close(self) -> None:
        """pymesos calls this from any thread; the next call closes an out-of-date connection itself."""

    def _shutdown(self) -> None:
        """pymesos would tear the framework down here."""

    def _close_pipe(self) -> None:
        with self._lock:
            for end in self._wakeup_fds or ():
                os.close(end)
            self._wakeup_fds = None


def _pause(failures: int) -> float:
    pause = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
    return pause * random.uniform(0.8, 1.2)  # noqa: S311 - spreads schedulers, hides nothing
