"""Writing down that executions ended: what their outcomes tell, and for those that completed, their jobs too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core import timestamps
from scale_core.db.job import Job
from scale_core.db.sql import load
from scale_core.domain import job as rules
from scale_core.domain.job import ExecutionStatus, JobStatus
from scale_core.errors import Invalid
from scale_core.services.execution_spec import to_json

SQL = load("execution")
PRODUCED = ("files", "parse_results", "ingests")  # parts of an outcome that change more than the execution and its job


def is_plain(outcome: Mapping[str, Any]) -> bool:
    """Whether it succeeded and produced nothing to be catalogued: then its job is COMPLETED and that is all."""
    return bool(outcome.get("succeeded")) and not any(outcome.get(name) for name in PRODUCED)


class End:
    """The end of one execution, as it will be written down."""

    def __init__(
        self,
        job_exe_id: int,
        job_id: int,
        started: datetime | None,
        task_ended: datetime,
        outcome: Mapping[str, Any],
        directory: str | None = None,
        agent_id: str | None = None,
    ) -> None:
        self.id, self.job_id, self.outcome = job_exe_id, job_id, outcome
        self.phases = _phases(outcome)
        # When the node was done with it; never before it started, whatever the clocks of two machines say.
        ended = self.phases.get("post_completed") or self.phases.get("job_completed") or task_ended
        self.ended: datetime = max(ended, started or ended)
        self.results: dict[str, Any] = {"version": "1.0", "output_data": []}
        self._news = {"task_ended": task_ended, "directory": directory, "agent_id": agent_id}

    def row(self, status: ExecutionStatus, message: str, error_id: int | None = None) -> dict[str, Any]:
        """What end_executions wants. Only a completed execution has results."""
        is_completed = status is ExecutionStatus.COMPLETED
        return {
            **self.phases,
            **self._news,
            "id": self.id,
            "status": status,
            "ended": self.ended,
            "error_id": error_id,
            "message": message,
            "command_arguments": self.outcome.get("command_arguments") or None,
            "used": self.outcome.get("used") or {},
            "results": self.results if is_completed else None,
            "results_manifest": (self.outcome.get("results_manifest") or {}) if is_completed else None,
        }


def lock_jobs(session: Session, job_ids: Sequence[int]) -> dict[int, JobStatus]:
    """Lock jobs in ascending order; their statuses by id."""
    rows = session.execute(select(Job.id, Job.status).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update())
    return dict(rows.all())


def write(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """The final state of executions, from `End.row`; they must be locked."""
    session.execute(SQL["end_executions"], {"rows": to_json(rows)})


def complete(session: Session, ends: Sequence[End], statuses: Mapping[int, JobStatus], now: datetime) -> None:
    """RUNNING to COMPLETED, executions and jobs; both must be locked, `statuses` are those of the jobs.

    Raises IllegalTransition.
    """
    if not ends:
        return
    for end in ends:
        rules.check_move(end.job_id, statuses[end.job_id], JobStatus.COMPLETED)
    session.flush()
    write(session, [end.row(ExecutionStatus.COMPLETED, end.outcome.get("message") or "") for end in ends])
    jobs = [{"id": end.job_id, "ended": end.ended, "results": end.results} for end in ends]
    session.execute(SQL["complete_jobs"], {"rows": to_json(jobs), "now": now})
    session.expire_all()


def _phases(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """When pre, job and post ran, and how they ended, as far as they did and as far as it can be read."""
    found: dict[str, Any] = {}
    for name in ("pre", "job", "post"):
        phase = outcome.get(name)
        if not isinstance(phase, Mapping):
            continue
        for moment in ("started", "completed"):
            if phase.get(moment):
                with suppress(Invalid):
                    found[f"{name}_{moment}"] = timestamps.parse_datetime(str(phase[moment]))
        if isinstance(phase.get("exit_code"), int):
            found[f"{name}_exit_code"] = phase["exit_code"]
    return found
