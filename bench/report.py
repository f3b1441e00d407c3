"""Results for people, and then for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Spread:
    """Milliseconds: the middle, the slow end, the slowest."""

    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Raises ValueError for none."""
        if not seconds:
            raise ValueError("there is nothing to summarise")
        ordered = sorted(seconds)
        return cls(*(round(1000 * ordered[round(part * (len(ordered) - 1))], 1) for part in (0.5, 0.95, 1.0)))


@dataclass(frozen=True)
class JobsResult:
    """Rates are per second, `cpu_ms` are milliseconds of CPU per job."""

    count: int
    docker: bool
    at_once: int
    wall_s: float
    rate: float
    bare_rate: float
    phases: Mapping[str, Spread]
    cpu_ms: Mapping[str, float]
    bench: str = "jobs"
    load: tuple[float, ...] = ()  # of the machine before: 1, 5 and 15 minutes
    cores: int = os.cpu_count() or 1

    @property
    def ratio(self) -> float:
        return round(self.rate / self.bare_rate, 3)

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "ratio": self.ratio})


@dataclass(frozen=True)
class EndpointResult:
    """Requests per second of one client and of several; `rate_per_core` are requests per CPU second that the API and
    PostgreSQL used; `floor` is the time of the same rows by one hand-written statement."""

    request: str
    rate: float
    times: Spread
    rate_of_many: float
    times_of_many: Spread
    rate_per_core: float
    floor: Spread | None

    @property
    def to_floor(self) -> float | None:
        """p95 in multiples of the floor's p95."""
        return round(self.times.p95 / self.floor.p95, 2) if self.floor else None

    def __str__(self) -> str:
        return f"{self.request}: {self.rate:.0f}/s, p50 {self.times.p50} ms, {self.to_floor} x the floor"


@dataclass(frozen=True)
class ApiResult:
    jobs: int
    clients: int
    endpoints: Sequence[EndpointResult]
    bench: str = "api"
    load: tuple[float, ...] = ()  # of the machine before: 1, 5 and 15 minutes
    cores: int = os.cpu_count() or 1

    def to_json(self) -> str:
        document = asdict(self)
        for shown, endpoint in zip(document["endpoints"], self.endpoints, strict=True):
            shown["to_floor"] = endpoint.to_floor
        return json.dumps(document)

    def show(self) -> None:
        table = Table(title=f"{self.jobs} jobs, {self.cores} cores; times in ms, 1 client and {self.clients} clients")
        heads = ("1: /s", "p50", "p95", "floor p50", "p95", "p95 / floor", f"{self.clients}: /s", "p95", "/s per core")
        table.add_column("")
        for head in heads:
            table.add_column(head, justify="right")
        for each in self.endpoints:
            floor = (f"{each.floor.p50}", f"{each.floor.p95}", f"{each.to_floor}") if each.floor else ("", "", "")
            table.add_row(
                each.request, f"{each.rate:.0f}", f"{each.times.p50}", f"{each.times.p95}", *floor,
                f"{each.rate_of_many:.0f}", f"{each.times_of_many.p95}", f"{each.rate_per_core:.0f}",
            )  # fmt: skip
        table.caption = f"load before: {' '.join(f'{value:.2f}' for value in self.load)}"
        Console(width=max(150, Console().width)).print(table)


@dataclass(frozen=True)
class SchedulerResult:
    """`rate` is executions (with decide_only: launches) per second; `in_queue` how long jobs of a trickle waited;
    `rounds` what the offer handler says of itself; `cpu_ms` milliseconds of CPU per execution."""

    jobs: int
    agents: int
    backlog: int
    decide_only: bool
    wall_s: float
    rate: float
    in_queue: Spread | None
    rounds: Mapping[str, object]
    memory_mib: float
    cpu_ms: Mapping[str, float]
    bench: str = "scheduler"
    load: tuple[float, ...] = ()  # of the machine before: 1, 5 and 15 minutes
    cores: int = os.cpu_count() or 1

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def show(self) -> None:
        what = "launches decided" if self.decide_only else "executions"
        table = Table(title=f"{self.jobs} {what}, {self.backlog} waiting, {self.agents} agents, {self.cores} cores")
        table.add_column("")
        table.add_column("", justify="right")
        table.add_row(f"{what}/s", f"{self.rate:.0f}", end_section=True)
        if self.in_queue:
            spread = f"{self.in_queue.p50:.0f}, {self.in_queue.p95:.0f}, {self.in_queue.max:.0f}"
            table.add_row("in queue at half that rate: p50, p95, max, ms", spread)
        for name, value in self.rounds.items():
            table.add_row(name, str(value))
        table.add_row("memory of the offer handler, MiB", f"{self.memory_mib:.0f}", end_section=True)
        for name, used in sorted(self.cpu_ms.items(), key=lambda item: -item[1]):
            table.add_row(f"CPU of {name}, ms each", f"{used:.3f}")
        table.add_row("CPU in all, ms each", f"{sum(self.cpu_ms.values()):.3f}")
        table.caption = f"load before: {' '.join(f'{value:.2f}' for value in self.load)}"
        Console().print(table)


