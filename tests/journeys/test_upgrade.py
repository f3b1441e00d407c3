"""An upgrade, and the way back, as docs/deployment.md has it: the version before this one really runs, on one database
and one cluster with this one, and jobs run on through all of it.

The version before is the newest tag, or what the newest migration was added to. Without a history there is none.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
from alembic.config import Config
from alembic.script import ScriptDirectory

from scale_core.settings import CHECKOUT
from scale_server import postgres, redis
from tests.devcluster_process import devcluster
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]
WAIT = '\'while [ ! -e "$0" ]; do /bin/sleep 0.05; done; echo one more >> "$0"\' ${gate}'
WAIT_QUIETLY = "': < \"$0\"' ${gate}"  # opens a pipe, which waits until somebody opens its other end
CROWD = 100
GATE = [{"name": "gate", "type": "property"}]
GUIDE = (CHECKOUT / "docs" / "deployment.md").read_text()
BEGUN_AND_ENDED = """
    SELECT count(*), count(*) FILTER (WHERE job_exe.status = 'COMPLETED')
    FROM job_exe JOIN job ON job.id = job_exe.job_id JOIN job_type ON job_type.id = job.job_type_id
    WHERE NOT job_type.is_system"""


def git(*arguments: str) -> bytes:
    ran = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, check=False)
    if ran.returncode:
        pytest.skip(f"no earlier version is known here: {ran.stderr.decode().strip()}")
    return ran.stdout


def commit_before() -> str:
    """That of the newest tag before this commit, else the last one without the newest migration."""
    if git("tag", "--list", "v*", "--merged", "HEAD^"):
        return git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^").decode().strip()
    newest = ScriptDirectory.from_config(Config(CHECKOUT / "alembic.ini")).get_revision("head")
    adding = git("log", "-1", "--diff-filter=A", "--format=%H", "--", newest.path).decode().strip()
    if not adding:
        pytest.skip("the newest migration is not committed yet")
    return git("rev-parse", "--verify", f"{adding}^").decode().strip()


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The version before this one, as a checkout of its own that uses the packages of this one."""
    path = tmp_path / "earlier"
    with tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", commit_before()))) as archive:
        archive.extractall(path, filter="data")
    return path


@pytest.fixture
def services(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A PostgreSQL and a Redis that belong to neither version, and a cluster that outlives both."""
    home = tmp_path / "services"
    with devcluster(tmp_path / "cluster", cpus=4) as cluster:
        try:
            yield {
                "SCALE_DATABASE_URL": postgres.start(home),
                "SCALE_BROKER_URL": redis.start(home),
                "SCALE_MESOS_MASTER": cluster.master,
            }
        finally:
            redis.stop(home)
            postgres.destroy(home)


def head(checkout: Path) -> str:
    config = Config(checkout / "alembic.ini")
    config.set_main_option("script_location", str(checkout / "migrations"))
    return str(ScriptDirectory.from_config(config).get_current_head())


def select(services: dict[str, str], statement: str) -> tuple[Any, ...]:
    connection = psycopg2.connect(services["SCALE_DATABASE_URL"])
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            assert row is not None
            return tuple(row)
    finally:
        connection.close()


def revision(services: dict[str, str]) -> str:
    return str(select(services, "SELECT version_num FROM alembic_version")[0])


class Gated:
    """Jobs that end when they are let go; each says once in its gate that it ran."""

    def __init__(self, directory: Path, kind: dict[str, Any]) -> None:
        self.directory, self.kind = directory, kind
        self.jobs: dict[str, int] = {}

    def start(self, scale: Scale, name: str) -> None:
        inputs = [{"name": "gate", "value": str(self.directory / name)}]
        self.jobs[name] = scale.queue(self.kind, input_data=inputs, output_data=[])
        scale.until(self.jobs[name], "RUNNING")

    def end(self, scale: Scale, name: str) -> None:
        gate = self.directory / name
        gate.touch()
        job = scale.until(self.jobs[name], "COMPLETED")
        assert len(job["job_exes"]) == 1, "no version takes a job from the other one"
        assert gate.read_text() == "one more\n"


class Reader(threading.Thread):
    """Asks for jobs all the time, of the first API that takes the connection, as a proxy in front would."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self.addresses, self.failed, self.answered = [*addresses], list[str](), 0
        self._is_over = threading.Event()

    def run(self) -> None:
        session = requests.Session()
        session.trust_env = False
        while not self._is_over.wait(0.05):
            self._ask(session)
        session.close()

    def _ask(self, session: requests.Session) -> None:
        refused = ""
        for address in list(self.addresses):
            try:
                response = session.get(f"{address}jobs/?page_size=5", timeout=60)
            except requests.RequestException as error:
                refused = str(error)
                continue
            self.answered += 1
            if not response.ok:
                self.failed.append(response.text)
            return
        self.failed.append(refused)

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_over.set()
        self.join()


def test_there_and_back_with_jobs_that_run(earlier: Path, services: dict[str, str], tmp_path: Path) -> None:
    with scale_process.scale(tmp_path / "old", earlier, **services) as old:
        assert revision(services) == head(earlier) != head(CHECKOUT)
        fields = {"inputs": GATE, "timeout": 3600}
        gated = Gated(tmp_path, old.make_job_type("gated", "/bin/sh -c", WAIT, **fields))
        small = {**fields, "cpus_required": 0.01, "mem_required": 8}
        waiting = old.make_job_type("waiting", "/bin/sh -c", WAIT_QUIETLY, **small)
        os.mkfifo(tmp_path / "crowd")
        for name in ("begun by the old", "old to new", "through all"):
            gated.start(old, name)

        crowd = [
            old.queue(waiting, input_data=[{"name": "gate", "value": str(tmp_path / "crowd")}]) for _ in range(CROWD)
        ]
        running = "SELECT count(*) FROM job_exe WHERE status = 'RUNNING'"
        wait_for("all to run", lambda: select(services, running)[0] == CROWD + len(gated.jobs), 180.0)

        with Reader(old.address) as reader, scale_process.scale(tmp_path / "new", **services) as new:
            reader.addresses.append(new.address)
            assert revision(services) == head(CHECKOUT), "the new version migrates while the old one runs"
            gated.end(old, "begun by the old")
            gated.start(old, "queued at the old beside the new")
            gated.start(new, "queued at the new beside the old")
            gated.end(new, "queued at the old beside the new")
            gated.end(old, "queued at the new beside the old")

            old.process.terminate()
            old.process.wait(60)
            wait_for("the new scheduler to lead", lambda: new.get("status/")["scheduler"]["is_online"])
            gated.end(new, "old to new")
            gated.start(new, "new to old")
            gated.start(new, "begun by the new")
            gated.end(new, "begun by the new")
            reader.stop()
            assert reader.failed == []
            assert reader.answered > 0

    (back,) = re.findall(r"^(deploy/run migrate-back) REVISION$", GUIDE, re.MULTILINE)
    subprocess.run([*back.split(), head(earlier)], cwd=CHECKOUT, env={**os.environ, **services}, check=True)
    with scale_process.scale(tmp_path / "old", earlier, **services) as old:
        assert revision(services) == head(earlier)
        for name in ("new to old", "through all"):
            gated.end(old, name)
        gated.start(old, "after all")
        gated.end(old, "after all")
        with (tmp_path / "crowd").open("w"):
            for job in crowd:
                assert len(old.until(job, "COMPLETED")["job_exes"]) == 1
    begun, completed = select(services, BEGUN_AND_ENDED)
    assert begun == completed == CROWD + len(gated.jobs)
