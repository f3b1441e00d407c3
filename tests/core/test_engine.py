"""Connections to a PostgreSQL on another machine."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from scale_core.db.session import make_engine
from tests.conftest import sqlalchemy_url


def test_a_machine_that_is_gone_without_a_word_is_noticed_by_both_sides(database_url: str) -> None:
    engine = make_engine(sqlalchemy_url(database_url))
    try:
        with engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            ours = raw.get_dsn_parameters()
            query = text("SELECT source FROM pg_settings WHERE name LIKE 'tcp_keepalives_%'")
            asked = connection.execute(query).scalars().all()
    finally:
        engine.dispose()
    seconds = int(ours["keepalives_idle"]) + int(ours["keepalives_interval"]) * int(ours["keepalives_count"])
    assert max(seconds, int(ours["tcp_user_timeout"]) / 1000) <= 30
    assert asked == ["client"] * 3
