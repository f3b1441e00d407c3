"""One process of the Procfile: in a session of its own, its output copied line by line to a log and to the screen."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

# Even a launcher that was killed leaves nothing behind. The kernel watches the thread that starts the process, so that
# has to be one that lives as long as the launcher: its main thread.
DIE_WITH_US = "setpriv --pdeathsig TERM " if shutil.which("setpriv") else ""
LOG_LIMIT = 50 * 1024 * 1024  # bytes; then the log becomes NAME.log.1 and a new one begins


class Log:
    """A log file that begins anew with its server, and moves aside when it grows past `limit` bytes."""

    def __init__(self, path: Path, limit: int = LOG_LIMIT) -> None:
        self.path, self._limit = path, limit
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("wb")
        self._size = 0

    def write(self, line: bytes) -> None:
        if self._size + len(line) > self._limit:
            self._stream.close()
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._stream = self.path.open("wb")
            self._size = 0
        self._stream.write(line)
        self._stream.flush()
        self._size += len(line)

    def close(self) -> None:
        self._stream.close()


class Process:
    """A program that can be started again and again. `echo` gets each line of its output, without the line's end."""

    def __init__(
        self, name: str, command: str, env: Mapping[str, str], log: Log, echo: Callable[[str, str], None], cwd: Path
    ) -> None:
        self.name, self.log = name, log
        self.started = 0.0  # monotonic clock
        self._command, self._env, self._echo, self._cwd = command, dict(env), echo, cwd
        self._popen: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        return self._popen.pid if self._popen else 0

    def start(self) -> None:
        # exec: the process we see is the program itself, so that a signal reaches it and not a shell in between.
        self._popen = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {DIE_WITH_US}{self._command}"],
            env=self._env, cwd=self._cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self.started = time.monotonic()
        assert self._popen.stdout
        self._reader = threading.Thread(target=self._copy, args=(self._popen.stdout,), daemon=True)
        self._reader.start()

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it); None while it runs."""
        return self._popen.poll() if self._popen else 0

    def terminate(self) -> None:
        """Ask the program alone: its children are for it to stop in order."""
        if self._popen and self.poll() is None:
            self._popen.terminate()

    def finish(self, timeout_s: float) -> None:
        """Wait for its end, then kill what is left of it and of its process group."""
        if not self._popen:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(max(0.0, timeout_s))
        kill_group(self._popen.pid)
        self._popen.wait()
        if self._reader:
            # A grandchild in a session of its own may hold the pipe open for ever: do not wait for that.
            self._reader.join(1.0)

    def say(self, message: str) -> None:
        self.log.write(f"{message}\n".encode())
        self._echo(self.name, message)

    def _copy(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError):  # the log was closed while a grandchild still writes
            for line in stream:
                self.log.write(line)
                self._echo(self.name, line.decode(errors="replace").rstrip("\r\n"))


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"


def parents() -> Iterator[tuple[int, int]]:
    """(process, its parent) of everything that runs on this machine."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    yield int(entry.name), int(fields[1])


def descendants(root: int) -> set[int]:
    """Every process that descends from `root`, without `root`."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    todo = list(children.get(root, ()))
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, ())
    return found
