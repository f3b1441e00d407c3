"""Migrations: one head, the same tables as the models, and a way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from scale_core.db import Base
from scale_core.db.session import make_engine
from scale_core.settings import CHECKOUT
from tests.conftest import sqlalchemy_url

NAME = "scale_migrations"
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
