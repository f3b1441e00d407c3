"""A private Scale in a directory of its own, seen through its REST API and through what its processes cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg2
import requests

from bench.home import fresh_home
from scale_core.settings import CHECKOUT
from scale_server import ports, postgres, redis

Found = TypeVar("Found")
START_S = 120.0
STOP_S = 60.0
POLL_S = 0.2
LOOK_S = 0.25
_OPEN = ("PENDING", "QUEUED", "RUNNING")

# what the command line of each process contains; the first that is found counts
_NAMES = {
    "gunicorn": "api",
    "celery_app worker": "worker",
    "celery_bare beat": "beat",
    "celery_bare flower": "flower",
    "scale_worker.mesos": "scheduler",
    "scale_worker.devcluster": "devcluster",
    "scale_worker.flower": "flower",
    "guardian.py": "executor",
    "scale_worker.executor": "executor",
}


class BenchFailed(Exception):
    """Nothing could be measured; the message says why."""


class Server:
    """A running Scale. Every call raises BenchFailed when the API refuses or the server has ended."""

    def __init__(self, home: Path, address: str, process: subprocess.Popen[bytes]) -> None:
        self.home, self._address, self._process = home, address, process
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy for the outside world knows nothing of this machine's loopback

    def get(self, path: str, **query: Any) -> Any:
        return self._request("GET", path, params=query)

    def post(self, path: str, body: Any) -> Any:
        return self._request("POST", path, json=body)

    def patch(self, path: str, body: Any) -> Any:
        return self._request("PATCH", path, json=body)

    def results(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All entries of a list, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(path, page_size=1000, page=1 + len(found) // 1000, order="id", **query)
            found += page["results"]
            if not page["results"] or len(found) >= page["count"]:
                return found

    def wait_for(self, what: str, look: Callable[[], Found], patience_s: float) -> Found:
        deadline = time.monotonic() + patience_s
        while not (found := look()):
            if time.monotonic() > deadline:
                raise BenchFailed(f"waited {patience_s:.0f} s for {what}")
            time.sleep(POLL_S)
        return found

    def is_ready(self) -> bool:
        self._check()
        try:
            status = self.get("status/")
        except BenchFailed:
            return False
        return bool(status["scheduler"]["is_online"] and self.get("nodes/")["count"])

    def parts(self) -> dict[str, list[psutil.Process]]:
        """The processes of each part; `server` is the launcher itself."""
        found: dict[str, list[psutil.Process]] = defaultdict(list)
        for name, pid in (("postgres", postgres.pid_of(self.home)), ("redis", redis.pid_of(self.home))):
            with suppress(psutil.NoSuchProcess):
                found[name] += _tree(psutil.Process(pid)) if pid else []
        launcher, *started = _tree(psutil.Process(self._process.pid))
        found["server"].append(launcher)
        for process in started:
            found[_name(process)].append(process)
        return dict(found)

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds that each part has used so far; `jobs` is what the executor's jobs used."""
        used: dict[str, float] = defaultdict(float)
        for name, processes in self.parts().items():
            for process in processes:
                own, ended = _cpu_s(process)
                used[name] += own
                used["jobs" if name == "executor" else name] += ended
        return dict(used)

    def memory_mib(self) -> dict[str, float]:
        """MiB that the processes of each part hold together (resident, what they share counted for each)."""
        held: dict[str, float] = defaultdict(float)
        for name, processes in self.parts().items():
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    held[name] += process.memory_info().rss / 2**20
        return {name: round(mib, 1) for name, mib in held.items()}

    def wait_until_ended(self, job_type: int, patience_s: float) -> None:
        """Wait until no job of the type is open. The database is asked, not the API, and rarely: looking costs, too."""
        statement = "SELECT NOT EXISTS (SELECT FROM job WHERE job_type_id = %s AND status = ANY (%s))"
        asking = psycopg2.connect(postgres.url(self.home))
        try:
            asking.autocommit = True
            with asking.cursor() as cursor:
                deadline = time.monotonic() + patience_s
                while time.monotonic() < deadline:
                    self._check()
                    cursor.execute(statement, (job_type, list(_OPEN)))
                    if cursor.fetchone() == (True,):
                        return
                    time.sleep(LOOK_S)
        finally:
            asking.close()
        raise BenchFailed(f"waited {patience_s:.0f} s for jobs to end")

    def _request(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._session.request(method, self._address + path, timeout=60, **options)
        except requests.RequestException as error:
            self._check()
            raise BenchFailed(f"{method} /{path}: {error}") from error
        if not response.ok:
            raise BenchFailed(f"{method} /{path}: {response.status_code} {response.text[:2000]}")
        return response.json()

    def _check(self) -> None:
        if self._process.poll() is not None:
            raise BenchFailed(f"the server ended:\n{(self.home / 'server.out').read_text(errors='replace')[-3000:]}")


@contextmanager
def server(**environment: str) -> Iterator[Server]:
    """A fresh Scale that knows none of the caller's SCALE_ variables; stopped and removed at the end."""
    with fresh_home() as home:
        port = ports.free_port()
        given = {name: value for name, value in os.environ.items() if not name.startswith("SCALE_")}
        own = {"SCALE_HOME": str(home), "SCALE_PORT": str(port)}
        with (home / "server.out").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "scale_server"],
                cwd=CHECKOUT, env={**given, **own, **environment}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        running = Server(home, f"http://{ports.HOST}:{port}/", process)
        try:
            running.wait_for("Scale to be ready", running.is_ready, START_S)
            yield running
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def tree_cpu_s(process: psutil.Process) -> float:
    """CPU seconds that a process and all its descendants have used so far."""
    return sum(sum(_cpu_s(each)) for each in _tree(process))


def _tree(process: psutil.Process) -> list[psutil.Process]:
    """A process, then all its descendants."""
    return [process, *process.children(recursive=True)]


def _name(process: psutil.Process) -> str:
    try:
        line = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return "other"
    return next((name for mark, name in _NAMES.items() if mark in line), "other")


def _cpu_s(process: psutil.Process) -> tuple[float, float]:
    """What a process used, and what those of its children used that have ended and that it has waited for."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0, 0.0
    return times.user + times.system, times.children_user + times.children_system