@dataclass(frozen=True)
class IngestResult:
    """Small files per second and large ones in MiB/s, through Scale and by `cp`; `ingested` is the time from a file's
    rename to INGESTED, `running` to the start of the job that it triggers, one file at a time beside `old` others.
    `cpu_ms` is per small file; `memory_mib` is held before, after each burst, after the trickle, at the end."""

    small: int
    bursts: int
    small_rate: float
    small_copy_rate: float
    cpu_ms: Mapping[str, float]
    old: int
    inotify: bool
    ingested: Spread
    running: Spread
    large_mib: int
    large_rate: float
    large_copy_rate: float
    memory_mib: Sequence[Mapping[str, float]]
    bench: str = "ingest"
    load: tuple[float, ...] = ()  # of the machine before: 1, 5 and 15 minutes
    cores: int = os.cpu_count() or 1

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def show(self) -> None:
        table = Table(title=f"files through a Strike, {self.cores} cores")
        for column in ("", "Scale", "cp"):
            table.add_column(column, justify="right" if column else "left")
        table.add_row(f"{self.small} small files at once, files/s", f"{self.small_rate}", f"{self.small_copy_rate}")
        table.add_row(f"{self.large_mib} MiB of large files, MiB/s", f"{self.large_rate}", f"{self.large_copy_rate}")
        found = "inotify" if self.inotify else "scans"
        for what, times in (("INGESTED", self.ingested), ("the triggered job RUNNING", self.running)):
            spread = f"{times.p50:.0f}, {times.p95:.0f}, {times.max:.0f}"
            table.add_row(f"rename to {what}, by {found}, beside {self.old} old ones: p50, p95, max, ms", spread)
        for name, used in sorted(self.cpu_ms.items(), key=lambda item: -item[1]):
            table.add_row(f"CPU of {name}, ms for a small file", f"{used:.2f}")
        for name in ("worker", "scheduler", "executor"):
            held = " ".join(f"{each.get(name, 0):.0f}" for each in self.memory_mib)
            table.add_row(f"memory of {name}, MiB, in turn", held)
        table.caption = f"load before: {' '.join(f'{value:.2f}' for value in self.load)}"
        Console().print(table)


@dataclass(frozen=True)
class RecipesResult:
    """`rate` is jobs per second, `queued_rate` recipes per second that one client queues.

    `child_queued` is the time from the end of a job's last parent to its own place in the queue, `child_started` to its
    start: with all recipes at once, and while they come steadily at half that rate. `day` is the time to compute the
    figures of a day, `plot` to answer a year of them. What was left out is None.
    """

    recipes: int
    agents: int
    executions: int
    wall_s: float | None = None
    rate: float | None = None
    queued_rate: float | None = None
    child_queued_at_once: Spread | None = None
    child_queued: Spread | None = None
    child_started: Spread | None = None
    cpu_ms: Mapping[str, float] | None = None
    day: Spread | None = None
    plot: Mapping[str, Spread] | None = None
    bench: str = "recipes"
    load: tuple[float, ...] = ()  # of the machine before: 1, 5 and 15 minutes
    cores: int = os.cpu_count() or 1

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def show(self) -> None:
        table = Table(title=f"{self.recipes} recipes of 10 jobs, {self.agents} agents, {self.cores} cores; times in ms")
        for column in ("", "", "p50", "p95", "max"):
            table.add_column(column, justify="right" if column else "left")
        if self.rate is not None:
            table.add_row("jobs/s", f"{self.rate:.0f}")
            table.add_row("recipes queued by one client, /s", f"{self.queued_rate:.0f}")
        spreads = {
            "end of the last parent to QUEUED, all at once": self.child_queued_at_once,
            "end of the last parent to QUEUED, half that rate": self.child_queued,
            "end of the last parent to RUNNING, half that rate": self.child_started,
            f"figures of a day of {self.executions} executions": self.day,
            **{f"plot of a year: {name}": spread for name, spread in (self.plot or {}).items()},
        }
        for name, spread in spreads.items():
            if spread:
                table.add_row(name, "", f"{spread.p50:.1f}", f"{spread.p95:.1f}", f"{spread.max:.1f}")
        for name, used in sorted((self.cpu_ms or {}).items(), key=lambda item: -item[1]):
            table.add_row(f"CPU of {name}, ms each", f"{used:.3f}")
        table.caption = f"load before: {' '.join(f'{value:.2f}' for value in self.load)}"
        Console().print(table)


