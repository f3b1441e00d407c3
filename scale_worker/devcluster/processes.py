"""Processes of tasks and executors: each leads a session, is watched through a pidfd and ends with its whole tree."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

OnExit = Callable[[int | None], None]  # gets the wait status; None: not our child, so nobody can know


class Process:
    """A running process that this one started or, after a restart, found again."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None) -> None:
        self.pid = pid
        self.start_ticks = _start_ticks(pid)
        self._child = child

    @classmethod
    def start(cls, argv: Sequence[str], directory: Path, environment: Mapping[str, str], user: str | None) -> Process:
        """Start `argv` with its output in the directory's stdout and stderr. Raises OSError when that cannot be."""
        with open(directory / "stdout", "ab") as out, open(directory / "stderr", "ab") as err:
            child = subprocess.Popen(
                argv,
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                **_identity(user),
            )
        return cls(child.pid, child)

    @classmethod
    def find(cls, pid: int, start_ticks: int) -> Process | None:
        """The process recorded with these numbers if it still runs; a reused pid has another start.

        When it is gone, what is left of its session is killed.
        """
        ticks = _start_ticks(pid)
        if ticks < 0:
            _kill(tree(pid), signal.SIGKILL)
        return cls(pid, None) if ticks == start_ticks else None

    def watch(self, on_exit: OnExit) -> None:
        """Call `on_exit` once, from the event loop, when the process ends."""
        loop = asyncio.get_running_loop()
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            loop.call_soon(on_exit, self._wait_status())
            return

        def ended() -> None:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            on_exit(self._wait_status())

        loop.add_reader(pidfd, ended)

    def _wait_status(self) -> int | None:
        if self._child is None:
            return None
        code = self._child.wait()
        return code << 8 if code >= 0 else -code

    def kill_tree(self, number: signal.Signals) -> None:
        """Signal the process, its descendants and all that share its session."""
        _kill(tree(self.pid), number)


def tree(root: int) -> list[int]:
    """Pids of a process, of its descendants and of all in its session, whether or not it still lives itself."""
    parents: dict[int, tuple[int, int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = (int(fields[1]), int(fields[3]))
    members = {pid for pid, (_, session) in parents.items() if session == root or pid == root}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in parents.items() if parent in members} - members
        members |= more
        grown = bool(more)
    return sorted(members)


def _kill(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def user_exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def give(path: Path, user: str | None) -> None:
    """Make `user` the owner of a new sandbox, where this process may."""
    if user and os.geteuid() == 0:
        record = pwd.getpwnam(user)
        os.chown(path, record.pw_uid, record.pw_gid)


def _identity(user: str | None) -> dict[str, Any]:
    """Only root can start a process as somebody else; anybody else runs everything as himself."""
    if not user or user == "root" or os.geteuid() != 0:
        return {}
    record = pwd.getpwnam(user)
    return {"user": record.pw_uid, "group": record.pw_gid, "extra_groups": os.getgrouplist(user, record.pw_gid)}


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command's name (which may hold anything): state, ppid, pgrp, session …"""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields if fields and fields[0] != "Z" else None


def _start_ticks(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[19]) if fields else -1
