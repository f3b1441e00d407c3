"""Strikes over REST while workers scan: created, watched, edited, stopped, resumed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.ingest import Ingest
from scale_core.domain.ingest import IngestStatus
from scale_core.timestamps import utcnow
from scale_worker.tasks import ingest as tasks
from tests import factories


class Feed:
    """A Strike made over REST, its directory, and what REST says of it."""

    def __init__(self, client: FlaskClient, session: Session, directory: Path) -> None:
        self.client, self.directory = client, directory
        self.store = factories.make_workspace(session)
        session.commit()
        directory.mkdir()
        body = {"name": "feed", "title": "Feed", "configuration": self.configuration()}
        answer = client.post("/strikes/", json=body)
        assert answer.status_code == 201, answer.text
        self.made: Any = answer.json
        self.path = f"/strikes/{self.made['id']}/"

    def configuration(self, directory: Path | None = None, **rule: Any) -> dict[str, Any]:
        return factories.strike_configuration(self.store, f"localhost:{directory or self.directory}", **rule)

    def drop(self, name: str, directory: Path | None = None) -> None:
        ((directory or self.directory) / name).write_text("x")

    def shown(self) -> Any:
        """As a list and its details show it: they agree."""
        answer = self.client.get(self.path)
        assert answer.status_code == 200, answer.text
        listed = self.client.get("/strikes/?name=feed").json["results"][0]
        assert {**listed, "lag": None} == {
            **{name: answer.json[name] for name in listed},
            "job": {"id": answer.json["job"]["id"]},
            "lag": None,
        }
        return answer.json

    def executions(self) -> list[str]:
        return [each["status"] for each in self.shown()["job"]["job_exes"]]

    def names(self) -> set[str]:
        answer = self.client.get(f"/ingests/?strike_id={self.made['id']}")
        return {each["file_name"] for each in answer.json["results"]}


@pytest.fixture
def session(committed: sessionmaker[Session]) -> Iterator[Session]:
    with committed() as made:
        yield made


@pytest.fixture
def feed(
    shared_app: Flask,
    session: Session,
    committed: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Feed:
    """REST and the worker commit for themselves, as they do in production."""
    monkeypatch.setitem(shared_app.extensions, "scale_sessions", committed)
    monkeypatch.setattr(tasks, "sessions", lambda: committed)
    return Feed(shared_app.test_client(), session, tmp_path / "feed")


def test_a_strike_shows_its_job_running_with_its_execution(feed: Feed) -> None:
    assert (feed.made["job"]["status"], feed.executions()) == ("QUEUED", ["QUEUED"])
    assert (feed.made["last_scan"], feed.made["files_seen"], feed.made["lag"], feed.made["errors"]) == (None, 0, 0, 0)
    feed.drop("a.txt")
    tasks.scan_strikes()
    shown = feed.shown()
    assert (shown["job"]["status"], feed.executions()) == ("RUNNING", ["RUNNING"])
    assert shown["job"]["job_exes"][0]["started"] is not None
    assert (shown["files_seen"], shown["last_error"], shown["last_scan"] is not None) == (1, None, True)
    job = feed.client.get(f"/jobs/{shown['job']['id']}/").json
    assert (job["status"], [each["status"] for each in job["job_exes"]]) == ("RUNNING", ["RUNNING"])


def test_lag_is_the_age_of_the_oldest_file_that_waits(feed: Feed, session: Session) -> None:
    for name in ("a.txt", "b.txt_tmp", "c.txt"):
        feed.drop(name)
    tasks.scan_strikes()
    rows = {each.file_name: each for each in session.scalars(select(Ingest))}
    for name, hours in (("a.txt", 3), ("b.txt", 2), ("c.txt", 1)):
        rows[name].created = utcnow() - timedelta(hours=hours)
    session.commit()

    def lag_h() -> float:
        session.commit()
        return round(feed.shown()["lag"] / 3600, 1)

    assert lag_h() == 3
    rows["a.txt"].status = IngestStatus.INGESTED
    assert lag_h() == 2, "a file in transfer waits too"
    rows["b.txt"].status = IngestStatus.ERRORED
    assert (lag_h(), feed.shown()["errors"]) == (1, 1)
    rows["c.txt"].status = IngestStatus.DUPLICATE
    assert (lag_h(), feed.shown()["errors"]) == (0, 1)
    rows["b.txt"].created = utcnow() + timedelta(hours=1)
    rows["b.txt"].status = IngestStatus.QUEUED
    assert (lag_h(), feed.shown()["errors"]) == (0, 0), "no clock that was set back makes it negative"


def test_errors_of_the_directory_are_shown_and_end(feed: Feed) -> None:
    feed.directory.rename(feed.directory.with_name("away"))
    tasks.scan_strikes()
    sentence = f"the directory {feed.directory} cannot be listed: No such file or directory"
    assert feed.shown()["last_error"] == sentence
    assert feed.client.get(f"/jobs/{feed.made['job']['id']}/").json["reason"] == sentence
    assert feed.executions() == ["RUNNING"]
    feed.directory.with_name("away").rename(feed.directory)
    tasks.scan_strikes()
    assert feed.shown()["last_error"] is None


def test_an_edit_is_in_force_with_the_next_scan(feed: Feed, tmp_path: Path) -> None:
    tasks.scan_strikes()
    other = tmp_path / "other"
    other.mkdir()
    feed.drop("old.txt")
    feed.drop("new.txt", other)
    feed.drop("new.dat", other)
    configuration = feed.configuration(other, filename_regex=r".*\.txt")
    edited = feed.client.patch(feed.path, json={"title": "Other", "configuration": configuration})
    assert (edited.status_code, edited.json["title"], edited.json["configuration"]["mount"]) == (
        200,
        "Other",
        f"localhost:{other}",
    )
    tasks.scan_strikes()
    assert feed.names() == {"new.txt", "new.dat"}
    found = feed.client.get("/ingests/?status=DEFERRED").json["results"]
    assert [each["file_name"] for each in found] == ["new.dat"]
    assert feed.executions() == ["RUNNING"], "an edit does not start it anew"


def test_a_strike_is_stopped_and_resumed_by_its_job(feed: Feed) -> None:
    tasks.scan_strikes()
    job_id = feed.made["job"]["id"]
    stopped = feed.client.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
    assert stopped.status_code == 200, stopped.text
    feed.drop("a.txt")
    tasks.scan_strikes()
    assert tasks.look_at(feed.made["id"], frozenset({"a.txt"})), "what the watcher still tells is not looked at"
    assert feed.names() == set()
    assert (feed.shown()["job"]["status"], feed.executions()) == ("CANCELED", ["CANCELED"])
    resumed = feed.client.post("/queue/requeue-jobs/", json={"job_ids": [job_id]})
    assert resumed.status_code == 200, resumed.text
    assert (feed.shown()["job"]["status"], feed.executions()) == ("QUEUED", ["QUEUED", "CANCELED"])
    tasks.scan_strikes()
    assert feed.names() == {"a.txt"}
    assert (feed.shown()["job"]["status"], feed.executions()) == ("RUNNING", ["RUNNING", "CANCELED"])
