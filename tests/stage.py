"""A world for all tests of a file: made once, in a transaction that none of them ends.

Each test runs in a savepoint of that transaction and finds the world as it was made, in half of the time. Who does not
ask for the world sees nothing of it, and waits for none of its locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session, sessionmaker


def sessions_of(connection: Connection) -> sessionmaker[Session]:
    """Sessions whose commits only end savepoints."""
    return sessionmaker(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")


@contextmanager
def rolled_back(connection: Connection) -> Iterator[sessionmaker[Session]]:
    """Sessions on a connection that is then as it was."""
    part = connection.begin_nested() if connection.in_transaction() else connection.begin()
    yield sessions_of(connection)
    part.rollback()


class Stage:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._rows: dict[str, tuple[type[Any], int]] = {}

    def set(self) -> Connection:
        """A connection in whose transaction there is the world."""
        from tests.api.world import World, make_world

        if self._connection is None:
            self._connection = self._engine.connect()
            self._connection.begin()
            with sessions_of(self._connection)() as session:
                world = make_world(session)
                self._rows = {field.name: _row(world, field.name) for field in fields(World)}
                session.commit()
        return self._connection

    def world(self, session: Session) -> Any:
        """A World, whose rows are objects of `session`."""
        from tests.api.world import World

        return World(**{name: session.get_one(kind, id_) for name, (kind, id_) in self._rows.items()})

    def clear(self) -> None:
        if self._connection is not None:
            self._connection.close()  # which takes everything back
            self._connection = None


def _row(world: Any, name: str) -> tuple[type[Any], int]:
    found = getattr(world, name)
    return type(found), found.id
