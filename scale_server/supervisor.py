"""Keeps the processes of a Procfile running.

honcho stops everything as soon as one process dies. Scale is built so that each of its processes may be killed at any
moment: here the one that died is started again. Only one that cannot stay up ends the whole server.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from honcho.environ import parse_procfile

from scale_core.errors import ScaleError
from scale_server.files import tail
from scale_server.processes import Log, Process, descendants, describe_exit

LOOK_S = 1.0  # for what nobody tells: orphans that have ended, PostgreSQL and Redis
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class ProcessGaveUp(ScaleError):
    """A process ended too often."""


@dataclass(frozen=True)
class RestartPolicy:
    """How patient to be with a process that ends by itself. Durations are seconds."""

    first_delay_s: float = 0.2
    longest_delay_s: float = 10.0
    most_in_a_row: int = 8
    healthy_after_s: float = 20.0  # one that ran this long starts with a clean record

    def delay_s(self, failures: int) -> float:
        """How long to wait after the `failures`-th end in a row."""
        return min(self.first_delay_s * 2 ** (failures - 1), self.longest_delay_s)


@dataclass
class _Watched:
    process: Process
    failures: int = 0
    due: float | None = None  # when to start it again; None: it runs


def read_procfile(path: Path, without: Sequence[str] = ()) -> dict[str, str]:
    """name → command of each line of a Procfile but `without`."""
    processes: dict[str, str] = parse_procfile(path.read_text()).processes
    return {name: command for name, command in processes.items() if name not in without}


@dataclass
class Supervisor:
    """Starts `commands` (name → shell command), watches them, and stops them all.

    `echo` gets (process name, line) from several threads. `tend` is called about once a second while all is well.
    It adopts orphans and at the end kills every descendant: it wants a process of its own.
    """

    commands: Mapping[str, str]
    env: Mapping[str, str]
    logs: Path
    cwd: Path
    echo: Callable[[str, str], None]
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    stop_timeout_s: float = 10.0
    tend: Callable[[], None] = lambda: None
    _watched: list[_Watched] = field(default_factory=list, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _bell: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair, init=False)

    def start(self) -> None:
        _adopt_orphans()
        for name, command in self.commands.items():
            process = Process(name, command, self.env, Log(self.logs / f"{name}.log"), self.echo, self.cwd)
            process.start()
            self._watched.append(_Watched(process))

    def request_stop(self) -> None:
        """Make run() return; safe to call from a signal handler and from other threads."""
        self._stopping.set()
        self._bell[1].send(b"!")

    def run(self) -> None:
        """Watch until request_stop(). Raises ProcessGaveUp when a process does not stay up."""
        tended = time.monotonic()
        while True:
            self._sleep()
            if self._stopping.is_set():
                return
            for watched in self._watched:
                self._look_at(watched)
            _reap_orphans({watched.process.pid for watched in self._watched})
            if time.monotonic() - tended >= LOOK_S:
                # A service that it starts must belong to init, not to us: we would kill it at the end.
                _adopt_orphans(False)
                self.tend()
                _adopt_orphans()
                tended = time.monotonic()

    def stop(self) -> None:
        """Stop every process and all that descends from them; nothing of it runs when this returns."""
        for watched in self._watched:
            watched.process.terminate()
        deadline = time.monotonic() + self.stop_timeout_s
        for watched in self._watched:
            watched.process.finish(deadline - time.monotonic())
        _kill_descendants()
        for watched in self._watched:
            watched.process.log.close()
        self._watched.clear()

    def _sleep(self) -> None:
        """Until a process ends or is to be started again, somebody asks us to stop, or a look is due."""
        until = min([watched.due for watched in self._watched if watched.due], default=math.inf)
        with contextlib.ExitStack() as stack:
            events: list[socket.socket | int] = [self._bell[0]]
            for watched in self._watched:
                if watched.due is None:
                    try:
                        descriptor = os.pidfd_open(watched.process.pid)
                    except ProcessLookupError:  # it has ended, and somebody has noticed
                        return
                    stack.callback(os.close, descriptor)
                    events.append(descriptor)
            select.select(events, [], [], max(0.0, min(LOOK_S, until - time.monotonic())))

    def _look_at(self, watched: _Watched) -> None:
        process, now = watched.process, time.monotonic()
        if watched.due is not None:
            if now >= watched.due:
                process.start()
                watched.due = None
            return
        code = process.poll()
        if code is None:
            return
        process.finish(0)
        healthy = now - process.started >= self.policy.healthy_after_s
        watched.failures = 1 if healthy else watched.failures + 1
        what = f"{process.name} {describe_exit(code)}"
        if watched.failures > self.policy.most_in_a_row:
            raise ProcessGaveUp(
                f"{what}, {watched.failures} times in a row. Its log is {process.log.path}; it ends with:\n"
                f"{tail(process.log.path)}"
            )
        delay_s = self.policy.delay_s(watched.failures)
        process.say(f"{what}; starting it again in {delay_s:g} s ({watched.failures} of {self.policy.most_in_a_row})")
        watched.due = now + delay_s


def _adopt_orphans(adopt: bool = True) -> None:
    """Become the parent of every descendant whose own parent dies: nothing that we started can get out of sight."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)


def _reap_orphans(ours: set[int]) -> None:
    """Collect adopted processes that have ended, and leave `ours` to subprocess, which wants to collect them itself."""
    for pid in _children() - ours:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


def _kill_descendants(grace_s: float = 3.0) -> None:
    """What is left has lost its own parent (an executor whose agent was killed): ask it, then kill it."""
    deadline = time.monotonic() + grace_s
    asked: set[int] = set()
    while left := descendants(os.getpid()):
        _reap_orphans(set())
        sign = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        for pid in left - asked if sign == signal.SIGTERM else left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sign)
        asked |= left
        time.sleep(0.05)
    _reap_orphans(set())
