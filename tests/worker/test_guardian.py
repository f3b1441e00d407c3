"""A command that its executor started but had not told of yet dies with the executor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scale_worker.executor import cgroups, guardian


def start_in(group: Path) -> subprocess.Popen[bytes]:
    """A process born in the group."""
    started: list[subprocess.Popen[bytes]] = []

    def enter_and_start() -> None:
        (group / "tasks").write_text(str(threading.get_native_id()))
        started.append(subprocess.Popen(["sleep", "600"], start_new_session=True))

    thread = threading.Thread(target=enter_and_start)
    thread.start()
    thread.join()
    return started[0]


@pytest.mark.skipif(not cgroups.can_account(), reason="this machine lets us make no control groups")
def test_what_the_guardian_was_not_told_of_dies_too() -> None:
    executor = subprocess.Popen(["sleep", "600"])
    group = Path(guardian.LANES) / f"{executor.pid}-1"
    group.mkdir(parents=True)
    command: subprocess.Popen[bytes] | None = None
    try:
        command = start_in(group)
        assert command.poll() is None
        label = f"scale.owner=here:{executor.pid}:{guardian.start_time(executor.pid)}"
        watching = subprocess.Popen([sys.executable, "-P", guardian.__file__, label], stdin=subprocess.PIPE)
        executor.kill()
        executor.wait()
        watching.communicate(timeout=60)
        assert command.wait(timeout=30) == -signal.SIGKILL
    finally:
        if command is not None and command.poll() is None:
            command.kill()
            command.wait()
        group.rmdir()


def test_a_group_that_cannot_be_read_holds_nothing_up(tmp_path: Path) -> None:
    for name, text in (("7-1", "no number"), ("7-2", "999999999"), ("8-1", str(os.getpid()))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").write_text(text)
    (tmp_path / "7-3" / "cgroup.procs").mkdir(parents=True)
    guardian.kill_lanes(7, str(tmp_path))  # 8 is another executor: we are still here
