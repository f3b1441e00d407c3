"""What must survive a kill -9: ids, frameworks, live executors and tasks, as lines of JSON appended to one file.

Appending costs some microseconds and no fsync: the file outlives this process, which is all that a restart needs;
after a crash of the machine no executor lives that could be adopted.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from scale_core.errors import Conflict

logger = logging.getLogger(__name__)

_COMPACT_BYTES = 32 * 1024 * 1024
Record = dict[str, Any]
Key = tuple[str, str]  # framework id and executor or task id


@dataclass
class Contents:
    """What the journal says: the last record of everything that is still alive."""

    agent_id: str | None = None
    frameworks: dict[str, Record] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)  # ids of frameworks that may never subscribe again
    executors: dict[Key, Record] = field(default_factory=dict)
    tasks: dict[Key, Record] = field(default_factory=dict)

    def apply(self, record: Record) -> None:
        """Take one record in; each kind replaces or ends what came before it."""
        kind, fid = record["kind"], record.get("framework_id", "")
        if kind == "agent":
            self.agent_id = record["agent_id"]
        elif kind == "framework":
            self.frameworks[fid] = record
        elif kind == "framework_removed":
            self.frameworks.pop(fid, None)
            self.removed[fid] = None
        elif kind == "executor":
            self.executors[fid, record["executor_id"]] = record
        elif kind == "executor_gone":
            self.executors.pop((fid, record["executor_id"]), None)
        elif kind == "task":
            self.tasks[fid, record["task_id"]] = {"state": "TASK_STAGING", "uuids": [], **record}
        elif kind == "task_state" and (task := self.tasks.get((fid, record["task_id"]))):
            task["state"] = record["state"]
            task["uuids"] = [*task["uuids"], record["uuid"]]
        elif kind == "acknowledged" and (task := self.tasks.get((fid, record["task_id"]))):
            task["uuids"] = [uuid for uuid in task["uuids"] if uuid != record["uuid"]]
        elif kind == "task_gone":
            self.tasks.pop((fid, record["task_id"]), None)

    def records(self) -> Iterator[Record]:
        """Records that make the same contents."""
        if self.agent_id:
            yield {"kind": "agent", "agent_id": self.agent_id}
        yield from ({"kind": "framework_removed", "framework_id": fid} for fid in self.removed)
        yield from self.frameworks.values()
        yield from self.executors.values()
        yield from self.tasks.values()


class Journal:
    """The journal of one work directory, locked while open."""

    def __init__(self, path: Path) -> None:
        """Open and read the journal. Raises Conflict when another process holds it."""
        self._path = path
        self._lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise Conflict(
                f"{path.parent} is in use by another devcluster; give --work-dir another directory"
            ) from None
        self.contents = _read(path)
        self._compact()

    def write(self, kind: str, **fields: Any) -> None:
        """Append one record."""
        record = {"kind": kind, **fields}
        self.contents.apply(record)
        self._size += os.write(self._file, orjson.dumps(record) + b"\n")
        if self._size > self._limit:
            os.close(self._file)
            self._compact()

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)

    def _compact(self) -> None:
        fresh = self._path.with_suffix(".new")
        self._file = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        lines = b"".join(orjson.dumps(record) + b"\n" for record in self.contents.records())
        self._size = len(lines)
        self._limit = 2 * self._size + _COMPACT_BYTES
        with open(self._file, "wb", closefd=False) as file:
            file.write(lines)
        fresh.rename(self._path)


def _read(path: Path) -> Contents:
    contents = Contents()
    if not path.exists():
        return contents
    for line in path.read_bytes().splitlines():
        try:
            contents.apply(orjson.loads(line))
        except orjson.JSONDecodeError:
            logger.warning("A line of %s was cut off and is skipped", path)
    return contents
