"""The executor API of a Mesos agent as an executor sees it: hand-written HTTP, one subscription at a time."""

import base64
import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

FRAMEWORK = "framework-1"
EXECUTOR = "executor-1"


class FakeAgent:
    """Listens on a port of its own. Calls arrive in `subscriptions` and `updates`; refuse_... is a status to answer."""

    def __init__(self, port: int = 0) -> None:
        self.subscriptions: queue.Queue[dict[str, Any]] = queue.Queue()
        self.updates: queue.Queue[dict[str, Any]] = queue.Queue()
        self.messages: queue.Queue[str] = queue.Queue()
        self.attempts: list[float] = []
        self.refuse_subscribe: int | None = None
        self.refuse_update: int | None = None
        self.before_update: Callable[[], None] = lambda: None
        self._server = socket.create_server(("127.0.0.1", port), reuse_port=False)
        self.port = self._server.getsockname()[1]
        self._stream: socket.socket | None = None
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def environment(self, sandbox: Any, **more: str) -> dict[str, str]:
        return {
            "MESOS_AGENT_ENDPOINT": self.endpoint,
            "MESOS_FRAMEWORK_ID": FRAMEWORK,
            "MESOS_EXECUTOR_ID": EXECUTOR,
            "MESOS_SANDBOX": str(sandbox),
            "MESOS_DIRECTORY": str(sandbox),
            "MESOS_SLAVE_ID": "agent-1",
            "MESOS_CHECKPOINT": "1",
            "MESOS_RECOVERY_TIMEOUT": "15mins",
            "MESOS_SUBSCRIPTION_BACKOFF_MAX": "200ms",
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "5secs",
            **more,
        }

    def launch(self, task_id: str, data: str) -> None:
        self.event("LAUNCH", launch={"task": {"name": task_id, "task_id": {"value": task_id}, "data": data}})

    def kill(self, task_id: str) -> None:
        self.event("KILL", kill={"task_id": {"value": task_id}})

    def acknowledge(self, update: dict[str, Any]) -> None:
        self.event("ACKNOWLEDGED", acknowledged={"task_id": update["task_id"], "uuid": update["uuid"]})

    def event(self, kind: str, **content: Any) -> None:
        body = json.dumps({"type": kind, **content}).encode()
        record = b"%d\n%s" % (len(body), body)
        assert self._stream is not None
        self._stream.sendall(b"%x\r\n%s\r\n" % (len(record), record))

    def next_update(self, acknowledge: bool = True) -> dict[str, Any]:
        update = self.updates.get(timeout=20)
        if acknowledge:
            self.acknowledge(update)
        return update

    def cut(self) -> None:
        """Close all connections, as an agent that restarts does."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._connections.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # close alone leaves the port to the thread that accepts
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as reader:
                while (call := _read_call(reader)) is not None:
                    if call["type"] == "SUBSCRIBE":
                        self._subscribe(connection, call)
                    elif call["type"] == "MESSAGE":
                        self.messages.put(base64.b64decode(call["message"]["data"]).decode())
                        _answer(connection, 202)
                    else:
                        self._update(connection, call)
        except OSError:
            return

    def _subscribe(self, connection: socket.socket, call: dict[str, Any]) -> None:
        self.attempts.append(time.monotonic())
        if self.refuse_subscribe is not None:
            _answer(connection, self.refuse_subscribe, "Agent has not finished recovery")
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n")
        self._stream = connection
        self.event(
            "SUBSCRIBED",
            subscribed={
                "executor_info": {"executor_id": {"value": EXECUTOR}},
                "framework_info": {"id": {"value": FRAMEWORK}},
                "agent_info": {"hostname": "localhost"},
            },
        )
        self.subscriptions.put(call["subscribe"])

    def _update(self, connection: socket.socket, call: dict[str, Any]) -> None:
        assert call["type"] == "UPDATE"
        assert call["framework_id"] == {"value": FRAMEWORK}
        assert call["executor_id"] == {"value": EXECUTOR}
        self.before_update()
        if self.refuse_update is not None:
            _answer(connection, self.refuse_update, "refused")
            return
        status = call["update"]["status"]
        assert status["source"] == "SOURCE_EXECUTOR"
        assert len(base64.b64decode(status["uuid"])) == 16
        _answer(connection, 202)
        self.updates.put(status)


def _read_call(reader: Any) -> dict[str, Any] | None:
    line = reader.readline()
    if not line:
        return None
    assert line == b"POST /api/v1/executor HTTP/1.1\r\n"
    headers = {}
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    assert headers["content-type"] == "application/json"
    call: dict[str, Any] = json.loads(reader.read(int(headers["content-length"])))
    return call


def _answer(connection: socket.socket, status: int, text: str = "") -> None:
    connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text.encode()))
