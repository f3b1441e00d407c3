"""A Docker Engine that stops answering: the execution fails and will be tried again, it does not hang."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scale_worker.executor.cancel import TIMEOUT, Cancellation, Watchdog
from scale_worker.executor.containers import ContainerJob, Engine
from scale_worker.executor.failures import DOCKER_TASK_LAUNCH, Failed
from tests.worker.executions import Bench

CALL_TIMEOUT_S = 0.3


class HangingEngine(ThreadingHTTPServer):
    """Speaks as much of the engine's API as running one container needs; hangs at calls whose path has `hangs_at`."""

    daemon_threads = True

    def __init__(self, hangs_at: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hangs_at = hangs_at
        self.calls: list[str] = []
        self.closing = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HangingEngine

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.calls.append(f"{self.command} {self.path}")
        if self.server.hangs_at in self.path:
            self.server.closing.wait()
        elif "/attach" in self.path:
            self.wfile.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
            self.server.closing.wait()  # a job that says nothing
        elif "/version" in self.path:
            self._answer(200, b'{"ApiVersion": "1.41"}')
        elif "/create" in self.path:
            self._answer(201, b'{"Id": "c0ffee"}')
        else:
            self._answer(204, b"")

    do_POST = do_DELETE = do_GET

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        if code != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hanging_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingEngine]:
    server = HangingEngine(request.param)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()


def job(directory: Path) -> ContainerJob:
    stdout, stderr = directory / "stdout", directory / "stderr"
    stdout.touch()
    stderr.touch()
    return ContainerJob("scale-x", "image", ["/bin/true"], [], {}, {}, [], 0.1, 32.0, False, stdout, stderr)


@pytest.mark.parametrize("hanging_engine", ["/version", "/create", "/attach", "/start"], indirect=True)
def test_a_start_that_hangs_ends(hanging_engine: HangingEngine, tmp_path: Path) -> None:
    engine = Engine(Bench(tmp_path).settings, CALL_TIMEOUT_S)
    with pytest.raises(Failed) as failed:
        engine.run(job(tmp_path), Cancellation(Watchdog()))
    assert failed.value.error == DOCKER_TASK_LAUNCH
    assert hanging_engine.hangs_at in " ".join(hanging_engine.calls)
    removed = [call for call in hanging_engine.calls if call.startswith("DELETE")]
    assert bool(removed) == (hanging_engine.hangs_at in ("/attach", "/start"))


@pytest.mark.parametrize("hanging_engine", ["/kill"], indirect=True)
def test_a_job_that_ran_out_of_time_does_not_wait_for_a_hung_engine(
    hanging_engine: HangingEngine, tmp_path: Path
) -> None:
    engine, cancel = Engine(Bench(tmp_path).settings, CALL_TIMEOUT_S), Cancellation(Watchdog())
    hanging_engine.hangs_at = "/kill"
    cancel.request_after(0.1, TIMEOUT)
    with pytest.raises(Failed) as failed:
        engine.run(job(tmp_path), cancel)
    assert failed.value.error == DOCKER_TASK_LAUNCH
    assert any("/kill" in call for call in hanging_engine.calls)


@pytest.mark.parametrize("hanging_engine", ["/wait"], indirect=True)
def test_a_silent_job_is_waited_for(hanging_engine: HangingEngine, tmp_path: Path) -> None:
    """It has closed its streams and runs on: longer than any call may take, until its time is over."""
    engine, cancel = Engine(Bench(tmp_path).settings, CALL_TIMEOUT_S), Cancellation(Watchdog())
    api = engine.api()
    cancel.request_after(4 * CALL_TIMEOUT_S, TIMEOUT)
    with pytest.raises(Exception, match="timed out"):
        engine._wait(api, "c0ffee", cancel)
    assert cancel.reason == TIMEOUT
    assert len([call for call in hanging_engine.calls if "/wait" in call]) > 1
