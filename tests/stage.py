"""A world for all tests of a file: made once, in a transaction that none of them ends.

Each test runs in a savepoint of that transaction and finds the world as it was made, in half of the time. Who does not
ask for the world sees nothing of it, and waits for none of its locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from sqlalchemy import Connection, Engine, inspect
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
    """`make` makes the world: a dataclass of rows and of such dataclasses."""

    def __init__(self, engine: Engine, make: Callable[[Session], Any]) -> None:
        self._engine, self._make = engine, make
        self._connection: Connection | None = None
        self._world: Any = None

    def set(self) -> Connection:
        """A connection in whose transaction there is the world."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self._connection.begin()
            with sessions_of(self._connection)() as session:
                self._world = self._make(session)
                session.commit()
        return self._connection

    def world(self, session: Session) -> Any:
        """The world, with rows that are objects of `session`."""
        return _of(session, self._world)

    def clear(self) -> None:
        if self._connection is not None:
            self._connection.close()  # which takes everything back
            self._connection = None


def _of(session: Session, there: Any) -> Any:
    if not is_dataclass(there):
        return session.get_one(type(there), inspect(there).identity)  # its session is over
    return type(there)(**{field.name: _of(session, getattr(there, field.name)) for field in fields(there)})
