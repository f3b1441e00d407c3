"""A process is killed at each named step of an ingest, on a whole Scale: the file is ingested once, nothing is left.

tests/worker/test_ingest_deaths.py kills before each single act on the file system; here each step is met between the
processes: scan, launch, claim, copy, report, catalogue, removal of the original.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.system import System, wait_for
from scale_core.brokers import TEMPORARY_PREFIX
from scale_core.domain import history
from scale_core.history import TRAP
from tests import prepared

pytestmark = pytest.mark.journey
PATIENCE_S = 90.0
# event → who notes it and dies then
STEPS = {
    "recorded": "a worker, after the scan is committed",
    "committed": "the scheduler, before it launches",
    "launched": "the scheduler, after it has launched",
    "begun": "the executor, before it touches the file",
    "claimed": "the executor, with the original under ingesting/",
    "copied": "the executor, with the file in the workspace",
    "ended": "the executor, before it reports",
    "written": "the scheduler, after the report is written",
    "finishing": "a worker, before the source is catalogued",
    "finished": "a worker, after that, before the original is removed",
}


@dataclass
class Feed:
    system: System
    directory: Path
    store: Path

    def drop(self, name: str, content: bytes) -> None:
        hidden = self.system.home / "arriving"
        hidden.write_bytes(content)
        hidden.rename(self.directory / name)

    def ingests(self, name: str) -> list[tuple[str, str]]:
        rows = self.system.sql("SELECT status, checksum FROM ingest WHERE file_name = %s ORDER BY id", name)
        return [(status, checksum) for status, checksum in rows]

    def left(self) -> list[Path]:
        return [path for path in self.directory.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def feed() -> Iterator[Feed]:
    with prepared.system() as system:
        made = Feed(system, system.home / "feed", system.home / "store")
        made.directory.mkdir()
        made.store.mkdir()
        broker = {"version": "1.0", "broker": {"type": "host", "host_path": str(made.store)}}
        system.post("workspaces/", {"name": "store", "json_config": broker})
        rule = {"filename_regex": r".*\.bin", "workspace_path": "in", "workspace_name": "store"}
        configuration = {
            "version": "1.0", "mount": f"localhost:{made.directory}", "transfer_suffix": "_tmp",
            "files_to_ingest": [rule],
        }  # fmt: skip
        system.post("strikes/", {"name": "feed", "configuration": configuration})
        yield made
        assert history.check_events(system.events()) == []


@pytest.mark.parametrize("step", STEPS)
def test_killed_at(feed: Feed, step: str) -> None:
    name, content = f"{step}.bin", os.urandom(2 * 2**20)
    trap = feed.system.history / f"{TRAP}{step}"
    trap.touch()
    feed.drop(name, content)
    wait_for(f"{STEPS[step]} to die", lambda: not trap.exists(), PATIENCE_S)

    checksum = hashlib.sha256(content).hexdigest()
    wait_for("its ingest", lambda: feed.ingests(name) == [("INGESTED", checksum)], PATIENCE_S)
    wait_for("the original to be removed", lambda: not feed.left(), PATIENCE_S)
    rows = feed.system.sql("SELECT file_path, file_size FROM scale_file WHERE file_name = %s", name)
    assert [size for _, size in rows] == [len(content)], "it is catalogued once"
    assert (feed.store / rows[0][0]).read_bytes() == content
    copies = [path for path in feed.store.rglob(f"*{name}") if not path.name.startswith(TEMPORARY_PREFIX)]
    assert len(copies) == 1
    assert feed.ingests(name) == [("INGESTED", checksum)], "and stays so"


def test_a_file_that_no_rule_wants_is_moved_aside_after_all(feed: Feed) -> None:
    trap = feed.system.history / f"{TRAP}recorded"
    trap.touch()
    feed.drop("odd.dat", b"content")
    wait_for("a worker to die", lambda: not trap.exists(), PATIENCE_S)
    wait_for("the next scan to move it", lambda: (feed.directory / "deferred" / "odd.dat").exists(), PATIENCE_S)
    assert [status for status, _ in feed.ingests("odd.dat")] == ["DEFERRED"]
