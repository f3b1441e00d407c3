"""Moving a file, killed before each single thing that it does to the file system: never lost, never half, then done.

Python announces every open, link, rename, removal … before it is done (audit events); a forked process kills itself at
one of them. In the middle of a write it is the kernel that kills it, at a limit of the size of files.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scale_core.brokers import TEMPORARY_PREFIX
from scale_core.domain.execution import IngestOutcome
from scale_worker import strike_directory
from tests.worker.executions import Bench
from tests.worker.test_executor_ingest import drop, files, ingest, item

ACTS = ("open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod")
CONTENT = os.urandom(3 * 2**20 + 5)
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
PLACES = ("a.png", "ingesting/3/a.png", "duplicate/a.png", "deferred/a.png")


def killed(act: Callable[[], Any], root: Path, number: int, file_limit: int | None = None) -> bool:
    """Whether the process died that did `act`, before its `number`-th act on a file under `root`."""
    child = os.fork()
    if not child:
        try:
            _set_trap(root, number, file_limit)
            act()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _set_trap(root: Path, number: int, file_limit: int | None) -> None:
    if file_limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    acts = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal acts
        if event in ACTS and any(isinstance(each, str) and each.startswith(str(root)) for each in arguments):
            acts += 1
            if acts == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


@pytest.fixture
def make_bench(tmp_path: Path) -> Callable[[], Bench]:
    made = 0

    def make_one() -> Bench:
        nonlocal made
        made += 1
        root = tmp_path / str(made)
        root.mkdir()
        bench = Bench(root)
        drop(bench, content=CONTENT)
        return bench

    return make_one


def move(bench: Bench, **more: Any) -> Callable[[], Any]:
    """What an execution does with the file; its outcome may be anything: it is about to die."""
    return lambda: ingest(bench, item(bench, **more))


def is_whole(path: Path) -> bool:
    return path.is_file() and path.read_bytes() == CONTENT


def check_safe(bench: Bench) -> None:
    """The original is somewhere, whole; under its final name there is all of it or nothing."""
    assert any(is_whole(bench.root / "strike" / place) for place in PLACES), files(bench)
    for path, content in bench.stored().items():
        assert content == CONTENT or Path(path).name.startswith(TEMPORARY_PREFIX), path


def test_killed_at_each_step_of_storing(make_bench: Callable[[], Bench]) -> None:
    number, is_dying = 0, True
    while is_dying:
        number += 1
        bench = make_bench()
        is_dying = killed(move(bench), bench.root, number)
        check_safe(bench)
        outcome = ingest(bench, item(bench))
        assert outcome.ingests == (IngestOutcome(3, "stored", len(CONTENT), CHECKSUM, "image/png"),), number
        assert bench.stored() == {"2026/11/22/a.png": CONTENT}
        assert files(bench) == ["ingesting/3/a.png"]
    assert number > 10, "each act was met"


@pytest.mark.parametrize("written", [0, 1, 2**20, 2**20 + 7, len(CONTENT) - 1])
def test_killed_in_the_middle_of_a_write(make_bench: Callable[[], Bench], written: int) -> None:
    bench = make_bench()
    assert killed(move(bench), bench.root, 0, file_limit=written)
    check_safe(bench)
    assert "2026/11/22/a.png" not in bench.stored()
    assert ingest(bench, item(bench)).ingests[0].checksum == CHECKSUM
    assert bench.stored() == {"2026/11/22/a.png": CONTENT}


def test_killed_at_each_step_of_setting_a_duplicate_aside(make_bench: Callable[[], Bench]) -> None:
    number, is_dying = 0, True
    while is_dying:
        number += 1
        bench = make_bench()
        is_dying = killed(move(bench, known_checksums=(CHECKSUM,)), bench.root, number)
        check_safe(bench)
        outcome = ingest(bench, item(bench, known_checksums=(CHECKSUM,)))
        assert outcome.ingests == (IngestOutcome(3, "duplicate", len(CONTENT), CHECKSUM, "image/png"),), number
        assert bench.stored() == {}
        assert files(bench) == ["duplicate/a.png"]
    assert number > 10


def test_killed_at_each_step_of_removing_an_original(make_bench: Callable[[], Bench]) -> None:
    """Its source is catalogued by then."""
    number, is_dying = 0, True
    while is_dying:
        number += 1
        bench = make_bench()
        ingest(bench, item(bench))
        strike = bench.root / "strike"
        is_dying = killed(
            lambda strike=strike: strike_directory.remove_originals(strike, 3, len(CONTENT)), strike, number
        )
        assert bench.stored() == {"2026/11/22/a.png": CONTENT}
        assert strike_directory.pending_originals(strike) == ([3] if is_dying else []), "the next scan finds it"
        strike_directory.remove_originals(strike, 3, len(CONTENT))
        assert (files(bench), strike_directory.pending_originals(strike)) == ([], [])
    assert number > 2


def test_killed_at_each_step_of_deferring(make_bench: Callable[[], Bench]) -> None:
    number, is_dying = 0, True
    while is_dying:
        number += 1
        bench = make_bench()
        strike = bench.root / "strike"
        is_dying = killed(lambda strike=strike: strike_directory.defer(strike, "a.png"), strike, number)
        check_safe(bench)
        strike_directory.defer(strike, "a.png")
        assert files(bench) == ["deferred/a.png"]
    assert number > 2


def test_the_order_of_it_all(make_bench: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary name, its sync, the final name, the directory's sync; the original stays until all is recorded."""
    bench = make_bench()
    acts: list[str] = []
    real_fsync, real_link, real_rename = os.fsync, os.link, os.rename

    def role(path: object) -> str:
        name = os.fsdecode(path)  # type: ignore[arg-type]
        if Path(name).name.startswith(TEMPORARY_PREFIX):
            return "temporary"
        if "/strike" in name:
            return "feed"
        return "final" if name.endswith("a.png") else "directory"

    def fsync(descriptor: int) -> None:
        acts.append(f"sync {role(os.readlink(f'/proc/self/fd/{descriptor}'))}")
        real_fsync(descriptor)

    def link(source: Any, target: Any, **more: Any) -> None:
        acts.append(f"{role(source)} -> {role(target)}")
        real_link(source, target, **more)

    def rename(source: Any, target: Any, **more: Any) -> None:
        acts.append(f"{role(source)} -> {role(target)}")
        real_rename(source, target, **more)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "rename", rename)
    assert ingest(bench, item(bench)).succeeded
    assert is_whole(bench.root / "strike/ingesting/3/a.png"), "nobody has recorded it yet"
    stored = [act for act in acts if "feed" not in act]
    assert acts.index("feed -> feed") < acts.index("sync temporary"), "claimed first"
    at = stored.index("sync temporary")
    assert stored[at : at + 3] == ["sync temporary", "temporary -> final", "sync directory"]
