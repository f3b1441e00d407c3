"""After a restore of an older backup: ``python -m scale_core.restore`` lets ids go on where none was given out yet.

What was queued and stored after the backup is unknown to the database, but not to the world: tasks named after
executions run in the cluster, products lie in ``job_exe_N``, ingests in ``ingesting/N``, and people have noted ids.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from scale_core import logs
from scale_core.db.job import JobExecution
from scale_core.db.session import Sessions, make_engine, make_sessions, transaction
from scale_core.domain.job import ExecutionStatus
from scale_core.errors import ConfigurationError, Invalid, ScaleError
from scale_core.settings import Settings

SKIP = 1_000_000
HIGHEST = 2**53  # what programs that read JSON can still tell apart


def require_quiet(session: Session) -> None:
    """Raise ConfigurationError while a process of Scale uses the database: it would give out ids meanwhile."""
    found = session.scalars(
        text(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND application_name LIKE 'scale-%' ORDER BY 1"
        )
    ).all()
    if found:
        raise ConfigurationError(f"stop the processes of Scale first: {', '.join(found)} uses the database")


def skip_ids(session: Session, count: int) -> int:
    """Let every id go on `count` past the highest there is; how many kinds of them there are. Raises Invalid."""
    if not 1 <= count <= HIGHEST // 1000:
        raise Invalid(f"--skip: {count} is not between 1 and {HIGHEST // 1000}")
    columns = session.execute(
        text(
            "SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) AS sequence "
            "FROM information_schema.columns WHERE table_schema = 'public' "
            "AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL"
        )
    ).all()
    for table, column, sequence in columns:
        # a row may have come with its id, and the last one may be gone: whichever is higher
        session.execute(
            text(
                f"SELECT setval(:name, greatest((SELECT last_value FROM {sequence}), "  # noqa: S608 - PostgreSQL's own names
                f'(SELECT max("{column}") FROM "{table}")) + :count)'
            ),
            {"name": sequence, "count": count},
        )
    return len(columns)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deploy/run after-restore", description=__doc__)
    parser.add_argument(
        "--skip", type=int, default=SKIP, metavar="COUNT",
        help=f"more than what of anything was made since the backup ({SKIP:,} unless it is given)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environ()
        settings.require("database_url")
        logs.configure("restore", settings.log_level, settings.log_format)
        engine = make_engine(settings.database_url, application_name="after-restore")
        _run(options.skip, make_sessions(engine), print)
    except ScaleError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(count: int, sessions: Sessions, say: Callable[[str], None]) -> None:
    with transaction(sessions) as session:
        require_quiet(session)
        kinds = skip_ids(session, count)
        running = session.execute(
            select(JobExecution.id, JobExecution.job_id)
            .where(JobExecution.status == ExecutionStatus.RUNNING)
            .order_by(JobExecution.id)
        ).all()
    say(f"{kinds} kinds of ids go on {count} past the highest that is known")
    say(f"{len(running)} executions ran in the backup; those that still do are adopted, the others run again")
    for execution_id, job_id in running:
        say(f"job_exe/{execution_id} of job/{job_id}")


if __name__ == "__main__":
    sys.exit(main())
