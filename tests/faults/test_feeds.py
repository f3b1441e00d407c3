"""Feeds that are too much or in the way: 20,000 files at once, a mount that hangs, a workspace that is full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from scale_core import patience
from scale_core.db.file import Workspace
from scale_core.db.ingest import Ingest, Strike
from scale_core.services import strike as strikes
from scale_core.settings import CHECKOUT
from scale_worker import strike_watcher
from scale_worker.tasks import ingest as tasks
from tests import factories as make
from tests.patience import PATIENCE_S, wait_for
from tests.worker.executions import Bench
from tests.worker.test_executor_ingest import drop, files, ingest, item

MANY = 20_000
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount file systems")


@pytest.fixture
def make_strike(committed: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Strike]:
    """A Strike for *.txt whose job is RUNNING."""
    monkeypatch.setattr(tasks, "sessions", lambda: committed)

    def make_one(directory: Path) -> Strike:
        directory.mkdir(exist_ok=True)
        with committed() as session:
            store = session.scalar(select(Workspace)) or make.make_workspace(session)
            made = make.make_strike(session, store, f"localhost:{directory}", filename_regex=r".*\.txt")
            strikes.active(session, make.NOW)
            session.commit()
            session.expunge(made)
        return made

    return make_one


def statuses(sessions: sessionmaker[Session], strike: Strike) -> Counter[str]:
    with sessions() as session:
        query = select(Ingest.status, func.count()).where(Ingest.strike_id == strike.id).group_by(Ingest.status)
        return Counter({status.value: count for status, count in session.execute(query)})


def error_of(sessions: sessionmaker[Session], strike: Strike) -> str | None:
    with sessions() as session:
        return session.get_one(Strike, strike.id).last_error


# ------------------------------------------------------------------------------------------------- row 15


def test_twenty_thousand_files_at_once(
    committed: sessionmaker[Session], make_strike: Callable[[Path], Strike], tmp_path: Path,
) -> None:  # fmt: skip
    """Scans and inotify at the same time, whose queue overflows; files that grow, vanish and come twice among them."""
    feed, hidden = tmp_path / "feed", tmp_path / "hidden"
    strike = make_strike(feed)
    hidden.mkdir()
    for number in range(MANY):
        (hidden / f"{number}.txt").touch()
    growing = (feed / "growing.txt_tmp").open("w")
    (feed / "vanishing.txt_tmp").touch()
    watcher = tasks.watch_directories()
    assert watcher is not None
    try:
        wait_for("the two in transfer", lambda: statuses(committed, strike)["TRANSFERRING"] == 2)
        scanning = threading.Thread(target=scan_until, args=(committed, strike, MANY))
        scanning.start()
        for number in range(MANY):
            (hidden / f"{number}.txt").rename(feed / f"{number}.txt")
            if number % 1000 == 0:
                growing.write("x" * 1000)
                growing.flush()
        (feed / "vanishing.txt_tmp").unlink()
        scanning.join()
        growing.close()
        (feed / "growing.txt_tmp").rename(feed / "growing.txt")
        wait_for(
            "all of them", lambda: statuses(committed, strike) == {"QUEUED": MANY + 1, "ERRORED": 1} or scan(strike)
        )
    finally:
        watcher.stop()
        watcher.join(PATIENCE_S)
    with committed() as session:
        names = Counter(session.scalars(select(Ingest.file_name)))
        assert names == Counter([*(f"{n}.txt" for n in range(MANY)), "growing.txt", "vanishing.txt"])
        grown = session.scalars(select(Ingest).where(Ingest.file_name == "growing.txt")).one()
        assert grown.file_size == (feed / "growing.txt").stat().st_size == MANY
        jobs = session.scalar(select(func.count(Ingest.job_id.distinct())))
        assert jobs is not None
        assert jobs < MANY / 10, "many share an execution"


def scan(strike: Strike) -> None:
    tasks.scan(strikes.ActiveStrike(strike.id, strike.configuration))


def scan_until(sessions: sessionmaker[Session], strike: Strike, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while statuses(sessions, strike)["QUEUED"] < count and time.monotonic() < deadline:
        scan(strike)
        time.sleep(0.2)


# ------------------------------------------------------------------------------------------------- row 14


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A directory in user space with one file, and the process behind it, which can be stopped."""
    point = tmp_path / "mounted"
    point.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "faults.fuse_directory", str(point), "far.txt"],
        cwd=CHECKOUT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "mounted\n":
            pytest.skip("FUSE is not to be had here")
        yield point, process
    finally:
        process.kill()  # whoever waits for it gets an error
        process.wait()
        subprocess.run(["umount", "-l", str(point)], check=False)


