"""The REST API over HTTP on 200,000 jobs, beside the same rows by hand-written SQL."""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from bench.home import fresh_home
from bench.report import ApiResult, EndpointResult, Spread, say
from bench.rows import migrate
from bench.server import BenchFailed, tree_cpu_s
from scale_core.settings import CHECKOUT
from scale_server import ports, postgres

HERE = Path(__file__).parent
CLIENTS = 4
WARM_UP = 10
START_S = 30.0

Work = Callable[[], None]


@dataclass(frozen=True)
class Endpoint:
    """A request, and the statement of api_floor.sql that reads the same rows (empty: nothing to compare with), of which
    `offset` are skipped."""

    path: str
    floor: str = ""
    offset: int = 0
    method: str = "GET"
    body: dict[str, Any] | None = None


def endpoints(jobs: int) -> list[Endpoint]:
    """What is measured. The ids are those that api_rows.sql makes."""
    data = {"input_data": [{"name": "in", "file_id": 1}], "output_data": [{"name": "out", "workspace_id": 1}]}
    far = max(2, min(1000, jobs // 200))
    return [
        Endpoint("/jobs/", "jobs"),
        Endpoint(f"/jobs/?page={far}", "jobs", 100 * (far - 1)),
        Endpoint("/jobs/?status=FAILED&job_type_name=algorithm-3", "jobs"),
        Endpoint("/jobs/?order=-last_modified", "jobs"),
        Endpoint(f"/jobs/{jobs // 2}/"),
        Endpoint("/job-executions/", "executions"),
        Endpoint(f"/job-executions/?page={far}", "executions", 100 * (far - 1)),
        Endpoint("/products/", "products"),
        Endpoint("/sources/", "sources"),
        Endpoint("/ingests/", "ingests"),
        Endpoint("/job-types/status/", "job_type_status"),
        Endpoint("/nodes/status/", "node_status"),
        Endpoint("/metrics/job-types/plot-data/?column=completed_count&column=failed_count&column=total_count"
                 "&column=run_time_max&column=run_time_min", "plot_data"),
        Endpoint("/load/", "load"),
        Endpoint("/ingests/status/", "ingest_status"),
        Endpoint("/queue/status/", "queue_status"),
        Endpoint("/queue/new-job/", method="POST", body={"job_type_id": 0, "job_data": data}),
    ]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs in the database (default 200,000)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each request is repeated (default 2)")
    parser.add_argument("--only", default="", help="measure only paths that contain this")


def measure(options: argparse.Namespace) -> ApiResult:
    """Run the benchmark. Raises BenchFailed."""
    if options.jobs < 2000:
        raise BenchFailed("--jobs: at least 2000, of which 1400 wait or run")
    load = os.getloadavg()
    with fresh_home() as home:
        url = postgres.start(home)
        say(f"making {options.jobs} jobs ({home})")
        began = time.monotonic()
        job_type = fill(url, options.jobs)
        say(f"made in {time.monotonic() - began:.0f} s")
        floors = _floors()
        with serve(home, url) as (port, process):
            measured = []
            for endpoint in endpoints(options.jobs):
                if options.only not in endpoint.path:
                    continue
                if endpoint.body:
                    endpoint.body["job_type_id"] = job_type
                measured.append(_endpoint(endpoint, port, process, url, home, floors, options.seconds))
                say(f"  {measured[-1]}")
    return ApiResult(options.jobs, CLIENTS, measured, load=tuple(round(value, 2) for value in load))


def fill(url: str, jobs: int) -> int:
    """Migrate, seed and add the rows; the id of a job type."""
    migrate(url)
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute((HERE / "api_rows.sql").read_text(), {"jobs": jobs})
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("SELECT min(id) FROM job_type WHERE name LIKE 'algorithm-%'")
            found = cursor.fetchone()
    finally:
        connection.close()
    assert found is not None
    return int(found[0])


@contextmanager
def serve(home: Path, url: str) -> Iterator[tuple[int, psutil.Process]]:
    """gunicorn as the Procfile starts it."""
    port = ports.free_port()
    environment = {**os.environ, "SCALE_DATABASE_URL": url, "SCALE_HOME": str(home), "SCALE_LOG_LEVEL": "WARNING"}
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"{ports.HOST}:{port}", "--workers", "2", "--threads", "4"]
    with (home / "api.out").open("wb") as output:
        process = subprocess.Popen(
            [*gunicorn, "--access-logfile", os.devnull, "--no-control-socket", "scale_api:create_app()"],
            cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchFailed(f"the API does not start:\n{(home / 'api.out').read_text()[-2000:]}")
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(START_S)


def _answers(port: int) -> bool:
    try:
        requester(port, Endpoint("/version/"))()
    except (OSError, http.client.HTTPException):
        return False
    return True


def _endpoint(
    endpoint: Endpoint, port: int, api: psutil.Process, url: str, home: Path, floors: dict[str, str], seconds: float
) -> EndpointResult:
    repeat([requester(port, endpoint) for _ in range(CLIENTS)], min(0.2, seconds))
    floor = None
    if endpoint.floor:
        offset = f"OFFSET {endpoint.offset}" if endpoint.offset else ""
        floor = _floor(url, f"{floors[endpoint.floor]} {offset}", seconds / 2)
    one = repeat([requester(port, endpoint)], seconds)
    before = _cpu_s(api, home)
    many = repeat([requester(port, endpoint) for _ in range(CLIENTS)], seconds)
    used = _cpu_s(api, home) - before
    return EndpointResult(
        endpoint.method + " " + endpoint.path.partition("&column")[0],
        rate=round(len(one) / sum(one), 1),
        times=Spread.of(one),
        rate_of_many=round(len(many) / seconds, 1),
        times_of_many=Spread.of(many),
        rate_per_core=round(len(many) / used, 1),
        floor=Spread.of(floor) if floor else None,
    )


def repeat(works: list[Work], seconds: float) -> list[float]:
    """How long each repetition took, by one thread for each piece of work."""
    times: list[list[float]] = [[] for _ in works]
    errors: list[Exception] = []

    def run(work: Work, own: list[float]) -> None:
        try:
            for _ in range(min(WARM_UP, int(10 * seconds))):
                work()
            barrier.wait()
            deadline = time.perf_counter() + seconds
            while (began := time.perf_counter()) < deadline:
                work()
                own.append(time.perf_counter() - began)
        except Exception as error:
            errors.append(error)
            barrier.abort()

    barrier = threading.Barrier(len(works))
    threads = [threading.Thread(target=run, args=pair) for pair in zip(works, times, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if real := [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]:
        raise real[0]
    return list(itertools.chain.from_iterable(times))


def requester(port: int, endpoint: Endpoint) -> Work:
    """Sends the request over one connection that stays open. Raises BenchFailed for an error status."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=60)
    body = json.dumps(endpoint.body) if endpoint.body else None
    headers = {"Content-Type": "application/json"} if endpoint.body else {}

    def request() -> None:
        connection.request(endpoint.method, endpoint.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise BenchFailed(f"{endpoint.method} {endpoint.path}: {response.status} {content[:500]!r}")

    return request


def _floor(url: str, statement: str, seconds: float) -> list[float]:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:

            def read() -> None:
                cursor.execute(statement)
                cursor.fetchall()

            return repeat([read], seconds)
    finally:
        connection.close()


def _floors() -> dict[str, str]:
    """The statements of api_floor.sql by name."""
    pieces = (HERE / "api_floor.sql").read_text().split("\n-- ")[1:]
    return {name: statement for name, _, statement in (piece.partition(" --\n") for piece in pieces)}


def _cpu_s(api: psutil.Process, home: Path) -> float:
    """CPU seconds that gunicorn and PostgreSQL have used so far."""
    pid = postgres.pid_of(home)
    return sum(tree_cpu_s(process) for process in (api, psutil.Process(pid) if pid else None) if process)
