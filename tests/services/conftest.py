"""A real database; every test runs in one transaction that is rolled back, whatever it commits."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.session import make_engine

URL = os.environ.get("SCALE_TEST_DATABASE_URL", "")


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    if not URL:
        pytest.skip("SCALE_TEST_DATABASE_URL names no migrated database")
    engine = make_engine(URL)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> Iterator[sessionmaker[Session]]:
    """Sessions that share one connection; their commits only release savepoints."""
    with engine.connect() as connection:
        outer = connection.begin()
        yield sessionmaker(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
        outer.rollback()


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sessions() as session:
        yield session
