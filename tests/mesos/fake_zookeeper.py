"""As much of a ZooKeeper server as electing a Mesos master needs: sessions, children, data, and watches on children."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from typing import Any

OK, NO_NODE = 0, -101
EXISTS, GET_DATA, GET_CHILDREN, PING, GET_CHILDREN_2, CLOSE = 3, 4, 8, 11, 12, -11
CREATED, CHILDREN_CHANGED, CONNECTED = 1, 4, 3
STAT = bytes(68)


class FakeZooKeeper:
    """`masters` are the candidates under /mesos, by the number of their node; the lowest leads. The first of all
    makes that path, unless it `has_path` from before."""

    def __init__(self, has_path: bool = True) -> None:
        self._has_path = has_path
        self._masters: dict[int, str] = {}
        self._lock = threading.Lock()
        self._watchers: list[tuple[socket.socket, bytes]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def elect(self, *masters: tuple[int, str]) -> None:
        """These, and no others, are candidates now: (number of the node, host:port)."""
        with self._lock:
            self._masters = dict(masters)
            watchers, self._watchers = self._watchers, []
            change = CHILDREN_CHANGED if self._has_path else CREATED
            self._has_path = True
        for connection, path in watchers:
            event = struct.pack(">iqiii", -1, -1, OK, change, CONNECTED) + _buffer(path)
            with contextlib.suppress(OSError):
                connection.sendall(_buffer(event))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        for connection in (self._server, *self._connections):
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("rb") as reader:
            _read(reader)  # the request for a session
            connection.sendall(_buffer(struct.pack(">iiq", 0, 10_000, 1) + _buffer(bytes(16)) + b"\0"))
            while request := _read(reader):
                xid, kind = struct.unpack(">ii", request[:8])
                error, body = self._answer(connection, kind, request[8:])
                connection.sendall(_buffer(struct.pack(">iqi", xid, 1, error) + body))
                if kind == CLOSE:
                    return

    def _answer(self, connection: socket.socket, kind: int, content: bytes) -> tuple[int, bytes]:
        if kind in {PING, CLOSE}:
            return OK, b""
        (length,) = struct.unpack(">i", content[:4])
        path, watches = content[4 : 4 + length], content[4 + length :] == b"\1"
        with self._lock:
            nodes = {f"json.info_{number:010}": master for number, master in self._masters.items()}
            if watches and (kind in {GET_CHILDREN, GET_CHILDREN_2} or not self._has_path):
                self._watchers.append((connection, path))
            if not self._has_path:
                return NO_NODE, b""
            if kind in {GET_CHILDREN, GET_CHILDREN_2}:
                names = [name.encode() for name in (*nodes, "log_replicas")]
                found = struct.pack(">i", len(names)) + b"".join(map(_buffer, names))
                return OK, found + (STAT if kind == GET_CHILDREN_2 else b"")
            master = nodes.get(path.decode().rpartition("/")[2])
        if master is None and b"json.info_" in path:
            return NO_NODE, b""
        if master is None:
            return OK, (_buffer(b"") if kind == GET_DATA else b"") + STAT
        return OK, (_buffer(json.dumps(_master_info(master)).encode()) if kind == GET_DATA else b"") + STAT


def _master_info(master: str) -> dict[str, Any]:
    host, _, port = master.partition(":")
    address = {"hostname": host, "ip": host, "port": int(port)}
    return {
        "address": address,
        "hostname": host,
        "id": "M",
        "ip": 16777343,
        "pid": f"master@{master}",
        "port": int(port),
    }


def _buffer(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


def _read(reader: Any) -> bytes:
    head = reader.read(4)
    return reader.read(struct.unpack(">i", head)[0]) if len(head) == 4 else b""
