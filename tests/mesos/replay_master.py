"""A master that says what a real one was recorded to say, step by step, over real HTTP; and notes what it is told."""

from __future__ import annotations

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 20.0


class ReplayMaster:
    """`subscribe` answers the next SUBSCRIBE, `say` sends a record on its stream, `heard` is the next other call."""

    def __init__(self) -> None:
        self.subscriptions: queue.Queue[dict[str, Any]] = queue.Queue()
        self._answers: queue.Queue[int | None] = queue.Queue()
        self._records: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._calls: queue.Queue[dict[str, Any]] = queue.Queue()
        self._is_streaming = False
        master = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = b'{"version":"1.11.0"}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if call["type"] != "SUBSCRIBE":
                    assert self.headers["Mesos-Stream-Id"] == "stream"
                    master._calls.put(call)
                    self.send_response(202)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                assert "Mesos-Stream-Id" not in self.headers
                master.subscriptions.put(call)
                status = master._answers.get()
                if status != 200:
                    self.send_error(status or 503)
                    return
                self.send_response(200)
                for name, value in (("Transfer-Encoding", "chunked"), ("Mesos-Stream-Id", "stream")):
                    self.send_header(name, value)
                self.end_headers()
                while (record := master._records.get()) is not None:
                    text = json.dumps(record).encode()
                    data = b"%d\n%s" % (len(text), text)
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ReplayMaster:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.put(None)
        self._records.put(None)
        self._server.shutdown()
        self._server.server_close()

    def subscribe(self, status: int) -> dict[str, Any]:
        """End the stream, if there is one, and answer the next SUBSCRIBE, which is returned."""
        if self._is_streaming:
            self._records.put(None)
        self._is_streaming = status == 200
        self._answers.put(status)
        return self.subscriptions.get(timeout=WAIT_S)

    def say(self, event: dict[str, Any]) -> None:
        self._records.put(event)

    def heard(self) -> dict[str, Any]:
        return self._calls.get(timeout=WAIT_S)
