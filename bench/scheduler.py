"""The offer handler against a simulated cluster over Mesos' real API, from QUEUED to COMPLETED.

PostgreSQL (fsync on), Redis, the Celery worker and the offer handler are the ones of production; the agents are
simulated and their tasks end at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from psycopg2.extensions import connection

from bench import decide
from bench.home import fresh_home
from bench.report import SchedulerResult, Spread, say
from bench.rows import ROWS, make_no_op_type, migrate, queue_jobs
from bench.server import BenchFailed, tree_cpu_s
from scale_core.db.session import QUEUE_CHANNEL
from scale_core.settings import CHECKOUT
from scale_server import ports, postgres, redis
from scale_worker.mesos.offer_handler import UPKEEP_IDLE_S

PATIENCE_S = 300.0
LOOK_S = 0.05
WARM_UP = 2000  # jobs, and no more than are measured
TRICKLE_EVERY_S = 0.05
TRICKLE_SHARE = 0.5  # of the rate measured before


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=1000, help="simulated agents of 16 cpus (default 1000)")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs that are measured (default 20,000)")
    parser.add_argument("--backlog", type=int, default=0, help="jobs in the queue at the start, if more than --jobs")
    parser.add_argument("--seconds", type=float, default=10.0, help="of jobs that come steadily (default 10)")
    parser.add_argument("--decide-only", action="store_true", help="decide and commit launches, without HTTP")
    parser.add_argument(
        "--old-snapshot",
        action="store_true",
        help="meanwhile somebody keeps a snapshot from before open, as a backup does (with --decide-only)",
    )


def measure(options: argparse.Namespace) -> SchedulerResult:
    """Run the benchmark. Raises BenchFailed."""
    if options.decide_only:
        return decide.measure(options)
    if options.old_snapshot:
        raise BenchFailed("--old-snapshot needs --decide-only")
    load = os.getloadavg()
    with simulated_scale(options.agents) as scale:
        warm_up = min(WARM_UP, options.jobs)
        scale.queue(warm_up)
        say(f"warming up: {warm_up} jobs ({scale.home})")
        scale.let_go()
        scale.wait_for(warm_up)
        scale.pause()
        waiting = max(options.jobs, options.backlog)
        say(f"queueing {waiting} jobs")
        scale.queue(waiting)
        say("letting them go")
        before = scale.cpu_s()
        began = scale.let_go()
        ended = scale.wait_for(warm_up + options.jobs)
        used = {name: seconds - before[name] for name, seconds in scale.cpu_s().items()}
        memory = scale.memory()
        rounds = scale.rounds()
        rate = options.jobs / (ended - began)
        spare = scale.trickle(rate * TRICKLE_SHARE, options.seconds) if waiting == options.jobs else []
    return SchedulerResult(
        jobs=options.jobs,
        agents=options.agents,
        backlog=waiting,
        decide_only=False,
        wall_s=round(ended - began, 3),
        rate=round(rate, 1),
        in_queue=Spread.of(spare) if spare else None,
        rounds=rounds,
        memory_mib=memory,
        cpu_ms={name: round(1000 * seconds / options.jobs, 3) for name, seconds in used.items()},
        load=tuple(round(value, 2) for value in load),
    )


class SimulatedScale:
    """The processes that matter here, and the database they share."""

    def __init__(self, home: Path, url: str, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        self.home, self._processes = home, processes
        self._database: connection = psycopg2.connect(url)
        self._database.autocommit = True
        self._completed = 0
        self._type = make_no_op_type(url)

    def queue(self, count: int) -> None:
        queue_jobs(self._database, self._type, count)

    def let_go(self) -> float:
        """Returns when, in seconds of the monotonic clock."""
        self.execute("UPDATE scheduler SET is_paused = false")
        self.execute(f"NOTIFY {QUEUE_CHANNEL}")
        return time.monotonic()

    def pause(self) -> None:
        self.execute(
            "INSERT INTO scheduler (id, is_paused) VALUES (1, true) ON CONFLICT (id) DO UPDATE SET is_paused = true"
        )
        time.sleep(1.0)

    def wait_for(self, completed: int) -> float:
        """Wait until so many jobs are COMPLETED; returns when, in seconds of the monotonic clock."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self._check()
            ((found,),) = self.execute("SELECT count(*) FROM job WHERE status = 'COMPLETED'")
            if found >= completed:
                return time.monotonic()
            time.sleep(LOOK_S)
        raise BenchFailed(f"only {found} of {completed} jobs completed in {PATIENCE_S:.0f} s")

    def wait_for_nodes(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.execute("SELECT count(*) FROM node WHERE is_online AND resources ? 'total'")[0][0] < count:
            self._check()
            if time.monotonic() > deadline:
                raise BenchFailed(f"not all of {count} nodes came in {PATIENCE_S:.0f} s")
            time.sleep(LOOK_S)

    def trickle(self, rate: float, during_s: float) -> list[float]:
        """Queue jobs steadily for so long, fewer than could run; how long each waited in the queue, in seconds."""
        say(f"a trickle of {rate:.0f} jobs a second")
        began = time.monotonic()
        ((first,),) = self.execute("SELECT max(id) FROM job_exe")
        done = 0
        while (passed := time.monotonic() - began) < during_s:
            due = int(passed * rate) - done
            if due > 0:
                with self._database.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute(ROWS, {"jobs": due, "job_type_id": self._type})
                    cursor.execute(f"NOTIFY {QUEUE_CHANNEL}")
                    cursor.execute("COMMIT")
                done += due
            time.sleep(TRICKLE_EVERY_S)
        deadline = time.monotonic() + PATIENCE_S
        while self.execute("SELECT 1 FROM queue LIMIT 1") and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        waited = (
            "SELECT extract(epoch FROM started - queued)::float8 FROM job_exe WHERE id > %s AND started IS NOT NULL"
        )
        return [seconds for (seconds,) in self.execute(waited, (first,))]

    def rounds(self) -> Mapping[str, Any]:
        time.sleep(UPKEEP_IDLE_S + 1.0)  # so often the offer handler writes its figures
        ((stats,),) = self.execute("SELECT stats FROM scheduler")
        return stats

    def cpu_s(self) -> dict[str, float]:
        pids = {name: process.pid for name, process in self._processes.items()}
        pids["postgres"] = postgres.pid_of(self.home)
        pids["redis"] = redis.pid_of(self.home)
        return {name: tree_cpu_s(psutil.Process(pid)) for name, pid in pids.items()}

    def memory(self) -> float:
        """MiB that the offer handler holds."""
        return round(psutil.Process(self._processes["scheduler"].pid).memory_info().rss / 2**20, 1)

    def close(self) -> None:
        self._database.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._database.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def _check(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = (self.home / f"{name}.log").read_text(errors="replace")[-3000:]
                raise BenchFailed(f"the {name} ended:\n{log}")


@contextmanager
def simulated_scale(agents: int) -> Iterator[SimulatedScale]:
    with fresh_home() as home:
        started: dict[str, subprocess.Popen[bytes]] = {}
        scale: SimulatedScale | None = None
        try:
            url, broker, port = postgres.start(home), redis.start(home), ports.free_port()
            migrate(url)
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("SCALE_")},
                "SCALE_HOME": str(home), "SCALE_DATABASE_URL": url, "SCALE_BROKER_URL": broker,
                "SCALE_MESOS_MASTER": f"127.0.0.1:{port}", "SCALE_LOG_LEVEL": "WARNING",
            }  # fmt: skip
            commands = {
                "cluster": ["bench.cluster", "--port", str(port), "--agents", str(agents)],
                "beat": ["celery", "-A", "scale_worker.celery_bare", "beat", "-s", str(home / "beat"), "--pidfile="],
                "worker": [
                    "celery",
                    "-A",
                    "scale_worker.celery_app",
                    "worker",
                    "--concurrency",
                    "2",
                    "--loglevel",
                    "WARNING",
                ],
                "scheduler": ["scale_worker.mesos"],
            }
            for name, arguments in commands.items():
                with (home / f"{name}.log").open("wb") as log:
                    started[name] = subprocess.Popen(
                        [sys.executable, "-m", *arguments], cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL,
                        stdout=log, stderr=subprocess.STDOUT,
                    )  # fmt: skip
            scale = SimulatedScale(home, url, started)
            scale.pause()
            scale.wait_for_nodes(agents)
            yield scale
        finally:
            if scale is not None:
                scale.close()
            for process in reversed(started.values()):
                process.send_signal(signal.SIGTERM)
            for process in started.values():
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
            redis.stop(home)
