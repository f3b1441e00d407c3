"""Scans of real directories by the celery task's code, on a real PostgreSQL."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core import patience
from scale_core.db.ingest import Ingest, Strike
from scale_core.documents import strike_configuration
from scale_core.errors import Conflict, Invalid
from scale_core.services.strike import ActiveStrike
from scale_worker.tasks import ingest as tasks
from tests import factories as make


@pytest.fixture(autouse=True)
def own_sessions(sessions: Callable[[], Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "sessions", lambda: sessions)


def make_strike(session: Session, directory: Path) -> Strike:
    directory.mkdir()
    strike = make.make_strike(
        session, make.make_workspace(session), f"localhost:{directory}", filename_regex=r"(?s).*\.txt"
    )
    session.commit()
    return strike


def scan(session: Session, strike: Strike) -> dict[str, str]:
    tasks.scan(ActiveStrike(strike.id, strike.configuration))
    session.expire_all()
    rows = session.scalars(select(Ingest).where(Ingest.strike_id == strike.id))
    return {row.file_name: row.status.value for row in rows}


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """hang(directory): the kernel does not answer whoever lists it, as with a mount whose server is gone."""
    real, back, stuck = os.scandir, threading.Event(), set()

    def scandir(path: Any = ".") -> Any:
        if Path(path) in stuck:
            back.wait(60)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(patience, "PATIENCE_S", 0.2)
    yield stuck.add
    back.set()


def test_a_mount_that_hangs_stalls_its_own_strike_only(
    session: Session, tmp_path: Path, hang: Callable[[Path], None]
) -> None:
    stuck, well = make_strike(session, tmp_path / "stuck"), make_strike(session, tmp_path / "well")
    hang(tmp_path / "stuck")
    for name in ("stuck", "well"):
        (tmp_path / name / "a.txt").write_text("x")
    for _ in range(2):
        assert scan(session, stuck) == {}
        assert "does not answer" in (stuck.last_error or "")
        assert scan(session, well) == {"a.txt": "QUEUED"}
    assert (well.last_error, well.files_seen) == (None, 1)


def test_whatever_lies_there_has_one_right_end(session: Session, tmp_path: Path) -> None:
    directory = tmp_path / "feed"
    strike = make_strike(session, directory)
    names = ["line\nbreak.txt", "\u202egnp.txt", "n" * 251 + ".txt", "a.txt_tmp", "b_tmp.txt", "c.txt_tmp_tmp"]
    for name in [*names, "deferred.dat"]:
        (directory / name).write_text("x")
    with open(os.fsencode(directory) + b"/\xff.txt", "w") as odd:
        odd.write("x")
    os.mkfifo(directory / "pipe.txt")
    (directory / "directory.txt").mkdir()
    (directory / "link.txt").symlink_to("/etc/passwd")
    expected = dict.fromkeys(names, "QUEUED") | {"deferred.dat": "DEFERRED"}
    del expected["a.txt_tmp"], expected["c.txt_tmp_tmp"]
    expected |= {"a.txt": "TRANSFERRING", "c.txt_tmp": "TRANSFERRING", "\\xff.txt": "ERRORED"}
    for _ in range(2):
        assert scan(session, strike) == expected
    assert strike.files_seen == len(names) + 1, "what was deferred has been moved"
    assert os.path.exists(os.fsencode(directory) + b"/\xff.txt")
    assert os.listdir(directory / "deferred") == ["deferred.dat"]
    (directory / "a.txt_tmp").unlink()
    assert scan(session, strike)["a.txt"] == "ERRORED"
    rows = session.scalars(select(Ingest).where(Ingest.strike_id == strike.id)).all()
    assert len(rows) == len(expected), "each has one"


def test_a_name_that_is_no_text_is_shown_once_with_what_to_do(
    session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "feed"
    strike = make_strike(session, directory)
    odd, arriving = os.fsencode(directory) + b"/caf\xe9 \xe2\x98\x83.txt", os.fsencode(directory) + b"/\xe9.txt_tmp"
    for path in (odd, arriving, os.fsencode(directory / "caf\\xe9 ☃.txt")):
        with open(path, "w") as file:
            file.write("x")
    for _ in range(3):
        assert set(scan(session, strike)) == {"caf\\xe9 ☃.txt"}
        rows = session.scalars(select(Ingest).where(Ingest.strike_id == strike.id).order_by(Ingest.status)).all()
        assert [row.status.value for row in rows] == ["ERRORED", "QUEUED"], "another file is called like that"
    assert rows[0].reason == tasks.arrival.UNREADABLE_NAME
    assert strike.errors == 1
    with pytest.raises(Conflict, match="rename the file"):
        tasks.ingest.retry(session, rows[0].id, make.NOW)
    assert caplog.text.count("leaves 'caf\\xe9 ☃.txt' where it is") == 1
    os.rename(odd, directory / "café.txt")
    assert scan(session, strike)["café.txt"] == "QUEUED"


def test_an_edit_is_in_force_with_the_next_scan(session: Session, tmp_path: Path) -> None:
    strike = make_strike(session, tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "b.txt").write_text("x")
    assert scan(session, strike) == {}
    changed = {**strike.configuration, "mount": f"localhost:{tmp_path}/two"}
    tasks.strike.edit(session, strike.id, {"configuration": changed}, make.NOW)
    session.commit()
    tasks.scan_strikes()
    session.expire_all()
    assert [each.file_name for each in session.scalars(select(Ingest))] == ["b.txt"]


def test_ten_thousand_steps_of_backtracking_are_one_in_re2(session: Session, tmp_path: Path) -> None:
    """A regular expression that takes `re` 8 seconds for 28 characters; names have up to 255 bytes."""
    directory = tmp_path / "feed"
    directory.mkdir()
    regex = {"filename_regex": "^(a+)+$"}
    strike = make.make_strike(session, make.make_workspace(session), f"localhost:{directory}", **regex)
    session.commit()
    for number in range(10):
        (directory / ("a" * (240 + number) + "!")).write_text("x")
    assert set(scan(session, strike).values()) == {"DEFERRED"}


def test_a_name_of_any_length_is_matched_in_linear_time() -> None:
    rule = {"filename_regex": "(a+)+$", "workspace_path": "", "workspace_name": "w"}
    document = {"version": "1.0", "mount": "localhost:/in", "transfer_suffix": "_tmp", "files_to_ingest": [rule]}
    config = strike_configuration.parse(document)
    assert config.rule_for("a" * 10_000 + "!") is None
    assert config.rule_for("a" * 10_000) is not None


@pytest.mark.parametrize("regex", ["(?=a)b", "(?<!a)b", r"(a)\1", "(?P<n>a)(?P=n)", "a{2000}{2000}"])
def test_expressions_that_need_more_than_linear_time_are_refused(session: Session, regex: str) -> None:
    configuration = make.strike_configuration(make.make_workspace(session), filename_regex=regex)
    with pytest.raises(Invalid, match=r"filename_regex: .* is not a regular expression that RE2 understands"):
        tasks.strike.create(session, {"name": "s", "configuration": configuration}, make.NOW)
