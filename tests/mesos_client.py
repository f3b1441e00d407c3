"""A plain client of the scheduler and executor APIs: calls by http.client, records read from a socket, chunk by chunk."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

EVENT_S = 10.0


class Stream:
    """A subscription: its response's head, and its records as they come."""

    def __init__(self, address: str, path: str, call: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.create_connection((host, int(port)))
        body = json.dumps(call).encode()
        head = {"Host": address, "Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
        lines = [f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in head.items()), f"Content-Length: {len(body)}"]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers = http.client.parse_headers(self._file)
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def id(self) -> str:
        return str(self.headers["Mesos-Stream-Id"])

    def _read(self) -> None:
        """One chunk must be one whole record: `<length>\\n<json>`."""
        try:
            while size := int(self._file.readline().strip() or b"0", 16):
                chunk = self._file.read(size)
                self._file.readline()
                length, _, record = chunk.partition(b"\n")
                if int(length) != len(record):
                    raise ValueError(f"{length!r} announces another length than {len(record)}")
                self.events.put(json.loads(record))
        except (OSError, ValueError) as error:
            self.events.put({"type": "BROKEN", "error": repr(error)})
        self.events.put(None)

    def next(self, kind: str | None = None, timeout: float = EVENT_S) -> dict[str, Any]:
        """The next event, or the next of one type. Raises AssertionError when there is none in time."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                event = self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {kind or 'event'} came; seen: {self.seen}") from None
            if event is None:
                raise AssertionError(f"the stream ended before {kind or 'an event'}; seen: {self.seen}")
            self.seen.append(event)
            if kind is None or event["type"] == kind:
                return event

    def ends(self) -> bool:
        """Does the stream end, after whatever is still to come?"""
        while (event := self.events.get(timeout=EVENT_S)) is not None:
            self.seen.append(event)
        return True

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Framework:
    """A framework on one stream and one keep-alive connection."""

    def __init__(self, master: str, framework_id: str | None = None, **info: Any) -> None:
        self.master = master
        self.info = {"user": "root", "name": "test", "failover_timeout": 60.0, "checkpoint": True, **info}
        call: dict[str, Any] = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.info}}
        if framework_id:
            self.info["id"] = call["framework_id"] = {"value": framework_id}
        self._connection = http.client.HTTPConnection(master)
        self.stream = Stream(master, "/api/v1/scheduler", call)
        self.held: list[dict[str, Any]] = []
        self.id = framework_id or ""

    def registered(self) -> Framework:
        """Wait for SUBSCRIBED."""
        self.id = self.stream.next("SUBSCRIBED")["subscribed"]["framework_id"]["value"]
        return self

    def call(self, kind: str, **parts: Any) -> tuple[int, str]:
        """Send one call; status and body."""
        call = {"type": kind, "framework_id": {"value": self.id}, **parts}
        return self.post(call, {"Mesos-Stream-Id": self.stream.id})

    def post(self, call: Any, headers: dict[str, str]) -> tuple[int, str]:
        body = call if isinstance(call, (str, bytes)) else json.dumps(call)
        self._connection.request("POST", "/api/v1/scheduler", body, {"Content-Type": "application/json", **headers})
        response = self._connection.getresponse()
        return response.status, response.read().decode()

    def offer(self, wanted: Callable[[dict[str, Any]], bool] = bool, timeout: float = EVENT_S) -> dict[str, Any]:
        """The next offer."""
        while True:
            offer = self.stream.next("OFFERS", timeout)["offers"]["offers"][0]
            if wanted(offer):
                return offer

    def accept(
        self, offer: dict[str, Any] | str, *tasks: dict[str, Any], refuse_s: float | None = 0
    ) -> tuple[int, str]:
        """Launch tasks; the agent id is filled in."""
        if isinstance(offer, dict):
            tasks = tuple({"agent_id": offer["agent_id"], **task} for task in tasks)
        offer_id = offer if isinstance(offer, str) else offer["id"]["value"]
        accept: dict[str, Any] = {
            "offer_ids": [{"value": offer_id}],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}],
        }
        if refuse_s is not None:
            accept["filters"] = {"refuse_seconds": refuse_s}
        return self.call("ACCEPT", accept=accept)

    def update(self, acknowledge: bool = True) -> dict[str, Any]:
        """The status of the next update, acknowledged if it must be."""
        status: dict[str, Any] = self.stream.next("UPDATE")["update"]["status"]
        if acknowledge and "uuid" in status:
            assert self.acknowledge(status) == (202, "")
        return status

    def acknowledge(self, status: dict[str, Any]) -> tuple[int, str]:
        parts = {name: status[name] for name in ("agent_id", "task_id", "uuid")}
        return self.call("ACKNOWLEDGE", acknowledge=parts)

    def updates_of(self, task_id: str, acknowledge: bool = True) -> list[dict[str, Any]]:
        """All updates of one task until its last."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["state"] not in {
            "TASK_FINISHED",
            "TASK_FAILED",
            "TASK_KILLED",
            "TASK_LOST",
            "TASK_ERROR",
        }:
            status = self.update(acknowledge)
            if status["task_id"]["value"] == task_id:
                found.append(status)
        return found


def scalar(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def task(task_id: str, command: str | None = None, cpus: Any = 0.1, mem: Any = 32, **fields: Any) -> dict[str, Any]:
    """A TaskInfo without its agent."""
    info: dict[str, Any] = {
        "name": task_id,
        "task_id": {"value": task_id},
        "resources": [scalar("cpus", cpus), scalar("mem", mem)],
    }
    if command is not None:
        info["command"] = {"shell": True, "value": command}
    return {**info, **fields}