@needs_root
def test_a_mount_that_hangs_stalls_its_own_strike_and_shows_it(
    committed: sessionmaker[Session],
    make_strike: Callable[[Path], Strike],
    mount: tuple[Path, subprocess.Popen[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(strike_watcher, "REFRESH_S", 0.2)
    point, process = mount
    far, near = make_strike(point), make_strike(tmp_path / "near")
    wait_for("its file", lambda: scan(far) or statuses(committed, far) == {"QUEUED": 1})
    assert error_of(committed, far) is None
    watcher = tasks.watch_directories()
    assert watcher is not None
    try:
        wait_for("the near one's watch", lambda: watcher.watched() == {near.id})
        os.kill(process.pid, signal.SIGSTOP)
        monkeypatch.setattr(patience, "PATIENCE_S", 1.0)
        scan(far)
        assert "does not answer; its mount seems to hang" in (error_of(committed, far) or "")
        (tmp_path / "near" / "a.txt").touch()
        wait_for("the near one's file, by inotify", lambda: statuses(committed, near) == {"QUEUED": 1})
        (tmp_path / "near" / "b.dat").touch()
        wanted = {"QUEUED": 1, "DEFERRED": 1}
        wait_for("the near one's scan", lambda: scan(near) or statuses(committed, near) == wanted)
        assert error_of(committed, near) is None
        for _ in range(5):
            scan(far)
        hanging = [each for each in threading.enumerate() if each.name == f"touching localhost:{point}"]
        assert len(hanging) <= 2, "one of the scans and one of the watcher, not one for each scan"
        os.kill(process.pid, signal.SIGCONT)
        wait_for("it to be well again", lambda: scan(far) or error_of(committed, far) is None)
        assert statuses(committed, far) == {"QUEUED": 1}
        assert watcher.watched() == {near.id}, "inotify hears nothing of a mount"
    finally:
        os.kill(process.pid, signal.SIGCONT)
        watcher.stop()
        watcher.join(PATIENCE_S)


@needs_root
def test_no_strike_is_made_of_a_mount_that_hangs(
    shared_app: Flask,
    committed: sessionmaker[Session],
    mount: tuple[Path, subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 0.5)
    monkeypatch.setitem(shared_app.extensions, "scale_sessions", committed)
    point, process = mount
    with committed() as session:
        configuration = make.strike_configuration(make.make_workspace(session), f"localhost:{point}")
        session.commit()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        client = shared_app.test_client()
        for path in ("/strikes/validation/", "/strikes/"):
            answer = client.post(path, json={"name": "s", "configuration": configuration})
            assert answer.status_code == 400
            assert "configuration.mount" in answer.text
            assert "does not answer" in answer.text
    finally:
        os.kill(process.pid, signal.SIGCONT)


# ------------------------------------------------------------------------------------------------- row 13


@needs_root
def test_a_workspace_that_is_full(tmp_path: Path) -> None:
    """The file stays where it was, nothing is left half in the workspace, and with room again it is ingested."""
    bench = Bench(tmp_path)
    drop(bench, content=b"x" * 3 * 2**20)
    store = bench.workspace
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(store)], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        outcome = ingest(bench, item(bench))
        assert (outcome.succeeded, outcome.error) == (False, "filesystem-io")
        assert "No space left on device" in (outcome.ingests[0].error or "")
        assert files(bench) == ["ingesting/3/a.png"]
        assert bench.stored() == {}, "not even a temporary file"
        subprocess.run(["mount", "-o", "remount,size=8m", str(store)], check=True)
        assert ingest(bench, item(bench)).succeeded
        assert bench.stored() == {"2026/11/22/a.png": b"x" * 3 * 2**20}
    finally:
        subprocess.run(["umount", "-l", str(store)], check=False)
