"""No-op jobs through the whole of Scale: queue, offer, launch, executor, status update, finish, COMPLETED."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench import bare
from bench.report import JobsResult, Spread, say
from bench.server import BenchFailed, Server, server
from scale_core.settings import Settings
from scale_core.timestamps import parse_datetime

WARM_UP = 20
AT_ONCE = 64
AT_ONCE_DOCKER = 16
JOB_MEM = 8.0  # MiB
PATIENCE_S = 600.0

# name -> the moments that it lies between; `resumed` is when the queue was let go
PHASES = {
    "queue (resumed -> started)": ("resumed", "started"),
    "launch (started -> pre_started)": ("started", "pre_started"),
    "pre": ("pre_started", "pre_completed"),
    "job": ("job_started", "job_completed"),
    "post": ("post_started", "post_completed"),
    "finish (post_completed -> COMPLETED)": ("post_completed", "completed"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=_positive, default=300, help="jobs that are measured (default 300)")
    parser.add_argument("--docker", action="store_true", help="each job in a container")
    parser.add_argument("--at-once", type=_positive, help="jobs that the node has room for at a time")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be positive")
    return value


def measure(options: argparse.Namespace) -> JobsResult:
    """Run the benchmark. Raises BenchFailed."""
    at_once = options.at_once or (AT_ONCE_DOCKER if options.docker else AT_ONCE)
    image = bare.make_image() if options.docker else None
    load = os.getloadavg()
    settings = Settings.from_environ({})
    cores = os.cpu_count() or 1
    # the node's memory is no limit: only cpus say how many run at once
    mem = {"SCALE_DEVCLUSTER_MEM": str(settings.executor_mem + JOB_MEM * (at_once + 1))}
    say("starting a Scale of its own")
    with server(SCALE_DEVCLUSTER_CPUS=str(cores), **mem) as scale:
        cpus = math.floor((cores - settings.executor_cpus) / at_once * 1000) / 1000
        job_type = scale.post("job-types/", _job_type(cpus, image))["id"]
        say(f"warming up: {WARM_UP} jobs ({scale.home})")
        _run(scale, job_type, WARM_UP)
        bare_before = _bare_rate(options, at_once)
        say(f"queueing {options.count} jobs")
        measured = _run(scale, job_type, options.count)
        bare_after = _bare_rate(options, at_once)
    return JobsResult(
        count=options.count,
        docker=options.docker,
        at_once=at_once,
        wall_s=round(measured.wall_s, 3),
        rate=round(options.count / measured.wall_s, 1),
        bare_rate=round((bare_before + bare_after) / 2, 1),
        phases={name: _spread(measured.moments, *moments) for name, moments in PHASES.items()},
        cpu_ms={name: round(1000 * used / options.count, 2) for name, used in measured.cpu_s.items()},
        load=tuple(round(value, 2) for value in load),
    )


def _bare_rate(options: argparse.Namespace, at_once: int) -> float:
    if options.docker:
        return bare.container_rate(options.count, at_once)
    return bare.spawn_rate(max(options.count, 300), at_once)


def _job_type(cpus: float, image: str | None) -> dict[str, Any]:
    interface = {"version": "1.0", "command": bare.TRUE, "command_arguments": "", "input_data": [], "output_data": []}
    document = {
        "name": "no-op", "version": "1.0", "interface": interface, "max_tries": 1,
        "cpus_required": cpus, "mem_required": JOB_MEM, "disk_out_const_required": 0.0,
    }  # fmt: skip
    return {**document, "docker_image": image} if image else document


@dataclass(frozen=True)
class _Run:
    """`moments` of each job in seconds since 1970, how long all took, and the CPU seconds that each process used."""

    moments: Sequence[Mapping[str, float]]
    wall_s: float
    cpu_s: Mapping[str, float]


def _run(scale: Server, job_type: int, count: int) -> _Run:
    """Queue jobs while the scheduler is paused, then let them go and wait until the last is COMPLETED."""
    scale.patch("scheduler/", {"is_paused": True})
    body = {"job_type_id": job_type, "job_data": {"version": "1.0"}}
    with ThreadPoolExecutor(4) as pool:
        ids = {made["id"] for made in pool.map(lambda _: scale.post("queue/new-job/", body), range(count))}
    say("letting them go")
    before = scale.cpu_s()
    resumed = time.time()
    scale.patch("scheduler/", {"is_paused": False})
    scale.wait_until_ended(job_type, PATIENCE_S)
    used = {name: seconds - before.get(name, 0.0) for name, seconds in scale.cpu_s().items()}
    jobs = {job["id"]: job for job in scale.results("jobs/", job_type_id=job_type) if job["id"] in ids}
    failed = [job for job in jobs.values() if job["status"] != "COMPLETED"]
    if failed:
        raise BenchFailed(f"{len(failed)} of {count} jobs did not complete; the first: {failed[0]['reason']}")
    executions = [exe for exe in scale.results("job-executions/", job_type_id=job_type) if exe["job"]["id"] in ids]
    moments = [_moments(exe, jobs[exe["job"]["id"]], resumed) for exe in executions]
    return _Run(moments, max(each["completed"] for each in moments) - resumed, used)


def _moments(execution: Mapping[str, Any], job: Mapping[str, Any], resumed: float) -> dict[str, float]:
    """Seconds since 1970. A job is COMPLETED from its last change of status on."""
    names = {moment for pair in PHASES.values() for moment in pair} - {"resumed", "completed"}
    moments = {name: parse_datetime(execution[name]).timestamp() for name in names}
    completed = parse_datetime(job["last_status_change"]).timestamp()
    return {**moments, "resumed": resumed, "completed": completed}


def _spread(executions: Sequence[Mapping[str, float]], begin: str, end: str) -> Spread:
    return Spread.of([moments[end] - moments[begin] for moments in executions])
