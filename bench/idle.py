"""What Scale takes while it has nothing to do: memory and CPU of each of its processes."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import suppress

import psutil

from bench.report import IdlePart, IdleResult, say
from bench.server import server

SETTLE_S = 30.0  # caches fill, the first beats are done


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to look (default 120)")
    parser.add_argument("--settle", type=float, default=SETTLE_S, help=f"after the start (default {SETTLE_S:.0f})")


def measure(options: argparse.Namespace) -> IdleResult:
    """Run the benchmark. Raises BenchFailed."""
    load = os.getloadavg()
    say("starting a Scale of its own")
    with server() as scale:
        time.sleep(options.settle)
        say(f"looking for {options.seconds:.0f} s ({scale.home})")
        before, began = scale.cpu_s(), time.monotonic()
        time.sleep(options.seconds)
        used, took_s = scale.cpu_s(), time.monotonic() - began
        parts = {
            name: IdlePart(
                processes=len(processes),
                pss_mib=round(sum(map(pss_mib, processes)), 1),
                cpu_percent=round(100 * (used.get(name, 0.0) - before.get(name, 0.0)) / took_s, 2),
            )
            for name, processes in scale.parts().items()
        }
    return IdleResult(seconds=round(took_s, 1), parts=parts, load=tuple(round(value, 2) for value in load))


def pss_mib(process: psutil.Process) -> float:
    """Its own memory, and its share of what it has in common with others."""
    with suppress(psutil.NoSuchProcess):
        return float(process.memory_full_info().pss) / 2**20
    return 0.0
