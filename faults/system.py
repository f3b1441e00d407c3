"""A private Scale whose every part can be taken away: its PostgreSQL, Redis and network are ours, not its server's."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg2
import requests

from faults import disk
from faults.clock import Clock
from faults.disk import HangingMount
from faults.proxy import Proxy
from scale_core.domain import history
from scale_core.domain.history import Event
from scale_core.history import TRAP
from scale_core.settings import CHECKOUT
from scale_server import ports, postgres, redis
from scale_server.supervisor import read_procfile

Found = TypeVar("Found")
START_S = 120.0
STOP_S = 60.0
POLL_S = 0.1
MADE_MIB = 512  # each product takes a page and its directories: a thousand faults leave some tens of thousands

# what the command line of each process contains
MARKS = {
    "api": "gunicorn",
    "worker": "scale_worker.celery_app worker",
    "scheduler": "scale_worker.mesos",
    "master": "scale_worker.devcluster",
    "executor": "scale_worker.executor",
}


class FaultsFailed(Exception):
    """The campaign itself cannot go on; the message says why."""


def wait_for(what: str, look: Callable[[], Found], patience_s: float) -> Found:
    """What `look` finds as soon as it is true. Raises FaultsFailed."""
    deadline = time.monotonic() + patience_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise FaultsFailed(f"waited {patience_s:.0f} s for {what}")
        time.sleep(POLL_S)
    return found


class System:
    """Use as a context: started and ready inside, stopped and removed after it.

    `before`: what to put before the command of a process, by its name in the Procfile.
    """

    def __init__(self, before: Mapping[str, str] | None = None, **environment: str) -> None:
        self._before, self._environment = before or {}, environment
        self.home = Path(tempfile.mkdtemp(prefix="scale-faults-"))
        self.clock: Clock | None = None
        self.mount: HangingMount | None = None
        self.broken: list[str] = []  # requests that were answered as no fault may be answered
        self.history = self.home / "history"
        self.notes = self.history / "campaign-0.jsonl"
        self._offsets: dict[Path, int] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def prepare(self, kinds: Collection[str]) -> None:
        """What these kinds of faults need, before the start: clocks that can be set, a disk and a mount of our own."""
        if "clocks-jumped" in kinds:
            self.clock = Clock(self.home / "offset")
            command = f"cd {shlex.quote(str(CHECKOUT))} && exec {self.clock.command} {sys.executable}"
            self._before = {**self._before, "scheduler": self.clock.command, "standby": self.clock.command}
            self._environment["SCALE_EXECUTOR_COMMAND"] = f"{command} -m scale_worker.executor"
        if "disk-full" in kinds:
            self.made.mkdir()
            if not disk.mount_small(self.made, MADE_MIB):
                raise FaultsFailed("disk-full needs the right to mount: run as root, or leave it out by --only")
        if "mount-hung" in kinds:
            self.mount = HangingMount(self.home / "mounted")
            if not self.mount.is_mounted:
                raise FaultsFailed("mount-hung needs root and /dev/fuse: leave it out by --only")

    @property
    def made(self) -> Path:
        """Where the load's products lie."""
        return self.home / "made"

    def __enter__(self) -> System:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        self.history.mkdir()
        self.database_url, broker_url = postgres.start(self.home), redis.start(self.home)
        cluster = ports.remembered(self.home, ["devcluster", "devcluster-agent", "flower"])
        self.proxy = Proxy(cluster["devcluster"])
        self._devcluster = f"http://{ports.HOST}:{cluster['devcluster']}/devcluster/"
        port = ports.free_port()
        self.address = f"http://{ports.HOST}:{port}/"
        env = {name: value for name, value in os.environ.items() if not name.startswith("SCALE_")} | {
            "SCALE_HOME": str(self.home),
            "SCALE_PORT": str(port),
            "SCALE_DATABASE_URL": self.database_url,
            "SCALE_BROKER_URL": broker_url,
            "SCALE_MESOS_MASTER": f"{ports.HOST}:{self.proxy.port}",
            "SCALE_HISTORY_DIR": str(self.history),
            "SCALE_API_WORKERS": "1",
            "SCALE_DEVCLUSTER_CPUS": "8",
            # what a full disk fails is tried again soon, by nodes that are soon taken back
            "SCALE_RETRY_BASE_S": "0.5",
            "SCALE_RETRY_CAP_S": "3",
            "SCALE_NODE_PROBE_S": "1",
            **self._environment,
        }
        with (self.home / "server.out").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scale_server", "--procfile", str(self._procfile())],
                cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        wait_for("Scale to be ready", self._is_ready, START_S)

    def _procfile(self) -> Path:
        """Ours: a scheduler more, no Flower, and the devcluster, which the server leaves out where a master is set."""
        commands = read_procfile(CHECKOUT / "Procfile", without=["flower"])
        commands["standby"] = commands["scheduler"]
        commands["master"] = commands.pop("devcluster")
        path = self.home / "Procfile"
        path.write_text(
            "".join(f"{name}: {self._before.get(name, '')} {command}\n" for name, command in commands.items())
        )
        return path

    def _is_ready(self) -> bool:
        self.check()
        try:
            status = self.request("GET", "status/")
            nodes = self.request("GET", "nodes/")
        except requests.RequestException:
            return False
        return bool(status.ok and status.json()["scheduler"]["is_online"] and nodes.ok and nodes.json()["count"])

    def _stop(self) -> None:
        process = getattr(self, "_process", None)
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            process.kill()
        if self.mount is not None:
            self.mount.close()
        disk.unmount(self.made)
        if hasattr(self, "proxy"):
            self.proxy.close()
        redis.stop(self.home)
        postgres.destroy(self.home)
        shutil.rmtree(self.home, ignore_errors=True)

    def check(self) -> None:
        """Raise FaultsFailed when the server has given up."""
        if self._process.poll() is not None:
            end = (self.home / "server.out").read_text(errors="replace")[-3000:]
            raise FaultsFailed(f"the server ended:\n{end}")

    # ---------------------------------------------------------------------------------------------------------- asking

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, self.address + path, timeout=10, **options)

    def post(self, path: str, body: Any, stopping: Callable[[], bool] = lambda: False) -> Any:
        """The answer, after as many tries as it takes, all under one key. None: told to stop before there was one."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        while not stopping():
            try:
                with requests.Session() as session:
                    session.trust_env = False
                    answer = session.post(self.address + path, json=body, headers=headers, timeout=10)
            except requests.RequestException:
                time.sleep(0.2)
                continue
            if answer.ok:
                return answer.json()
            if answer.status_code == 500:
                self.broken.append(f"POST {path}: {answer.text[:300]}")
            if answer.status_code < 500 and answer.status_code != 409:  # 409: the first try is still being worked on
                raise FaultsFailed(f"POST {path}: {answer.status_code} {answer.text[:1000]}")
            time.sleep(0.2)
        return None

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Raises psycopg2.Error while PostgreSQL is away."""
        with closing(psycopg2.connect(self.database_url, connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall()

    def order(self, path: str, **query: Any) -> None:
        """Have the devcluster lose agents or its master (scale_worker/devcluster/operator_http.py)."""
        answer = self._session.post(self._devcluster + path, params=query, timeout=10)
        if not answer.ok:
            raise FaultsFailed(f"POST /devcluster/{path}: {answer.status_code} {answer.text}")

    def agent(self) -> str:
        """The id of an agent that is up; "" while there is none."""
        try:
            agents = self._session.get(self._devcluster + "agents", timeout=10).json()
        except requests.RequestException:
            return ""
        return next((str(agent["id"]) for agent in agents if agent["state"] == "up"), "")

    # ------------------------------------------------------------------------------------------------------- processes

    def pids(self, name: str) -> list[int]:
        found = []
        for process in psutil.process_iter(["cmdline", "environ", "status"]):
            line, environ = " ".join(process.info["cmdline"] or ()), process.info["environ"] or {}
            sandbox = environ.get("MESOS_DIRECTORY", "/")  # all that tells an executor's home
            ours = environ.get("SCALE_HOME") == str(self.home) or Path(sandbox).is_relative_to(self.home)
            if MARKS[name] in line and ours and "setpriv" not in line and process.info["status"] != "zombie":
                found.append(process.pid)
        return sorted(found)

    def leader(self) -> int:
        """The offer handler that leads: the last one that said so."""
        alive = set(self.pids("scheduler"))
        leading = [event.pid for event in self.events() if event.kind == "leading" and event.pid in alive]
        return leading[-1] if leading else 0

    def standby(self) -> int:
        leader = self.leader()
        return next((pid for pid in self.pids("scheduler") if leader and pid != leader), 0)

    def trap(self, kind: str, patience_s: float = 15.0) -> bool:
        """Kill whoever notes an event of that kind next; False when nobody did."""
        path = self.history / f"{TRAP}{kind}"
        path.touch()
        deadline = time.monotonic() + patience_s
        while path.exists():
            if time.monotonic() > deadline:
                path.unlink(missing_ok=True)
                return False
            time.sleep(POLL_S)
        return True

    # --------------------------------------------------------------------------------------------------------- history

    def note(self, kind: str, **facts: Any) -> None:
        """An event of the campaign itself, among those of the processes."""
        event = {"kind": kind, "at": time.monotonic(), "process": "campaign", "pid": os.getpid(), **facts}
        with self.notes.open("a") as file:
            file.write(json.dumps(event) + "\n")

    _events: list[Event]

    def events(self) -> list[Event]:
        """All that happened so far, in order.

        Nothing that happened since the reading began: its cause may stand in a file that was read before.
        """
        now = time.monotonic()
        fresh: list[bytes] = []
        for path in self.history.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._offsets[path] = self._offsets.get(path, 0) + len(whole)
            fresh += whole.splitlines()
        self._events = sorted([*getattr(self, "_events", []), *history.parse(fresh)], key=lambda event: event.at)
        return [event for event in self._events if event.at <= now]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