@dataclass(frozen=True)
class IdlePart:
    """`pss_mib` is memory with a fair share of what is shared, `cpu_percent` of one core."""

    processes: int
    pss_mib: float
    cpu_percent: float


@dataclass(frozen=True)
class IdleResult:
    """What each part of Scale took for `seconds` without work."""

    seconds: float
    parts: Mapping[str, IdlePart]
    bench: str = "idle"
    load: tuple[float, ...] = ()  # of the machine before: 1, 5 and 15 minutes
    cores: int = os.cpu_count() or 1

    @property
    def total(self) -> IdlePart:
        parts = self.parts.values()
        return IdlePart(
            processes=sum(part.processes for part in parts),
            pss_mib=round(sum(part.pss_mib for part in parts), 1),
            cpu_percent=round(sum(part.cpu_percent for part in parts), 2),
        )

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "total": asdict(self.total)})

    def show(self) -> None:
        table = Table(title=f"Scale without work, {self.seconds:.0f} s, {self.cores} cores")
        for column in ("", "processes", "PSS, MiB", "CPU, % of one core"):
            table.add_column(column, justify="right" if column else "left")
        ordered = sorted(self.parts.items(), key=lambda item: -item[1].pss_mib)
        for name, part in [*ordered, ("all", self.total)]:
            table.add_row(name, f"{part.processes}", f"{part.pss_mib:.1f}", f"{part.cpu_percent:.2f}")
        table.caption = f"load before: {' '.join(f'{value:.2f}' for value in self.load)}"
        Console().print(table)


@dataclass(frozen=True)
class PageTime:
    """Seconds until its data are there."""

    median_s: float
    most_s: float


@dataclass(frozen=True)
class PagesResult:
    """How long each page of the web UI took on so many jobs."""

    jobs: int
    pages: Mapping[str, PageTime]
    bench: str = "pages"
    load: tuple[float, ...] = ()  # of the machine before: 1, 5 and 15 minutes
    cores: int = os.cpu_count() or 1

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def show(self) -> None:
        table = Table(title=f"Pages on {self.jobs:,} jobs, {self.cores} cores")
        for column in ("", "median, s", "most, s"):
            table.add_column(column, justify="right" if column else "left")
        for name, time in self.pages.items():
            table.add_row(name, f"{time.median_s:.2f}", f"{time.most_s:.2f}")
        table.caption = f"load before: {' '.join(f'{value:.2f}' for value in self.load)}"
        Console().print(table)


# all but JobsResult, which shows itself in another way
Tabled = ApiResult | SchedulerResult | IngestResult | RecipesResult | IdleResult | PagesResult


def say(message: str) -> None:
    """Progress, beside the results."""
    print(message, file=sys.stderr, flush=True)


def show(result: JobsResult | Tabled) -> None:
    """The table, and as the last line the JSON object."""
    if isinstance(result, Tabled):
        result.show()
        print(result.to_json())
        return
    console = Console()
    what = "containers" if result.docker else "commands"
    table = Table(title=f"{result.count} no-op {what}, {result.at_once} at once, {result.cores} cores")
    for column in ("", "p50", "p95", "max"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("jobs/s through Scale", f"{result.rate:.1f}")
    table.add_row("  bare, in the same run", f"{result.bare_rate:.1f}")
    table.add_row("  ratio", f"{result.ratio:.1%}", end_section=True)
    for name, spread in result.phases.items():
        table.add_row(f"{name}, ms", f"{spread.p50:.1f}", f"{spread.p95:.1f}", f"{spread.max:.1f}")
    table.add_section()
    for name, used in sorted(result.cpu_ms.items(), key=lambda item: -item[1]):
        table.add_row(f"CPU of {name}, ms/job", f"{used:.2f}")
    table.add_row("CPU in all, ms/job", f"{sum(result.cpu_ms.values()):.2f}")
    table.caption = f"load before: {' '.join(f'{value:.2f}' for value in result.load)}"
    console.print(table)
    print(result.to_json())
