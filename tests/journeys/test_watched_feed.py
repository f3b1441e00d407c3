"""A Strike's directory, watched by the worker's own process: nothing waits for the next scan, which is far off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

pytestmark = pytest.mark.journey
RULE = {"filename_regex": r".*\.txt", "data_types": [], "workspace_path": "in", "workspace_name": "texts"}


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scale]:
    home = tmp_path_factory.mktemp("watched")
    try:
        with scale_process.scale(home, SCALE_STRIKE_SCAN_S="3600") as running:
            running.make_workspace("texts")
            yield running
    finally:
        postgres.destroy(home)


@pytest.fixture(scope="module")
def feed(scale: Scale) -> tuple[int, Path]:
    made = scale.make_strike("watched", [RULE])
    wait_for("its job", lambda: scale.get(f"strikes/{made[0]}/")["job"]["status"] == "RUNNING")
    return made


def test_files_are_ingested_between_scans(scale: Scale, feed: tuple[int, Path]) -> None:
    for name in ("one.txt", "two.txt"):
        assert scale.content(scale.ingest_file(feed[1], name, name.encode())["id"]) == name.encode()
    shown = scale.get(f"strikes/{feed[0]}/")
    assert (shown["lag"], shown["errors"], shown["last_error"]) == (0, 0, None)
    assert [each["status"] for each in shown["job"]["job_exes"]] == ["RUNNING"]


def test_the_watch_comes_back_with_the_directory_the_edit_and_the_worker(scale: Scale, feed: tuple[int, Path]) -> None:
    strike_id, directory = feed
    directory.joinpath("ingesting").rmdir()
    directory.rmdir()
    directory.mkdir()
    assert scale.ingest_file(directory, "again.txt", b"again")

    other = directory.with_name("other")
    other.mkdir()
    configuration = scale_process.strike_configuration(other, [RULE])
    scale.patch(f"strikes/{strike_id}/", {"configuration": configuration})
    assert scale.ingest_file(other, "edited.txt", b"edited")

    scale.kill("worker")
    assert scale.ingest_file(other, "killed.txt", b"killed")


def test_a_stopped_strike_is_not_watched_until_it_is_resumed(scale: Scale, feed: tuple[int, Path]) -> None:
    strike_id, directory = feed
    job_id = scale.get(f"strikes/{strike_id}/")["job"]["id"]
    scale.patch(f"jobs/{job_id}/", {"status": "CANCELED"})
    other = directory.with_name("other")
    (other / "stopped.txt").write_text("stopped")
    marker, waiting = scale.make_strike("marker", [RULE])
    assert scale.ingest_file(waiting, "marker.txt", b"marker"), "another one goes on"
    assert marker
    assert scale.results("ingests/", file_name="stopped.txt") == []

    scale.post("queue/requeue-jobs/", {"job_ids": [job_id]})
    assert scale.ingest_until("stopped.txt", "INGESTED")["file_size"] == len("stopped")
    shown = scale.get(f"strikes/{strike_id}/")
    assert [each["status"] for each in shown["job"]["job_exes"]] == ["RUNNING", "CANCELED"]
