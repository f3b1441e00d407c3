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


def say(message: str) -> None:
    """Progress, beside the results."""
    print(message, file=sys.stderr, flush=True)


def show(result: JobsResult) -> None:
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
