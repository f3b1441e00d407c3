"""Looks at running executions once a second: what their outputs take on the disk, and how long their logs are."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

LOOK_S = 1.0
_SHARE = 20  # looking at a directory takes at most this part of the time

log = logging.getLogger(__name__)


def disk_usage(directory: Path) -> float:
    """MiB that everything below a directory occupies. Links are not followed; what vanishes meanwhile is nothing."""
    total, waiting = 0, [str(directory)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_blocks * 512
                    except OSError:
                        continue
        except OSError:
            continue
    return total / 1024**2


def cap_log(path: Path, limit: int) -> bool:
    """Cut a log that has grown past twice `limit` bytes back to its first `limit`; whoever appends to it goes on.

    The writer is neither blocked nor told. A later notice in the log says how much went.
    """
    try:
        size = path.stat().st_size
        if size <= 2 * limit:
            return False
        os.truncate(path, limit)
        with open(path, "ab", buffering=0) as file:
            file.write(f"\n[scale] the log grew past its limit: {size - limit} bytes are cut out here\n".encode())
    except OSError as error:
        log.warning("the log %s could not be cut: %s", path, error)
        return False
    return True


@dataclass
class Watched:
    """One execution: `exceeded` is called once with the MiB used when they are more than `disk` (0: no limit)."""

    output: Path
    logs: tuple[Path, ...]
    disk: float
    log_limit: int
    exceeded: Callable[[float], None]
    disk_used: float = 0.0
    next_look: float = field(default_factory=lambda: time.monotonic() + LOOK_S)


class Watch:
    """One thread for all executions of a node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[int, Watched] = {}
        self._wanted = threading.Event()
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def add(self, watched: Watched) -> None:
        with self._lock:
            self._watched[id(watched)] = watched
        self._wanted.set()

    def remove(self, watched: Watched) -> None:
        with self._lock:
            self._watched.pop(id(watched), None)
            if not self._watched:
                self._wanted.clear()

    def disk_used(self) -> float:
        """MiB that all running executions took at the last look."""
        with self._lock:
            return sum(watched.disk_used for watched in self._watched.values())

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            time.sleep(LOOK_S)
            with self._lock:
                now = time.monotonic()
                due = [watched for watched in self._watched.values() if watched.next_look <= now]
            for watched in due:
                try:
                    self._look(watched)
                except Exception:
                    log.exception("an execution could not be looked at")

    def _look(self, watched: Watched) -> None:
        for path in watched.logs:
            cap_log(path, watched.log_limit)
        began = time.monotonic()
        watched.disk_used = disk_usage(watched.output)
        ended = time.monotonic()
        watched.next_look = ended + max(LOOK_S / 2, _SHARE * (ended - began))
        if 0 < watched.disk < watched.disk_used:
            watched.exceeded(watched.disk_used)
