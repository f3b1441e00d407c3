"""What the kernel tells of Strikes' directories: real directories, and for the last tests a real PostgreSQL."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.ingest import Ingest, Strike
from scale_core.domain.ingest import IngestStatus
from scale_core.mounts import file_system
from scale_core.services import queue
from scale_core.services import strike as strikes
from scale_worker import strike_watcher
from scale_worker.strike_watcher import Place, StrikeWatcher
from scale_worker.tasks import ingest as tasks
from tests import factories as make
from tests.patience import PATIENCE_S, wait_for

MAX_EVENTS = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


class Watched:
    """A watcher, the places it is told, and what it asked to be looked at."""

    def __init__(self, *directories: Path) -> None:
        self.places = {n: Place(f"localhost:{each}", each) for n, each in enumerate(directories, 1)}
        self.asked: list[tuple[int, frozenset[str] | None]] = []
        self.is_busy = False
        self.held = threading.Event()
        self.held.set()
        self.watcher = StrikeWatcher(lambda: dict(self.places), self._look)

    def _look(self, strike_id: int, names: frozenset[str] | None) -> bool:
        self.asked.append((strike_id, names))
        self.held.wait(PATIENCE_S)
        return not self.is_busy

    def start(self) -> None:
        self.watcher.start()
        self.until_all(*self.places)

    def names(self, strike_id: int = 1) -> set[str]:
        return {name for each, names in self.asked for name in names or () if each == strike_id}

    def until_all(self, *strike_ids: int) -> None:
        """Until each has been looked at altogether, as one whose watch is new."""
        wait_for("a look at everything", lambda: {(each, None) for each in strike_ids} <= set(self.asked))


@pytest.fixture
def make_watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watched]]:
    monkeypatch.setattr(strike_watcher, "REFRESH_S", 0.1)
    made: list[Watched] = []

    def make_one(*directories: Path) -> Watched:
        for each in directories:
            each.mkdir(exist_ok=True)
        made.append(Watched(*directories))
        return made[-1]

    yield make_one
    for each in made:
        each.held.set()
        each.watcher.stop()
        each.watcher.join(PATIENCE_S)
        assert not each.watcher.is_alive()


def drop(directory: Path, name: str) -> None:
    hidden = directory.parent / "arriving"
    hidden.write_text("x")
    hidden.rename(directory / name)


def test_what_is_renamed_or_closed_is_asked_for_by_name(make_watched: Callable[..., Watched], tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    watched = make_watched(one, two)
    watched.start()
    drop(one, "renamed\n☃.txt")
    (one / "closed.txt").write_text("x")
    (one / "directory").mkdir()
    drop(two, "other.txt")
    wait_for("the names", lambda: watched.names(1) >= {"renamed\n☃.txt", "closed.txt"} and watched.names(2))
    assert watched.names(1) == {"renamed\n☃.txt", "closed.txt"}
    assert watched.names(2) == {"other.txt"}
    open_file = (one / "growing.txt").open("w")
    open_file.write("half")
    open_file.flush()
    drop(one, "last.txt")
    wait_for("the last", lambda: "last.txt" in watched.names(1))
    assert "growing.txt" not in watched.names(1), "a file that is being written is not hurried"
    open_file.close()
    wait_for("the end of writing", lambda: "growing.txt" in watched.names(1))


def test_a_burst_is_a_few_looks(make_watched: Callable[..., Watched], tmp_path: Path) -> None:
    watched = make_watched(tmp_path / "feed")
    watched.start()
    watched.held.clear()
    drop(tmp_path / "feed", "first")
    wait_for("the first look", lambda: watched.names())
    names = {f"{number}.txt" for number in range(2000)}
    for name in names:
        drop(tmp_path / "feed", name)
    before = len(watched.asked)
    watched.held.set()
    wait_for("all names", lambda: watched.names() >= names)
    assert len(watched.asked) - before < 20


def test_a_strike_that_is_being_scanned_is_asked_again(make_watched: Callable[..., Watched], tmp_path: Path) -> None:
    watched = make_watched(tmp_path / "feed")
    watched.start()
    watched.is_busy = True
    drop(tmp_path / "feed", "a.txt")
    wait_for("three looks", lambda: watched.asked.count((1, frozenset({"a.txt"}))) > 2)
    drop(tmp_path / "feed", "b.txt")
    wait_for("both together", lambda: (1, frozenset({"a.txt", "b.txt"})) in watched.asked)
    watched.is_busy = False
    drop(tmp_path / "feed", "c.txt")
    wait_for("the next", lambda: "c.txt" in watched.names())
    drop(tmp_path / "feed", "d.txt")
    wait_for("an end of the others", lambda: watched.asked[-1] == (1, frozenset({"d.txt"})))


def test_after_an_overflow_everything_is_looked_at(make_watched: Callable[..., Watched], tmp_path: Path) -> None:
    feed, other = tmp_path / "feed", tmp_path / "other"
    watched = make_watched(feed, other)
    watched.start()
    watched.held.clear()
    drop(feed, "first")
    wait_for("the first look", lambda: watched.names())
    source = tmp_path / "one-of-two"
    source.write_text("x")
    for number in range(MAX_EVENTS + 10):
        target = feed / f"{number % 2}"  # two names in turn: the kernel merges neighbours that are equal
        source.rename(target)
        source = target.rename(tmp_path / "one-of-two")
    before = len(watched.asked)
    watched.held.set()
    wait_for("looks at everything", lambda: {(1, None), (2, None)} <= set(watched.asked[before:]))
    drop(feed, "afterwards")
    wait_for("the next name", lambda: "afterwards" in watched.names())


@pytest.mark.parametrize("goes", [shutil.rmtree, lambda path: path.rename(path.with_name("moved"))])
def test_a_directory_that_goes_and_comes_back(
    make_watched: Callable[..., Watched], tmp_path: Path, goes: Callable[[Path], object]
) -> None:
    feed = tmp_path / "feed"
    watched = make_watched(feed)
    watched.start()
    goes(feed)
    wait_for("the watch to go", lambda: not watched.watcher.watched())
    before = len(watched.asked)
    feed.mkdir()
    wait_for("a new watch", lambda: (1, None) in watched.asked[before:])
    drop(feed, "again.txt")
    wait_for("the name", lambda: watched.names() == {"again.txt"})


def test_strikes_come_change_their_directory_and_go(make_watched: Callable[..., Watched], tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    watched = make_watched(one, two)
    del watched.places[2]
    watched.start()
    watched.places[1] = Place(f"localhost:{two}", two)
    watched.places[3] = Place(f"localhost:{two}", two)
    wait_for("a watch for two Strikes", lambda: watched.watcher.watched() == {1, 3} and (3, None) in watched.asked)
    drop(one, "nobody.txt")
    drop(two, "both.txt")
    wait_for("both", lambda: watched.names(1) == watched.names(3) == {"both.txt"})
    del watched.places[1]
    wait_for("one to go", lambda: watched.watcher.watched() == {3})
    drop(two, "one.txt")
    wait_for("the other", lambda: "one.txt" in watched.names(3))
    assert watched.names(1) == {"both.txt"}


def test_no_watch_where_the_kernel_allows_none(
    make_watched: Callable[..., Watched],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real, refused = INotify.add_watch, threading.Event()

    def add_watch(self: INotify, path: Path, mask: int) -> int:
        if path.name == "full" and not refused.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, path, mask)

    monkeypatch.setattr(INotify, "add_watch", add_watch)
    caplog.set_level("INFO")
    watched = make_watched(tmp_path / "full", tmp_path / "well")
    watched.watcher.start()
    watched.until_all(2)
    drop(tmp_path / "well", "a.txt")
    wait_for("the other's name", lambda: watched.names(2))
    refused.set()
    watched.until_all(1)
    said = [each.getMessage() for each in caplog.records if "by the clock alone" in each.getMessage()]
    assert said == [f"Strike 1 is scanned by the clock alone: {tmp_path}/full: No space left on device"], "once"


def test_only_local_file_systems_are_watched(
    make_watched: Callable[..., Watched], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert file_system(tmp_path) in strike_watcher.LOCAL_TYPES
    assert file_system(Path("/proc/self")) == "proc"
    assert not {"nfs", "nfs4", "fuse", "fuse.sshfs", "cifs", "9p", "proc"} & strike_watcher.LOCAL_TYPES
    caplog.set_level("INFO")
    watched = make_watched(tmp_path / "feed")
    watched.places[2] = Place("localhost:/proc/sys", Path("/proc/sys"))
    watched.watcher.start()
    watched.until_all(1)
    wait_for("the reason", lambda: "a file system of the type proc does not tell" in caplog.text)
    assert watched.watcher.watched() == {1}


def test_trouble_with_the_places_is_survived(make_watched: Callable[..., Watched], tmp_path: Path) -> None:
    watched = make_watched(tmp_path / "feed")
    real, tries = watched.watcher._places, []

    def places() -> dict[int, Place]:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("the database is away")
        return dict(real())

    watched.watcher._places = places
    watched.start()
    drop(tmp_path / "feed", "a.txt")
    wait_for("the name", lambda: watched.names())


@pytest.fixture
def strike(committed: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Strike:
    monkeypatch.setattr(tasks, "sessions", lambda: committed)
    monkeypatch.setattr(strike_watcher, "REFRESH_S", 0.1)
    (tmp_path / "feed").mkdir()
    with committed() as session:
        store = make.make_workspace(session)
        made = make.make_strike(session, store, f"localhost:{tmp_path}/feed", filename_regex=r".*\.txt")
        strikes.active(session, make.NOW)
        session.commit()
        session.expunge(made)
    return made


def statuses(sessions: sessionmaker[Session]) -> dict[str, IngestStatus]:
    with sessions() as session:
        return {each.file_name: each.status for each in session.scalars(select(Ingest))}


def test_files_are_queued_without_any_scan(committed: sessionmaker[Session], strike: Strike, tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    watcher = tasks.watch_directories()
    assert watcher is not None
    try:
        wait_for("the watch", watcher.watched)
        for name in ("a.txt_tmp", "b.txt", "c.dat", "\udcff.txt"):
            drop(feed, name)
        wait_for("what arrived", lambda: len(statuses(committed)) >= 3)
        wait_for("the move", lambda: os.path.exists(feed / "deferred" / "c.dat"))
        (feed / "a.txt_tmp").rename(feed / "a.txt")
        wait_for("its end", lambda: statuses(committed).get("a.txt") is IngestStatus.QUEUED)
        found = statuses(committed)
        assert (found["b.txt"], found["c.dat"]) == (IngestStatus.QUEUED, IngestStatus.DEFERRED)
        with committed() as session:
            queue.cancel(session, session.get_one(Strike, strike.id).job_id, make.NOW)
            session.commit()
        wait_for("the end of the watch", lambda: not watcher.watched())
    finally:
        watcher.stop()
        watcher.join(PATIENCE_S)


def test_a_listing_of_before_takes_no_ingested_file_for_a_new_one(
    committed: sessionmaker[Session], strike: Strike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow listing saw the file; before it was recorded, the watcher had it ingested."""
    feed = tmp_path / "feed"
    drop(feed, "a.txt")
    real = tasks._look

    def slow_look(*args: object) -> object:
        seen = real(*args)
        assert tasks.look_at(strike.id, frozenset({"a.txt"}))
        with committed() as session:
            (row,) = session.scalars(select(Ingest))
            row.status = IngestStatus.INGESTED
            session.commit()
        return seen

    monkeypatch.setattr(tasks, "_look", slow_look)
    assert tasks.scan(tasks.ActiveStrike(strike.id, strike.configuration))
    assert statuses(committed) == {"a.txt": IngestStatus.INGESTED}
    monkeypatch.setattr(tasks, "_look", real)
    assert tasks.scan(tasks.ActiveStrike(strike.id, strike.configuration))
    with committed() as session:
        found = [each.status for each in session.scalars(select(Ingest).order_by(Ingest.id))]
    assert found == [IngestStatus.INGESTED, IngestStatus.QUEUED], "one that lies there then is new"


def test_the_watcher_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tasks.settings()
    monkeypatch.setattr(tasks, "settings", lambda: type(settings).from_environ({"SCALE_STRIKE_INOTIFY": "0"}))
    assert tasks.watch_directories() is None
