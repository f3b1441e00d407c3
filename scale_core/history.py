"""What this process did, written down the moment it is done: one line of JSON an event, one file a process.

For proofs of reliability (`script/faults`, `tests/faults/`), off unless SCALE_HISTORY_DIR is set: domain/history.py
says what must be true of the lines of all processes together. A line is one write to a file opened for appending, so a
process that is killed leaves whole lines, and each event that had happened.

A file `die-at-EVENT` in the directory kills the process that notes that event next, right after it: how to die between
a commit and the act that follows it. `stop-at-EVENT` stops it there, until somebody continues it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from scale_core.timestamps import utcnow

TRAP = "die-at-"
HALT = "stop-at-"

_directory: Path | None = None
_process = ""
_file: tuple[int, int] = (0, -1)  # of which process, descriptor: a fork opens its own


def configure(process: str, directory: str) -> None:
    """Write events of this process and its forks into `directory`; nowhere if that is empty."""
    global _directory, _process
    _directory, _process = (Path(directory) if directory else None), process
    if _directory is not None:
        _directory.mkdir(parents=True, exist_ok=True)


def path() -> Path | None:
    """The file of this process; None: no history is kept."""
    return None if _directory is None else _directory / f"{_process}-{os.getpid()}.jsonl"


def note(kind: str, **facts: Any) -> None:
    """One event."""
    if _directory is not None:
        _write(kind, [facts])


def note_each(kind: str, items: Iterable[Any], *names: str) -> None:
    """One event for each item, with these attributes of it, in one write."""
    if _directory is not None:
        _write(kind, [{name: getattr(item, name) for name in names} for item in items])


def _write(kind: str, events: list[dict[str, Any]]) -> None:
    if not events or _directory is None:
        return
    common = {"kind": kind, "at": time.monotonic(), "clock": utcnow(), "process": _process, "pid": os.getpid()}
    os.write(_descriptor(), b"".join(orjson.dumps(common | facts) + b"\n" for facts in events))
    for trap, number in ((TRAP, signal.SIGKILL), (HALT, signal.SIGSTOP)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_directory / f"{trap}{kind}")  # whoever removes it is meant
            os.kill(os.getpid(), number)


def _descriptor() -> int:
    global _file
    where = path()
    if _file[0] != os.getpid() and where is not None:
        _file = (os.getpid(), os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644))
    return _file[1]
