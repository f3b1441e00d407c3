"""History: whole lines from processes that are killed, and death at a chosen event."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from scale_core import history
from scale_core.domain.history import parse
from scale_core.settings import CHECKOUT

PROGRAM = """
import os, sys
from types import SimpleNamespace
from scale_core import history
history.configure("proof", sys.argv[1])
history.note("one", number=1)
if not os.fork():
    history.note("forked")
    os._exit(0)
os.wait()
history.note_each("each", [SimpleNamespace(task_id="a", other=0), SimpleNamespace(task_id="b", other=0)], "task_id")
history.note("never")
"""


def run(directory: Path) -> int:
    command = [sys.executable, "-c", PROGRAM, str(directory)]
    return subprocess.run(command, check=False, cwd=CHECKOUT, env={"PYTHONPATH": str(CHECKOUT)}).returncode


def test_each_process_writes_a_file_and_dies_at_the_event_that_is_chosen(tmp_path: Path) -> None:
    trap = tmp_path / f"{history.TRAP}each"
    trap.touch()

    assert run(tmp_path) == -signal.SIGKILL

    files = list(tmp_path.glob("proof-*.jsonl"))
    events = parse(line for path in files for line in path.read_text().splitlines())
    assert len(files) == 2
    assert [(event.kind, dict(event.facts).get("task_id")) for event in events] == [
        ("one", None), ("forked", None), ("each", "a"), ("each", "b"),
    ]  # fmt: skip
    assert not trap.exists(), "it kills one process"
    assert run(tmp_path) == 0


def test_nothing_is_written_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    history.configure("proof", "")
    history.note("one")
    history.note_each("each", [SimpleNamespace(task_id="a")], "task_id")
    assert history.path() is None
    assert list(tmp_path.iterdir()) == []
