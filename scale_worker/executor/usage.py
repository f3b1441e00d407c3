"""What the whole node really uses, and the report of it to the scheduler."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from scale_core import VERSION

LOOK_S = 10.0
REPEAT_S = 60.0
CHANGE = 0.01  # of a value; smaller changes are not worth a message


@dataclass(frozen=True)
class Usage:
    """Of all that runs on the node, Scale's or not: cpus since the look before, MiB of memory and of disk."""

    cpus: float
    mem: float
    disk: float


class NodeUsage:
    """Measures from /proc and the file system that holds the sandboxes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ticks, self._at = _busy_ticks(), time.monotonic()

    def look(self) -> Usage:
        ticks, now = _busy_ticks(), time.monotonic()
        elapsed = max(now - self._at, 0.001)
        cpus = (ticks - self._ticks) / os.sysconf("SC_CLK_TCK") / elapsed
        self._ticks, self._at = ticks, now
        disk = os.statvfs(self._directory)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize / 1024**2
        return Usage(round(max(cpus, 0.0), 3), round(_used_memory(), 1), round(used, 1))


@dataclass
class Reports:
    """Which looks become messages: the first, those that changed, and one a minute."""

    _last: tuple[Usage, int] | None = None
    _sent: float = field(default=0.0)

    def message(self, usage: Usage, running: int, now: float) -> str | None:
        """The document for the scheduler, None when nothing is new. `now` is any clock, in seconds."""
        if self._last is not None and now - self._sent < REPEAT_S and not self._has_changed(usage, running):
            return None
        self._last, self._sent = (usage, running), now
        return json.dumps({"usage": vars(usage), "running": running, "version": VERSION})

    def _has_changed(self, usage: Usage, running: int) -> bool:
        assert self._last is not None
        before, was_running = self._last
        pairs = ((getattr(usage, name), getattr(before, name)) for name in ("cpus", "mem", "disk"))
        return running != was_running or any(abs(now - then) > CHANGE * max(then, 0.001) for now, then in pairs)


def _busy_ticks() -> int:
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, *_ = (int(word) for word in file.readline().split()[1:])
    return user + nice + system + irq + softirq


def _used_memory() -> float:
    facts = {}
    with open("/proc/meminfo") as file:
        for line in file:
            name, _, value = line.partition(":")
            facts[name] = int(value.split()[0])
    return (facts["MemTotal"] - facts["MemAvailable"]) / 1024
