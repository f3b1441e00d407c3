"""A queue from which much was taken while somebody keeps an old snapshot open (a backup, a forgotten psql)."""

from __future__ import annotations

from typing import Any

import psycopg2
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from bench.rows import queue_jobs
from scale_core.domain.job import Resources
from scale_core.services import scheduling
from tests.factories import make_no_op_type

JOBS, LEFT = 6000, 100


def buffers(session: Session, after: scheduling.Place | None) -> int:
    """How many pages a claim of one page of the queue looks at."""
    seen: list[Any] = []
    real = session.execute

    def explained(statement: Any, parameters: Any = None) -> Any:
        seen.extend(real(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"), parameters).scalar_one())
        return ()

    session.execute = explained  # type: ignore[method-assign]
    scheduling.claim(session, 50, Resources(8, 8000, 8000), after=after)
    session.execute = real  # type: ignore[method-assign]
    plan = seen[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def test_a_remembered_head_passes_by_what_cannot_be_removed(
    committed: sessionmaker[Session], engine: Engine, database_url: str
) -> None:
    with committed() as session:
        job_type_id = make_no_op_type(session).id
        session.commit()
    database = psycopg2.connect(database_url)
    database.autocommit = True
    queue_jobs(database, job_type_id, JOBS)
    database.close()
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as old, committed() as session:
        assert old.execute(text("SELECT count(*) FROM queue")).scalar_one() == JOBS
        first_left = "SELECT job_exe_id FROM queue ORDER BY priority, queued, job_exe_id OFFSET :gone LIMIT 1"
        gone = "DELETE FROM queue WHERE job_exe_id < (" + first_left + ")"
        session.execute(text(gone), {"gone": JOBS - LEFT})
        session.commit()
        head = scheduling.head(session)
        assert head is not None
        assert len(scheduling.claim(session, 50, Resources(8, 8000, 8000), after=(*head[:2], head[2] - 1))) == 50
        assert old.execute(text("SELECT count(*) FROM queue")).scalar_one() == JOBS
        from_the_head = buffers(session, (*head[:2], head[2] - 1))
        session.rollback()
        from_the_beginning = buffers(session, None)
        assert from_the_head <= 2 * 50 + 20  # each of the 50 rows found and locked, and the way there
        assert from_the_beginning > 2 * from_the_head  # what it would be without: and it grows with every row that goes
