"""Limits and accounts of plain commands by control groups, version 2: one group per execution, named by its thread.

Version 2 keeps a process's threads together for memory, so the thread cannot enter and let its children be born there
as in version 1. Each command enters by itself instead, before it becomes what it is to run: `entry` is a shell that
writes itself into the group, so nothing runs outside even for a moment. Groups are made below the root, where alone a
group may hold processes and have children with controllers.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CONTROLLERS = ("memory", "pids", "cpu")
_NEEDED = ("memory", "pids")
_KILL_S = 5.0
_LOOK_S = 0.005
_ENTER = 'echo 0 > "$0" && exec "$@"'


@dataclass(frozen=True)
class _Counts:
    cpu_s: float | None = None
    mem_peak: float | None = None
    kills: int = 0


class Lane2:
    """The group of what one thread runs: made for each execution, since its peak cannot be counted anew."""

    def __init__(self, root: Path, name: str) -> None:
        self._parent = root / "scale"
        self._group = self._parent / name
        self._parent.mkdir(exist_ok=True)
        for directory in (root, self._parent):
            _delegate(directory)
        self._remove()  # one that was left when the number of the thread was another's
        self._group.mkdir(exist_ok=True)  # what cannot be made is to be known now, not at each execution
        self._ended = _Counts()

    @property
    def entry(self) -> list[str]:
        """Words to put before a command, so that it runs in the group."""
        return ["/bin/sh", "-c", _ENTER, str(self._group / "cgroup.procs")]

    def begin(self, mem: float, pids: int, cpus: float = 0.0) -> None:
        """Set the limits (MiB; processes and threads; cpus as a share like a container's) and begin to count."""
        self._remove()
        self._group.mkdir(exist_ok=True)
        self._write("memory.max", str(int(mem * 1024 * 1024)) if mem > 0 else "max")
        self._write("pids.max", str(pids) if pids > 0 else "max")
        self._write("memory.swap.max", "0" if mem > 0 else "max")
        self._write("memory.oom.group", "1")
        self._write("cpu.weight", str(min(max(int(cpus * 100), 1), 10_000)) if cpus > 0 else "100")

    def end(self) -> None:
        """Kill what is left, whatever session or group it moved to; then count, and remove the group."""
        deadline = time.monotonic() + _KILL_S
        while (left := self._pids()) and time.monotonic() < deadline:
            self._kill(left)
            time.sleep(_LOOK_S)
        self._ended = self._count()
        self._remove()

    @property
    def cpu_s(self) -> float | None:
        return self._ended.cpu_s

    @property
    def mem_peak(self) -> float | None:
        """MiB, of all processes together; None before Linux 5.19."""
        return self._ended.mem_peak

    @property
    def was_out_of_memory(self) -> bool:
        return self._ended.kills > 0

    def _kill(self, pids: list[int]) -> None:
        try:
            (self._group / "cgroup.kill").write_text("1")  # all at once: no fork gets away; since Linux 5.14
        except OSError:
            for pid in pids:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def _pids(self) -> list[int]:
        try:
            words = (self._group / "cgroup.procs").read_text().split()
        except OSError:
            return []
        return [int(pid) for pid in words if pid != "0"]  # 0: of another namespace of processes

    def _count(self) -> _Counts:
        usage = self._facts("cpu.stat").get("usage_usec")
        peak = self._read("memory.peak").strip()
        return _Counts(
            cpu_s=None if usage is None else round(usage / 1e6, 4),
            mem_peak=round(int(peak) / 1024**2, 3) if peak.isdecimal() else None,
            kills=self._facts("memory.events").get("oom_kill", 0),
        )

    def _facts(self, name: str) -> dict[str, int]:
        """A file of lines `name number`."""
        pairs = (line.split() for line in self._read(name).splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}

    def _read(self, name: str) -> str:
        try:
            return (self._group / name).read_text()
        except OSError:
            return ""

    def _write(self, name: str, value: str) -> None:
        """Set what the kernel knows: swap may not be accounted, CPU not delegated. Memory and pids were seen to."""
        path = self._group / name
        if path.exists():
            path.write_text(value)

    def _remove(self) -> None:
        with suppress(OSError):  # none is there; or it is busy, and remove_stale of the next executor finds it
            self._group.rmdir()


def is_there(root: Path) -> bool:
    """Whether the machine has version 2 with the controllers that are needed, and we may make groups."""
    try:
        offered = (root / "cgroup.controllers").read_text().split()
    except OSError:
        return False
    return set(_NEEDED) <= set(offered) and os.access(root / "cgroup.subtree_control", os.W_OK)


def kill_stale(group: Path) -> None:
    """Kill what runs in a group whose executor has ended, and remove it if it is empty by then."""
    with suppress(OSError, ValueError):
        for left in (group / "cgroup.procs").read_text().split():
            os.kill(int(left), signal.SIGKILL)
    with suppress(OSError):  # not empty yet: the next executor removes it
        group.rmdir()


def _delegate(directory: Path) -> None:
    """Let the children of a group have the controllers. Raises OSError where they cannot."""
    offered = (directory / "cgroup.controllers").read_text().split()
    given = (directory / "cgroup.subtree_control").read_text().split()
    wanted = [name for name in _CONTROLLERS if name in offered and name not in given]
    if wanted:
        (directory / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))
