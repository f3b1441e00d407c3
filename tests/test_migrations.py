"""Migrations: one head, the same tables as the models, and a way back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from scale_core.db import Base
from scale_core.db.session import make_engine
from scale_core.settings import CHECKOUT
from tests.conftest import sqlalchemy_url
from tests.patience import PATIENCE_S, wait_for

NAME = "scale_migrations"
BEFORE_INDEXES = "0023"
WRITING = "LOCK TABLE scale_file IN ROW EXCLUSIVE MODE"  # the lock that every INSERT and UPDATE takes
NOT_OURS = {"spatial_ref_sys", "alembic_version"}


@pytest.fixture
def empty_database(database_url: str) -> Iterator[Engine]:
    """A database without any table of ours, beside the one that the other tests use."""
    _execute(database_url, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)", f"CREATE DATABASE {NAME}")
    url = f"{database_url.rpartition('/')[0]}/{NAME}"
    _execute(url, "CREATE EXTENSION postgis")
    made = make_engine(sqlalchemy_url(url))
    yield made
    made.dispose()
    _execute(database_url, f"DROP DATABASE {NAME} WITH (FORCE)")


def test_there_is_one_head() -> None:
    heads = ScriptDirectory.from_config(_config()).get_heads()

    assert len(heads) == 1, f"two migrations follow the same one; join them: {heads}"


def test_an_empty_database_becomes_what_the_models_say(empty_database: Engine) -> None:
    _migrate(empty_database, command.upgrade, "head")

    assert _tables(empty_database) == set(Base.metadata.tables)
    with empty_database.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.check(config)  # raises, naming what `alembic revision --autogenerate` would write


def test_every_migration_can_be_taken_back(empty_database: Engine) -> None:
    _migrate(empty_database, command.upgrade, "head")
    _migrate(empty_database, command.downgrade, "base")

    assert _tables(empty_database) == set()


def _config() -> Config:
    return Config(CHECKOUT / "alembic.ini")


def _migrate(engine: Engine, step: Callable[[Config, str], None], revision: str) -> None:
    config = _config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        step(config, revision)
        connection.commit()


def _tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - NOT_OURS


def _execute(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url.replace("+psycopg2", "", 1))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def test_an_index_holds_no_writer_up(empty_database: Engine) -> None:
    """Somebody writes to a table for long; the migration waits for that, and everybody else writes on meanwhile."""
    _migrate(empty_database, command.upgrade, BEFORE_INDEXES)
    long, short = empty_database.connect(), empty_database.connect()
    long.execute(text(WRITING))
    migrating = threading.Thread(target=_migrate, args=(empty_database, command.upgrade, "head"))
    migrating.start()
    try:
        wait_for("the migration to wait", lambda: _indexes_waiting(short))
        short.execute(text("SET LOCAL lock_timeout = '1s'"))
        short.execute(text(WRITING))
        short.commit()
    finally:
        long.commit()
        migrating.join(PATIENCE_S)
        for connection in (long, short):
            connection.close()
    assert _tables(empty_database) == set(Base.metadata.tables)
    assert _invalid_indexes(empty_database) == []


def test_an_index_that_was_left_half_made_is_made_anew(empty_database: Engine) -> None:
    _migrate(empty_database, command.upgrade, BEFORE_INDEXES)
    long = empty_database.connect()
    long.execute(text(WRITING))
    failed: list[Exception] = []
    migrating = threading.Thread(target=_migrate_badly, args=(empty_database, failed))
    migrating.start()
    with empty_database.connect() as other:
        (pid,) = wait_for("the migration to wait", lambda: _indexes_waiting(other))
        other.execute(text("SELECT pg_cancel_backend(:pid)"), {"pid": pid})
    migrating.join(PATIENCE_S)
    long.rollback()
    long.close()
    assert "canceling statement" in str(failed[0])
    assert len(_invalid_indexes(empty_database)) == 1

    _migrate(empty_database, command.upgrade, "head")

    assert _invalid_indexes(empty_database) == []


def test_two_that_migrate_at_once_take_turns(empty_database: Engine) -> None:
    env = {**os.environ, "SCALE_DATABASE_URL": empty_database.url.render_as_string(hide_password=False)}
    command_line = [sys.executable, "-m", "alembic", "upgrade", "head"]
    both = [subprocess.Popen(command_line, cwd=CHECKOUT, env=env) for _ in range(2)]

    assert [process.wait(PATIENCE_S) for process in both] == [0, 0]
    assert _tables(empty_database) == set(Base.metadata.tables)


def _migrate_badly(engine: Engine, failed: list[Exception]) -> None:
    try:
        _migrate(engine, command.upgrade, "head")
    except Exception as error:
        failed.append(error)


def _indexes_waiting(connection: Connection) -> list[int]:
    """Processes of PostgreSQL that make an index and wait for a lock."""
    connection.rollback()
    query = """
        SELECT pid FROM pg_stat_activity
        WHERE datname = :name AND wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%'
    """
    return list(connection.scalars(text(query), {"name": NAME}))


def _invalid_indexes(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        query = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid"
        return list(connection.scalars(text(query)))
