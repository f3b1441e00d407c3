"""Starts the devcluster as a process of its own, for tests that talk to it over HTTP."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]
START_S = 20.0
ECHO_EXECUTOR = f"{sys.executable} {ROOT / 'tests' / 'fixtures' / 'echo_executor.py'}"


@dataclass
class Cluster:
    """A running devcluster; `master` and `agent` are host:port."""

    port: int
    agent_port: int
    work_dir: Path
    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes]

    @property
    def master(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def agent(self) -> str:
        return f"127.0.0.1:{self.agent_port}"

    @property
    def log(self) -> str:
        return (self.work_dir / "devcluster.log").read_text()

    def kill(self) -> None:
        """kill -9: executors live on."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start again on the same ports and directory."""
        self.process = _start(self.port, self.agent_port, self.work_dir, self.arguments)
        _wait(self)

    def order(self, path: str, **query: Any) -> Any:
        """Order a fault; the answer's JSON, if it has any."""
        response = requests.post(f"http://{self.master}/devcluster/{path}", params=query, timeout=10)
        assert response.ok, f"{path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def agents(self) -> list[dict[str, Any]]:
        """id, hostname, port and state of each agent."""
        found: list[dict[str, Any]] = requests.get(f"http://{self.master}/devcluster/agents", timeout=10).json()
        return found

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)


@contextlib.contextmanager
def devcluster(
    work_dir: Path, cpus: float = 4, mem: float = 4096, disk: float = 10000, hostname: str = "node-1", *arguments: str
) -> Iterator[Cluster]:
    """A devcluster on two free ports, for as long as the block runs."""
    port, *_ = free_ports(1)
    agent_port = free_run(next((int(a.partition("=")[2]) for a in arguments if a.startswith("--agents=")), 1))
    options = (f"--cpus={cpus}", f"--mem={mem}", f"--disk={disk}", f"--hostname={hostname}", *arguments)
    work_dir.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(port, agent_port, work_dir, options, _start(port, agent_port, work_dir, options))
    try:
        _wait(cluster)
        yield cluster
    finally:
        if cluster.process.poll() is None:
            cluster.stop()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]


def free_run(count: int) -> int:
    """The first of `count` successive ports that nobody listens on just now."""
    while True:
        (first,) = free_ports(1)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def _start(port: int, agent_port: int, work_dir: Path, options: tuple[str, ...]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scale_worker.devcluster", f"--port={port}", f"--agent-port={agent_port}"]
    with open(work_dir / "devcluster.log", "ab") as log:
        return subprocess.Popen(
            [*command, f"--work-dir={work_dir}", *options], cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ)
        )


def _wait(cluster: Cluster) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"http://{cluster.agent}/health", timeout=5).ok:
                return
        if cluster.process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the devcluster did not start:\n{cluster.log}")
