"""A clock that jumps: the date that processes see, set apart from that of the machine by Debian's libfaketime."""

from __future__ import annotations

import shlex
from pathlib import Path

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Clock:
    """What date a process sees: the file's offset from the real one, read anew at each look. Time goes on evenly."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set("+0")

    def set(self, offset: str) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{offset}\n")
        fresh.replace(self._path)

    @property
    def command(self) -> str:
        """What to put before a program."""
        fake = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return "env " + " ".join(f"{name}={shlex.quote(value)}" for name, value in fake.items())
