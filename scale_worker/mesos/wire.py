"""Mesos' v1 HTTP as bytes: the records of an event stream, and calls sent many at a time on one connection."""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import orjson

SCHEDULER_PATH = "/api/v1/scheduler"
PIPELINE = 64  # calls under way at once: their requests and answers fit into the sockets' buffers
MAX_RECORD_DIGITS = 20
MAX_LINE = 65536


class Refused(Exception):
    """The master answered with something else than success."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(f"HTTP {status}: {text.strip()[:300]}")


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Records:
    """RecordIO: each record is its length in decimal, a newline, and that many bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The records that are complete now. Raises ValueError when a length is none."""
        self._buffer += data
        start = 0
        while True:
            end = self._buffer.find(b"\n", start, start + MAX_RECORD_DIGITS)
            if end < 0:
                if len(self._buffer) - start >= MAX_RECORD_DIGITS:
                    raise ValueError("the event stream lost its record boundaries")
                break
            length = int(self._buffer[start:end])
            if len(self._buffer) < end + 1 + length:
                break
            yield bytes(self._buffer[end + 1 : end + 1 + length])
            start = end + 1 + length
        del self._buffer[:start]


class Calls:
    """A keep-alive connection for calls. Not for use by two threads at once.

    An idle connection that the master closed is noticed before anything is sent, so that no call is ever sent twice: an
    ACCEPT that is repeated would be answered with TASK_LOST for tasks that run.
    """

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._reader: BufferedReader | None = None

    def send(self, bodies: Sequence[Mapping[str, Any]], headers: Mapping[str, str]) -> list[Answer]:
        """Send the calls in order, up to PIPELINE at a time. Raises OSError; then nobody knows which calls arrived."""
        answers: list[Answer] = []
        try:
            for start in range(0, len(bodies), PIPELINE):
                answers += self._exchange(bodies[start : start + PIPELINE], headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise ConnectionError(f"call to {self.address[0]}:{self.address[1]} failed: {error!r}") from error
        return answers

    def close(self) -> None:
        for part in (self._reader, self._socket):
            if part is not None:
                part.close()
        self._socket = self._reader = None

    def _exchange(self, bodies: Sequence[Mapping[str, Any]], headers: Mapping[str, str]) -> list[Answer]:
        if self._socket is not None and _is_readable(self._socket):
            self.close()  # nothing is expected on an idle connection but its end
        if self._socket is None:
            self._socket = socket.create_connection(self.address, self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._reader = self._socket.makefile("rb")
        head = self._head(headers)
        self._socket.sendall(b"".join(_request(head, body) for body in bodies))
        assert self._reader is not None
        return [_read_answer(self._reader) for _ in bodies]

    def _head(self, headers: Mapping[str, str]) -> bytes:
        """What all requests begin with, up to the length of their bodies."""
        lines = [
            f"POST {SCHEDULER_PATH} HTTP/1.1",
            f"Host: {self.address[0]}:{self.address[1]}",
            "Content-Type: application/json",
            "Accept: application/json",
            *(f"{name}: {value}" for name, value in headers.items()),
            "Content-Length: ",
        ]
        return "\r\n".join(lines).encode()


def _request(head: bytes, body: Mapping[str, Any]) -> bytes:
    data = orjson.dumps(body)
    return b"%b%d\r\n\r\n%b" % (head, len(data), data)


def _is_readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def _read_answer(reader: BufferedReader) -> Answer:
    """One answer. Two are read for each execution, so that of the headers only the body's length is looked at."""
    version, _, rest = reader.readline(MAX_LINE).partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise http.client.BadStatusLine("the master closed the connection" if not version else repr(version))
    length, is_chunked = 0, False
    while (line := reader.readline(MAX_LINE)) not in (b"\r\n", b"\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            raise http.client.HTTPException("the master's answer ends within its headers")
        match name.lower():
            case b"content-length":
                length = int(value)
            case b"transfer-encoding":
                is_chunked = value.strip().lower() == b"chunked"
    body = b"".join(_chunks(reader)) if is_chunked else reader.read(length) if length else b""
    return Answer(int(rest[:3]), body.decode("utf-8", "replace"))


def _chunks(reader: BufferedReader) -> Iterator[bytes]:
    while True:
        length = int(reader.readline(100).split(b";")[0], 16)
        if length:
            yield reader.read(length)
        reader.readline(100)
        if not length:
            return
