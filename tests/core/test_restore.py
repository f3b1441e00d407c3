"""Ids after a restore, and when they are left alone. tests/journeys/test_backup.py has the whole of it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from scale_core import restore
from scale_core.db.session import make_engine
from scale_core.errors import ConfigurationError, Invalid
from tests import factories
from tests.conftest import sqlalchemy_url


def next_id(session: Session, table: str) -> int:
    statement = text("SELECT nextval(pg_get_serial_sequence(:table, 'id'))")
    return int(session.execute(statement, {"table": table}).scalar_one())


def test_ids_go_on_past_rows_and_past_what_was_given_out(session: Session) -> None:
    workspace = factories.make_workspace(session)
    session.flush()
    given = {"workspace": workspace.id, "job_exe": next_id(session, "job_exe"), "ingest": next_id(session, "ingest")}

    tables = session.execute(text("SELECT count(*) FROM pg_sequences WHERE schemaname = 'public'")).scalar_one()
    assert restore.skip_ids(session, 50) == tables

    for table, last in given.items():
        assert next_id(session, table) == last + 51, table


def test_rows_may_be_ahead_of_their_sequence(session: Session) -> None:
    ahead = next_id(session, "workspace") + 1000
    session.execute(
        text("INSERT INTO workspace (id, name, json_config) OVERRIDING SYSTEM VALUE VALUES (:id, 'ahead', '{}')"),
        {"id": ahead},
    )
    restore.skip_ids(session, 50)
    assert next_id(session, "workspace") == ahead + 51


@pytest.mark.parametrize("count", [0, -1, 2**53])
def test_a_number_that_makes_no_sense(session: Session, count: int) -> None:
    before = next_id(session, "job")
    with pytest.raises(Invalid, match="--skip"):
        restore.skip_ids(session, count)
    assert next_id(session, "job") == before + 1


def test_others_may_look(session: Session) -> None:
    restore.require_quiet(session)


def test_nothing_is_changed_while_a_process_uses_the_database(session: Session, database_url: str) -> None:
    engine = make_engine(sqlalchemy_url(database_url), application_name="scale-worker")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(ConfigurationError, match="stop the processes of Scale first: scale-worker"):
            restore.require_quiet(session)
    engine.dispose()
