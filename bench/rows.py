"""A database to measure on: migrated, seeded, and filled with jobs that wait."""

from __future__ import annotations

import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg2.extensions import connection

from scale_core import seed
from scale_core.db.session import make_engine, make_sessions, transaction
from scale_core.services import job_type
from scale_core.settings import CHECKOUT
from scale_core.timestamps import utcnow

TASK_CPUS = 0.1
TASK_MEM = 32.0
ROWS = (Path(__file__).parent / "queue_rows.sql").read_text()


def sqlalchemy_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)


def migrate(url: str) -> None:
    """Bring an empty database up to date and seed it."""
    os.environ["SCALE_DATABASE_URL"] = url
    command.upgrade(Config(CHECKOUT / "alembic.ini"), "head")
    engine = make_engine(sqlalchemy_url(url))
    with transaction(make_sessions(engine)) as session:
        seed.seed(session, utcnow())
    engine.dispose()


def make_no_op_type(url: str) -> int:
    """The id of a new type of small jobs that do nothing."""
    interface = {"version": "1.0", "command": "/bin/true", "command_arguments": "", "input_data": [], "output_data": []}
    given = {
        "name": "no-op", "version": "1.0", "interface": interface, "cpus_required": TASK_CPUS,
        "mem_required": TASK_MEM, "disk_out_const_required": 0.0,
    }  # fmt: skip
    engine = make_engine(sqlalchemy_url(url))
    with transaction(make_sessions(engine)) as session:
        made = job_type.create(session, given, utcnow()).id
    engine.dispose()
    return made


def queue_jobs(database: connection, job_type_id: int, count: int) -> None:
    """Put jobs on the queue; afterwards PostgreSQL has nothing left to tidy."""
    with database.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(ROWS, {"jobs": count, "job_type_id": job_type_id})
        cursor.execute("COMMIT")
        cursor.execute("VACUUM ANALYZE job, job_exe, queue")
        cursor.execute("CHECKPOINT")
