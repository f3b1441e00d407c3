"""Disks of our own that can be full, and mounts that can hang: for root only, elsewhere their faults are left out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from scale_core.settings import CHECKOUT

FEED = "far.txt"  # the one name that the mount shows; no rule of the load's Strike there wants it


def mount_small(directory: Path, mib: int) -> bool:
    """Put a small file system there; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(directory)]
    return os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0


def unmount(directory: Path) -> None:
    subprocess.run(["umount", "-l", str(directory)], check=False, capture_output=True)


def fill(directory: Path) -> Path:
    """Take all the room there is; the file that holds it."""
    filler = directory / ".filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 65536):
            pass
    return filler


class HangingMount:
    """A file system in user space whose process may be stopped: what a network mount is like whose server is gone."""

    def __init__(self, point: Path) -> None:
        point.mkdir()
        self.point = point
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.fuse_directory", str(point), FEED],
            cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.is_mounted = self._process.stdout.readline() == "mounted\n"

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()  # whoever waits for it gets an error
        self._process.wait()
        unmount(self.point)
