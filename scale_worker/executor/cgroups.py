"""Limits and accounts of plain commands by control groups; here version 1: one group per thread that runs executions.

A thread enters its group once and stays; what it starts is born there, so nothing runs outside even for a moment and
no execution pays for a move. Memory stays the executor's own, as the kernel charges it to a process's first thread.
Version 2 (cgroups2.py) allows no such threads for memory. Without the right to write, rlimits must do.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scale_worker.executor import cgroups2
from scale_worker.executor.cgroups2 import Lane2

ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "pids", "cpuacct")
_KILL_S = 5.0
_LEFT_OVER = 2 * 1024**2  # bytes; emptying a group costs more than a short execution

log = logging.getLogger(__name__)


class Lane:
    """The groups of one thread, used by one execution after the other."""

    entry: Sequence[str] = ()  # a command needs none: it is born in the group

    def __init__(self, root: Path, name: str) -> None:
        self._groups = {controller: root / controller / "scale" / name for controller in _CONTROLLERS}
        for group in self._groups.values():
            group.mkdir(parents=True, exist_ok=True)
            (group / "tasks").write_text(str(threading.get_native_id()))
        self._limits = ("", 0)
        self._cpu_before = 0
        self._failures_before = 0

    def begin(self, mem: float, pids: int, cpus: float = 0.0) -> None:
        """Set the limits (MiB; processes and threads) and begin to count anew. Cpus are no limit in version 1."""
        limit = str(int(mem * 1024 * 1024)) if mem > 0 else "-1"
        memory = self._groups["memory"]
        if self._number("memory", "memory.usage_in_bytes") > _LEFT_OVER:
            with suppress(OSError):  # what a former execution left in the page cache would count as this one's
                (memory / "memory.force_empty").write_text("0")
        if (limit, pids) != self._limits:
            (memory / "memory.limit_in_bytes").write_text(limit)
            (self._groups["pids"] / "pids.max").write_text(str(pids + 1))  # and this thread
            self._limits = limit, pids
        (memory / "memory.max_usage_in_bytes").write_text("0")
        self._cpu_before = self._number("cpuacct", "cpuacct.usage")
        self._failures_before = self._kills()

    def end(self) -> None:
        """Kill what is left, whatever session or group it moved to."""
        deadline = time.monotonic() + _KILL_S
        while (left := self._others()) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    @property
    def cpu_s(self) -> float:
        return round((self._number("cpuacct", "cpuacct.usage") - self._cpu_before) / 1e9, 4)

    @property
    def mem_peak(self) -> float:
        """MiB, of all processes together."""
        return round(self._number("memory", "memory.max_usage_in_bytes") / 1024**2, 3)

    @property
    def was_out_of_memory(self) -> bool:
        return self._kills() > self._failures_before

    def _others(self) -> list[int]:
        pids = (self._groups["pids"] / "cgroup.procs").read_text().split()
        return [int(pid) for pid in pids if int(pid) not in (0, os.getpid())]

    def _kills(self) -> int:
        for line in (self._groups["memory"] / "memory.oom_control").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
        return 0

    def _number(self, controller: str, name: str) -> int:
        return int((self._groups[controller] / name).read_text())


class Lanes:
    """Gives each thread its lane; None where the machine has none for us."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._own = threading.local()
        self._kind = Lane if can_account(root) else Lane2 if cgroups2.is_there(root) else None

    def lane(self) -> Lane | Lane2 | None:
        if self._kind is None or threading.current_thread() is threading.main_thread():  # its memory is ours
            return None
        lane: Lane | Lane2 | None = getattr(self._own, "lane", None)
        if lane is None:
            try:
                lane = self._own.lane = self._kind(self._root, f"{os.getpid()}-{threading.get_native_id()}")
            except OSError as error:
                log.warning("commands run without control groups: %s", error)
                self._kind = None
        return lane


def remove_stale(root: Path = ROOT) -> None:
    """Remove groups of executors that have ended; what still runs in them is killed."""
    for group in root.glob("*/scale/*-*"):
        pid = group.name.partition("-")[0]
        if group.parent.parent.name not in _CONTROLLERS or not pid.isdigit() or Path("/proc", pid).exists():
            continue
        with suppress(OSError, ValueError):
            for left in (group / "cgroup.procs").read_text().split():
                os.kill(int(left), signal.SIGKILL)
        with suppress(OSError):  # not empty yet: the next executor removes it
            group.rmdir()
    for group in root.glob("scale/*-*") if cgroups2.is_there(root) else ():
        pid = group.name.partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            cgroups2.kill_stale(group)


class Account:
    """Groups that a container is put below, so that what it used is still known when it is gone: memory and CPU."""

    def __init__(self, name: str, root: Path = ROOT) -> None:
        self._root = root
        self.parent = f"/scale/{os.getpid()}-{name}"
        for controller in ("memory", "cpuacct"):
            (root / controller / self.parent[1:]).mkdir(parents=True, exist_ok=True)

    def close(self) -> tuple[float, float]:
        """CPU seconds and peak memory (MiB); the groups are removed, also those that the engine made."""
        cpu = (self._root / "cpuacct" / self.parent[1:] / "cpuacct.usage").read_text()
        peak = (self._root / "memory" / self.parent[1:] / "memory.max_usage_in_bytes").read_text()
        for group in self._root.glob(f"*{self.parent}"):
            with suppress(OSError):  # the engine is not done; the next executor removes it
                group.rmdir()
        return round(int(cpu) / 1e9, 4), round(int(peak) / 1024**2, 3)


def can_account(root: Path = ROOT) -> bool:
    """Whether this machine has the groups of version 1, and we may make some."""
    return all(os.access(root / name / "tasks", os.W_OK) for name in _CONTROLLERS)
