"""Runs the migrations. A lock that cannot be had soon is given up, or the whole system would queue behind it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection, text

from migrations.online import LOCK_TIMEOUT
from scale_core.db import Base
from scale_core.db.session import make_engine
from scale_core.settings import Settings

logger = logging.getLogger(__name__)

LOCK = 7274496
AGAIN_S = 0.2


def _include_object(obj: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out what PostGIS itself put into the schema."""
    if type_ == "table" and name == "spatial_ref_sys":
        return False
    return bool(alembic_helpers.include_object(obj, name, type_, reflected, compare_to))


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Two servers that start at once must not migrate at once.

    The lock is the session's, because each migration has a transaction of its own, or several. It is asked for again
    and again, because whoever waits for it in a statement has a snapshot, and whoever has the lock may wait for that
    (migrations.online).
    """
    said = False
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        if not said:
            logger.info("another process migrates this database; waiting")
            said = True
        time.sleep(AGAIN_S)
    try:
        yield
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})


def _run(connection: Connection) -> None:
    is_ours = not connection.in_transaction()  # else the caller ends the transaction
    with _alone(connection):
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text("SET statement_timeout = '30min'"))
        if is_ours:
            connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_object=_include_object,
            process_revision_directives=alembic_helpers.writer,
            render_item=alembic_helpers.render_item,
            compare_server_default=False,
            compare_type=True,
            transaction_per_migration=True,
        )
        try:
            with context.begin_transaction():
                context.run_migrations()
        finally:
            if is_ours:
                connection.rollback()  # of what failed, so that the lock can be given back


def main() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _run(connection)
        return
    settings = Settings.from_environ()
    settings.require("database_url")
    engine = make_engine(settings.database_url, application_name="scale-migrations")
    with engine.connect() as fresh:
        _run(fresh)
    engine.dispose()


main()
