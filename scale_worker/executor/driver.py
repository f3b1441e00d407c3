"""pymesos' executor driver, made safe: no update is lost, no agent is hammered, nothing raises into it.

The original forgets updates that are not acknowledged, raises while the agent is away, re-subscribes hundreds of
times a second while the agent recovers, and ends for good on any answer but 200.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import re
import socket
import threading
import time
import uuid
from collections import deque
from typing import Any

from http_parser.http import HttpParser
from pymesos import MesosExecutorDriver
from pymesos.utils import parse_duration

PATH = "/api/v1/executor"
CONNECT_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 60.0
FIRST_PAUSE_S = 0.05
_RECEIVE = 256 * 1024
_RECORD = re.compile(rb"(\d+)\n")

log = logging.getLogger(__name__)
logging.getLogger("pymesos").handlers.clear()  # it adds one of its own, and each line would come twice


class Refused(Exception):
    """The agent answered, but not as hoped."""


class ExecutorDriver(MesosExecutorDriver):
    """Keeps every update until it is acknowledged; `executor.shutdown` is called when the agent stays away too long.

    Two threads: one reads events and calls the executor's callbacks, which must return soon; one sends updates.
    """

    executor_info: Any
    framework_info: Any

    def __init__(self, executor: Any) -> None:
        super().__init__(executor)
        self._backoff_max_s = _duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", 2.0)
        self._recovery_timeout_s = _duration("MESOS_RECOVERY_TIMEOUT", 15 * 60.0)
        self._token = os.environ.get("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "")
        self._changed = threading.Condition()
        self._kept: dict[bytes, dict[str, Any]] = {}
        self._outbox: deque[dict[str, Any]] = deque()
        self._subscribed = False
        self._stopping = threading.Event()
        self._events: socket.socket | None = None
        self._threads: list[threading.Thread] = []

    # --- life

    def start(self) -> None:
        self._master = self._new_master
        self._started = True
        self._threads = [
            threading.Thread(target=self._read_events, name="events", daemon=True),
            threading.Thread(target=self._send_updates, name="updates", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._started = False
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
            events = self._events
        if events is not None:
            _hang_up(events)

    def join(self) -> None:
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def flush(self, timeout_s: float) -> bool:
        """Wait until every update has been given to the agent; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._outbox, timeout_s)

    # --- updates

    def sendStatusUpdate(self, status: dict[str, Any]) -> None:
        """Take over an update. Never raises and never blocks on the network."""
        number = uuid.uuid4().bytes
        status = {
            "timestamp": time.time(),
            **status,
            "uuid": base64.b64encode(number).decode(),
            "source": "SOURCE_EXECUTOR",
        }
        with self._changed:
            self._kept[number] = {"status": status}
            self._outbox.append(self._kept[number])
            self._changed.notify_all()

    def _send_updates(self) -> None:
        channel = _Channel(str(self._master), CALL_TIMEOUT_S)
        failures = 0
        while (update := self._next_update()) is not None:
            try:
                code = channel.post(self._request("UPDATE", "update", update))
            except OSError as error:
                code = 0
                log.info("an update did not reach the agent and will be repeated: %s", error)
            if 200 <= code < 300 or code == 400:
                failures = 0
                if code == 400:  # sending it again at once would block all others behind it
                    log.error("the agent refused an update of %s", update["status"]["task_id"]["value"])
                self._sent(update)
            else:
                failures += 1
                self._stopping.wait(self._pause(failures))
        channel.close()

    def _next_update(self) -> dict[str, Any] | None:
        """The oldest update that the agent has not been given since the subscription; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._started or (self._subscribed and self._outbox))
            return self._outbox[0] if self._started else None

    def _sent(self, update: dict[str, Any]) -> None:
        with self._changed:
            if self._outbox and self._outbox[0] is update:  # a new subscription may have taken it already
                self._outbox.popleft()
                if not self._outbox:
                    self._changed.notify_all()

    def on_acknowledged(self, event: dict[str, Any]) -> None:
        with self._changed:
            self._kept.pop(base64.b64decode(event["uuid"]), None)
            # As in Mesos' own library: an agent that acknowledges any update of a task knows the task.
            self.tasks.pop(event["task_id"]["value"], None)

    @property
    def is_settled(self) -> bool:
        """Whether the agent has acknowledged all updates, and waits for none."""
        with self._changed:
            return self._subscribed and not self._kept and not self.tasks

    def sendFrameworkMessage(self, data: str) -> None:
        """Tell the scheduler something that may get lost. Never raises; waits for the agent a while."""
        with self._changed:
            if not self._subscribed:
                return
        channel = _Channel(str(self._master), CONNECT_TIMEOUT_S)
        try:
            content = {"data": base64.b64encode(data.encode()).decode()}
            channel.post(self._request("MESSAGE", "message", content))
        except OSError as error:
            log.info("a message did not reach the agent: %s", error)
        finally:
            channel.close()

    # --- events

    def gen_request(self) -> bytes:
        """SUBSCRIBE with all that is not acknowledged; what is in it need not be sent again."""
        with self._changed:
            self._outbox.clear()
            subscribe = {
                "unacknowledged_tasks": list(self.tasks.values()),
                "unacknowledged_updates": list(self._kept.values()),
            }
        return self._request("SUBSCRIBE", "subscribe", subscribe, "Connection: close\r\n")

    def on_subscribed(self, info: dict[str, Any]) -> None:
        first = self.executor_info is None
        self.executor_info, self.framework_info = info.get("executor_info") or {}, info.get("framework_info") or {}
        with self._changed:
            self._subscribed = True
            self._changed.notify_all()
        if first:
            self.executor.registered(self, self.executor_info, self.framework_info, info.get("agent_info") or {})
        else:
            self.executor.reregistered(self, info.get("agent_info") or {})

    def on_launch(self, event: dict[str, Any]) -> None:
        task = event["task"]
        with self._changed:
            if task["task_id"]["value"] in self.tasks:
                return
            self.tasks[task["task_id"]["value"]] = task
        self.executor.launchTask(self, task)

    def on_launch_group(self, event: dict[str, Any]) -> None:
        for task in event["task_group"]["tasks"]:
            self.on_launch({"task": task})

    def on_shutdown(self) -> None:
        # The original kills its whole process group after the grace period; our process ends by itself.
        self.executor.shutdown(self)

    def _read_events(self) -> None:
        away_since, failures = time.monotonic(), 0
        while self._started:
            try:
                self._follow_stream()
            except (OSError, Refused) as error:
                log.info("the event stream of agent %s: %s", self._master, error)
            except Exception:
                log.exception("the event stream failed")
            if self._lost():
                away_since, failures = time.monotonic(), 0
            if not self._started:
                return
            if time.monotonic() - away_since > self._recovery_timeout_s:
                log.error("the agent has been away for more than %s s: giving up", self._recovery_timeout_s)
                self.executor.shutdown(self)
                return
            failures += 1
            self._stopping.wait(self._pause(failures))

    def _lost(self) -> bool:
        """After the end of a stream: whether it had been subscribed."""
        with self._changed:
            lost, self._subscribed, self._events = self._subscribed, False, None
        if lost and self._started:
            self.executor.disconnected(self)
            if not self.checkpoint:  # such an agent does not want executors back
                self.executor.shutdown(self)
        return lost

    def _follow_stream(self) -> None:
        with socket.create_connection(_address(str(self._master)), CONNECT_TIMEOUT_S) as stream:
            self._events = stream
            stream.sendall(self.gen_request())
            parser, buffer = HttpParser(), bytearray()
            while data := stream.recv(_RECEIVE):
                if parser.execute(data, len(data)) != len(data):
                    raise Refused("it does not speak HTTP")
                if not parser.is_headers_complete():
                    continue
                if parser.get_status_code() != 200:
                    raise Refused(f"status {parser.get_status_code()} {parser.recv_body()[:200]!r}")
                stream.settimeout(None)
                buffer += parser.recv_body()
                self._take_records(buffer)
                if parser.is_message_complete() or not self._started:
                    return

    def _take_records(self, buffer: bytearray) -> None:
        start = 0
        while match := _RECORD.match(buffer, start):
            end = match.end() + int(match[1])
            if len(buffer) < end:
                break
            self._take_event(bytes(buffer[match.end() : end]))
            start = end
        del buffer[:start]

    def _take_event(self, record: bytes) -> None:
        try:
            self.on_event(json.loads(record))
        except Exception:
            log.exception("an event was not understood: %r", record[:200])

    # --- wire

    def _request(self, kind: str, field: str, content: dict[str, Any], extra: str = "") -> bytes:
        call = {"type": kind, "executor_id": self.executor_id, "framework_id": self.framework_id, field: content}
        body = json.dumps(call, separators=(",", ":")).encode()
        if self._token:
            extra += f"Authorization: Bearer {self._token}\r\n"
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {self._master}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _pause(self, failures: int) -> float:
        """Doubling up to the agent's maximum, with jitter: an agent that restarts meets all its executors at once."""
        longest = min(self._backoff_max_s, FIRST_PAUSE_S * 2 ** min(failures, 16))
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


class _Channel:
    """One kept-alive connection for calls."""

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        self._address = _address(endpoint)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def post(self, request: bytes) -> int:
        """The status of the answer. Raises OSError; a kept connection that turns out closed is opened anew once."""
        kept = self._socket is not None
        try:
            return self._post(request)
        except TimeoutError:
            self.close()
            raise
        except OSError:
            self.close()
            if not kept:
                raise
        return self._post(request)

    def _post(self, request: bytes) -> int:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        parser = HttpParser()
        while not parser.is_message_complete():
            data = self._socket.recv(_RECEIVE)
            if not data or parser.execute(data, len(data)) != len(data):
                raise ConnectionError("the agent closed the connection")
        if parser.get_headers().get("Connection", "").lower() == "close":
            self.close()
        return parser.get_status_code()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _address(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)


def _duration(name: str, default_s: float) -> float:
    text = os.environ.get(name)
    return float(parse_duration(text)) if text else default_s


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed already
