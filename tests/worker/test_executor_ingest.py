"""Ingest executions: files move from a Strike's directory into a workspace, whatever happens on the way."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from scale_core.domain.execution import IngestItem, IngestOutcome, Outcome
from scale_worker import strike_directory
from scale_worker.executor.cancel import Cancellation
from tests.worker.executions import WORKSPACE, Bench

CHECKSUM = hashlib.sha256(b"content").hexdigest()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    (tmp_path / "strike").mkdir()
    return bench


def item(bench: Bench, name: str = "a.png", **more: Any) -> IngestItem:
    values = {
        "ingest_id": 3,
        "mount": f"localhost:{bench.root}/strike",
        "file_name": name,
        "workspace_id": WORKSPACE,
        "file_path": f"2026/11/22/{name}",
    }
    return IngestItem(**{**values, **more})


def ingest(bench: Bench, *items: IngestItem) -> Outcome:
    return bench.run(bench.spec(action="ingest", ingests=items))


def drop(bench: Bench, name: str = "a.png", content: bytes = b"content") -> Path:
    path = bench.root / "strike" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files(bench: Bench) -> list[str]:
    strike = bench.root / "strike"
    return sorted(str(path.relative_to(strike)) for path in strike.rglob("*") if not path.is_dir())


STORED = IngestOutcome(3, "stored", 7, CHECKSUM, "image/png")


def test_ingest_and_again(bench: Bench) -> None:
    drop(bench)
    for _ in range(2):
        outcome = ingest(bench, item(bench, known_checksums=("other",)))
        assert (outcome.succeeded, outcome.error, outcome.job.exit_code) == (True, None, 0)
        assert outcome.ingests == (STORED,)
        assert bench.stored() == {"2026/11/22/a.png": b"content"}
        assert files(bench) == ["ingesting/3/a.png"], "the original waits for the database"


def test_interrupted_after_each_half_of_the_move(bench: Bench) -> None:
    source = drop(bench)
    (bench.root / "strike/ingesting/3").mkdir(parents=True)
    os.link(source, bench.root / "strike/ingesting/3/a.png")
    assert ingest(bench, item(bench)).ingests == (STORED,)
    assert files(bench) == ["ingesting/3/a.png"]


def test_a_new_file_of_the_same_name_waits(bench: Bench) -> None:
    drop(bench)
    ingest(bench, item(bench))
    drop(bench, content=b"newer")
    assert ingest(bench, item(bench)).ingests == (STORED,)
    assert files(bench) == ["a.png", "ingesting/3/a.png"]


def test_duplicates_are_set_aside(bench: Bench) -> None:
    for number, expected in enumerate(["duplicate/a.png", "duplicate/1_a.png", "duplicate/2_a.png"]):
        drop(bench)
        outcome = ingest(bench, item(bench, known_checksums=(CHECKSUM,)))
        assert outcome.succeeded
        assert outcome.ingests == (IngestOutcome(3, "duplicate", 7, CHECKSUM, "image/png"),)
        assert expected in files(bench)
        assert len(files(bench)) == number + 1
    assert bench.stored() == {}
    again = ingest(bench, item(bench, known_checksums=(CHECKSUM,)))
    assert again.ingests[0].result == "duplicate", "its outcome may have been lost"


def test_a_duplicate_to_be_discarded_waits_for_the_database(bench: Bench) -> None:
    drop(bench)
    for _ in range(2):
        outcome = ingest(bench, item(bench, known_checksums=(CHECKSUM,), discard_duplicate=True))
        assert outcome.ingests == (IngestOutcome(3, "duplicate", 7, CHECKSUM, "image/png"),)
    assert files(bench) == ["ingesting/3/a.png"]
    assert bench.stored() == {}


def test_same_name_with_other_content_is_an_error(bench: Bench) -> None:
    drop(bench)
    bench.put("2026/11/22/a.png", b"other")
    outcome = ingest(bench, item(bench))
    assert (outcome.succeeded, outcome.error) == (False, "filesystem-io")
    assert "other content" in (outcome.ingests[0].error or "")
    assert bench.stored() == {"2026/11/22/a.png": b"other"}
    assert files(bench) == ["ingesting/3/a.png"], "nothing is lost"


@pytest.mark.parametrize("name", ["absent", "link", "pipe", "directory", "../a.png", "", "..", "x\0y", "a/b"])
def test_what_is_no_file(bench: Bench, name: str) -> None:
    strike = bench.root / "strike"
    drop(bench, "../outside")
    (strike / "link").symlink_to(bench.root / "outside")
    os.mkfifo(strike / "pipe")
    (strike / "directory").mkdir()
    before = files(bench)
    outcome = ingest(bench, item(bench, name))
    assert not outcome.succeeded
    assert outcome.ingests[0].result == "error"
    assert outcome.ingests[0].error
    assert files(bench) == before
    assert bench.stored() == {}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"mount": "nas:/data"}, "SCALE_MOUNTS"),
        ({"mount": "localhost:/no/such/directory"}, "does not exist"),
        ({"mount": "nonsense"}, "host:/path"),
        ({"workspace_id": 9}, "no workspace"),
        ({"file_path": "../outside"}, "not a path relative"),
    ],
)
def test_bad_places(bench: Bench, more: dict[str, Any], words: str) -> None:
    drop(bench)
    outcome = ingest(bench, item(bench, **more))
    assert not outcome.succeeded
    assert outcome.error
    assert words in outcome.message
    assert words in (outcome.ingests[0].error or "")
    assert len(files(bench)) == 1
    assert not (bench.root / "outside").exists()


def test_one_bad_file_does_not_stop_the_others(bench: Bench) -> None:
    names = ["with blank", "new\nline", "ünï", "x" * 255, "-rf"]
    for name in names:
        drop(bench, name)
    items = [item(bench, name, ingest_id=number) for number, name in enumerate(names)]
    outcome = ingest(bench, *items, item(bench, "absent", ingest_id=99))
    assert [result.result for result in outcome.ingests] == ["stored"] * len(names) + ["error"]
    assert not outcome.succeeded
    assert {path.rpartition("/")[2] for path in bench.stored()} == set(names)


def test_a_file_that_is_still_written_to_is_not_stored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drop(bench, content=b"x" * 3 * 2**20)
    growing = path.open("ab")
    real = Cancellation.check

    def check(self: Cancellation) -> None:
        growing.write(b"more")
        growing.flush()
        real(self)

    monkeypatch.setattr(Cancellation, "check", check)
    outcome = ingest(bench, item(bench))
    assert not outcome.succeeded
    assert "was written to while it was read; it is not complete yet" in (outcome.ingests[0].error or "")
    assert bench.stored() == {}
    growing.close()
    monkeypatch.setattr(Cancellation, "check", real)
    assert ingest(bench, item(bench)).succeeded
    (stored,) = bench.stored().values()
    assert stored == (bench.root / "strike/ingesting/3/a.png").read_bytes()
    assert len(stored) > 3 * 2**20


def test_what_was_written_after_it_had_been_stored_is_not_lost(bench: Bench) -> None:
    drop(bench)
    assert ingest(bench, item(bench)).succeeded
    with (bench.root / "strike/ingesting/3/a.png").open("ab") as growing:
        growing.write(b" and more")
    strike_directory.remove_originals(bench.root / "strike", 3, 7)
    assert files(bench) == ["a.png"]
    assert (bench.root / "strike/a.png").read_bytes() == b"content and more"
    assert ingest(bench, item(bench, ingest_id=4)).succeeded is False, "never onto the other file"
    assert files(bench) == ["ingesting/4/a.png"]
    drop(bench, content=b"newer")
    strike_directory.remove_originals(bench.root / "strike", 4, 7)
    assert files(bench) == ["a.png", "ingesting/4/a.png"], "nor onto one that arrived meanwhile"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_whom_the_place_belongs_to(bench: Bench) -> None:
    """An executor is root and a worker is not: it has to remove the original, and files of the workspace later."""
    for place in (bench.root / "strike", bench.workspace):
        os.chown(place, 7274, 7275)
    drop(bench)
    assert ingest(bench, item(bench)).ingests == (STORED,)
    made = [*(bench.root / "strike").glob("**"), *bench.workspace.rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(7274, 7275)}
    assert len(made) == 3 + 4
