"""A real PostgreSQL with PostGIS, migrated and seeded; a session per test that is rolled back."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from scale_api import create_app
from scale_core import seed
from scale_core.db import Base
from scale_core.db.session import make_engine, make_sessions, transaction
from scale_core.settings import Settings
from scale_core.timestamps import utcnow
from scale_server import postgres, redis
from tests import prepared
from tests.stage import Stage, rolled_back

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def pytest_configure(config: pytest.Config) -> None:
    if not _is_worker(config):
        prepared.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        prepared.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is loaded for thousands of tests is no garbage; looking for some would make it take half as long again."""
    gc.disable()
    yield
    gc.collect()
    gc.freeze()
    gc.enable()


def _is_worker(config: pytest.Config) -> bool:
    """Whether this is one of the processes of `pytest -n`, and not the one that has started them."""
    return hasattr(config, "workerinput")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need containers are skipped where no engine can run, with the reason; never with CI=true."""
    reason = os.environ.get("SCALE_TEST_NO_DOCKER", "")
    if not reason:
        return
    if os.environ.get("CI") == "true":
        raise pytest.UsageError(f"CI=true asks for container tests, but there is no Docker Engine: {reason}")
    for item in items:
        if item.get_closest_marker("docker"):
            item.add_marker(pytest.mark.skip(reason=f"no Docker Engine: {reason}"))


@pytest.fixture(scope="session")
def services_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Home of the PostgreSQL and Redis of this test run."""
    home = tmp_path_factory.mktemp("services")
    yield home
    redis.stop(home)
    postgres.destroy(home)


@pytest.fixture(scope="session")
def database_url(services_home: Path) -> str:
    """An embedded PostgreSQL with Scale's tables and the rows that it always has, without the borders of countries."""
    prepared.give(services_home)
    url = postgres.start(services_home)
    engine = make_engine(sqlalchemy_url(url))
    empty(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def broker_url(services_home: Path) -> str:
    return redis.start(services_home)


@pytest.fixture(scope="session")
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(sqlalchemy_url(database_url), pool_size=10)
    _engines.append(made)
    yield made
    _engines.remove(made)
    made.dispose()


_engines: list[Engine] = []  # those that tests of this process share


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Whoever really commits cleans up: else the tests of another file fail, and only in some orders."""
    yield
    for shared in _engines:
        with shared.connect() as connection:
            left = connection.execute(text("SELECT name FROM job_type WHERE NOT is_system ORDER BY id")).scalars().all()
        if left:
            empty(shared)
        assert not left, "job types of these tests are in the database for good"


def sqlalchemy_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)


@pytest.fixture(scope="module")
def make_staged() -> Callable[[Session], Any]:
    """What makes the world of a file's tests; a file may have another."""
    from tests.api.world import make_world

    return make_world


@pytest.fixture(scope="module")
def stage(engine: Engine, make_staged: Callable[[Session], Any]) -> Iterator[Stage]:
    made = Stage(engine, make_staged)
    yield made
    made.clear()


@pytest.fixture
def sessions(request: pytest.FixtureRequest, engine: Engine, stage: Stage) -> Iterator[Callable[[], Session]]:
    """Sessions of one outer transaction that is rolled back: their commits only end savepoints."""
    if "staged_world" in request.fixturenames:
        with rolled_back(stage.set()) as made:
            yield made
    else:
        stage.clear()
        with engine.connect() as connection, rolled_back(connection) as made:
            yield made


@pytest.fixture
def staged_world(session: Session, stage: Stage) -> Any:
    """What `make_staged` makes (tests.api.world.World), once for all tests of a file; each finds it as it was made."""
    return stage.world(session)


@pytest.fixture
def session(sessions: Callable[[], Session]) -> Iterator[Session]:
    with sessions() as made:
        yield made


@pytest.fixture
def committed(engine: Engine, stage: Stage) -> Iterator[sessionmaker[Session]]:
    """Sessions that really commit, for tests of several connections; afterwards every table is as it was seeded."""
    stage.clear()
    yield make_sessions(engine)
    empty(engine)


def empty(engine: Engine) -> None:
    tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # the audit refuses to be emptied
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    with transaction(make_sessions(engine)) as session:
        seed.seed(session, utcnow())


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    environ = {"SCALE_HOME": str(tmp_path / "home"), "SCALE_DATABASE_URL": database_url, "SCALE_ACCESS_CONTROL": "off"}
    return Settings.from_environ(environ)


@pytest.fixture(scope="session")
def shared_app(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Flask:
    """Made once, because making it takes longer than most tests; `client` gives it the sessions of each test."""
    home = tmp_path_factory.mktemp("api")
    environ = {"SCALE_HOME": str(home), "SCALE_DATABASE_URL": database_url, "SCALE_ACCESS_CONTROL": "off"}
    return _make_app(Settings.from_environ(environ))


@pytest.fixture
def app(settings: Settings, sessions: Callable[[], Session]) -> Flask:
    """An application of the test's own, to be changed as it likes."""
    return _make_app(settings, sessions)


@pytest.fixture
def client(shared_app: Flask, sessions: Callable[[], Session]) -> FlaskClient:
    shared_app.extensions["scale_sessions"] = sessions
    return shared_app.test_client()


def _make_app(settings: Settings, sessions: Callable[[], Session] | None = None) -> Flask:
    made = create_app(settings, sessions)
    made.testing = False  # errors are answered as in production
    return made


@pytest.fixture
def count_queries(engine: Engine) -> Callable[[], object]:
    """`with count_queries() as statements:` collects the SELECTs that are sent meanwhile."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.lstrip().upper().startswith(("SELECT", "WITH")):
                statements.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return counting


@pytest.fixture
def count_statements(engine: Engine) -> Callable[[], object]:
    """`with count_statements() as statements:` collects all that is sent meanwhile, but for savepoints."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return counting
