"""Runs the migrations. A lock that cannot be had soon is given up, or the whole system would queue behind it."""

from __future__ import annotations

from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection, text

from scale_core.db import Base
from scale_core.db.session import make_engine
from scale_core.settings import Settings


def _include_object(obj: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out what PostGIS itself put into the schema."""
    if type_ == "table" and name == "spatial_ref_sys":
        return False
    return bool(alembic_helpers.include_object(obj, name, type_, reflected, compare_to))


def _run(connection: Connection) -> None:
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
    with context.begin_transaction():
        context.execute("SET LOCAL lock_timeout = '10s'")
        context.execute("SET LOCAL statement_timeout = '30min'")
        # two servers that start at once must not migrate at once
        context.execute("SELECT pg_advisory_xact_lock(7274496)")
        context.run_migrations()


def main() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _run(connection)
        return
    settings = Settings.from_environ()
    settings.require("database_url")
    engine = make_engine(settings.database_url, application_name="scale-migrations")
    with engine.connect() as fresh:
        fresh.execute(text("SET statement_timeout = 0"))
        fresh.commit()
        _run(fresh)
        fresh.commit()
    engine.dispose()


main()
