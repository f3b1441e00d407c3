"""Strikes: processes that watch a directory. Each has a job that is RUNNING while workers scan for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scale_core.db.file import Workspace
from scale_core.db.ingest import Strike
from scale_core.db.job import Job, JobExecution
from scale_core.documents import strike_configuration
from scale_core.domain.job import ExecutionStatus, JobStatus
from scale_core.errors import Conflict, Invalid, Problem, Warning_
from scale_core.services import assign, event, get, job, require, workspace

JOB_TYPE = "scale-strike"


@dataclass(frozen=True)
class ActiveStrike:
    id: int
    configuration: Mapping[str, Any] = field(default_factory=dict)


def create(session: Session, fields: Mapping[str, Any], now: datetime) -> Strike:
    """A new Strike and its job (Create Strike Process). Scanning begins within a second. Raises Invalid, Conflict."""
    configuration = _check(session, fields)
    if session.scalar(select(Strike.id).where(Strike.name == fields["name"])):
        raise Conflict(f"There is already a Strike called {fields['name']!r}; choose another name")
    strike = Strike(name=fields["name"], configuration=configuration, description="", created=now)
    _describe(strike, fields)
    session.add(strike)
    session.flush()
    event_id = event.record(session, "STRIKE_CREATED", now, description={"version": "1.0", "strike_id": strike.id})
    assert event_id is not None
    strike.job_id = _start_job(session, strike.id, event_id, now)
    session.flush()
    return strike


def edit(session: Session, strike_id: int, fields: Mapping[str, Any], now: datetime) -> Strike:
    """Change title, description or configuration; in force with the next scan. Raises Invalid, NotFound."""
    strike = get(session, Strike, strike_id, "Strike", lock=True)
    if "configuration" in fields:
        strike.configuration = _check(session, {**fields, "name": strike.name})
    _describe(strike, fields)
    session.flush()
    return strike


def validate(session: Session, fields: Mapping[str, Any]) -> list[Warning_]:
    """What create would refuse raises Invalid; another mount under an existing name, or one that another Strike has, is
    a warning."""
    configuration = _check(session, fields)
    mount, warnings = configuration["mount"], []
    existing = session.scalar(select(Strike).where(Strike.name == fields["name"]))
    if existing and existing.configuration["mount"] != mount:
        text = "The mount changes: files in transfer in the old directory will be missed"
        warnings.append(Warning_("mount_change", text))
    others = select(Strike.name).where(Strike.configuration["mount"].astext == mount, Strike.name != fields["name"])
    for name in session.scalars(others.order_by(Strike.name)):
        text = f"The Strike {name!r} watches the same directory: each file goes to whichever takes it first"
        warnings.append(Warning_("mount_shared", text))
    return warnings


def active(session: Session, now: datetime) -> list[ActiveStrike]:
    """The Strikes that are to be scanned; their jobs become RUNNING, if they waited."""
    rows = session.execute(
        select(Strike.id, Strike.configuration, Strike.job_id, Job.status)
        .join(Job, Job.id == Strike.job_id)
        .where(Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)))
        .order_by(Strike.id)
    ).all()
    starting = [row.job_id for row in rows if row.status is JobStatus.QUEUED]
    if starting:
        _run_jobs(session, starting, now)
    return [ActiveStrike(row.id, row.configuration) for row in rows]


def active_one(session: Session, strike_id: int) -> ActiveStrike | None:
    """The Strike as it is configured now, if it is being scanned."""
    query = select(Strike.id, Strike.configuration).join(Job, Job.id == Strike.job_id)
    row = session.execute(query.where(Job.status == JobStatus.RUNNING, Strike.id == strike_id)).one_or_none()
    return ActiveStrike(row.id, row.configuration) if row else None


def record_scan(
    session: Session, strike_id: int, error: str | None, now: datetime, files_seen: int | None = None
) -> None:
    """When the Strike was last looked at, how many files lay there, and what was wrong with its directory."""
    seen = {} if files_seen is None else {"files_seen": files_seen}
    session.execute(
        update(Strike)
        .where(Strike.id == strike_id)
        .values(last_scan=now, last_error=error, last_modified=Strike.last_modified, **seen)
    )
    session.execute(
        update(Job)
        .where(Job.id == select(Strike.job_id).where(Strike.id == strike_id).scalar_subquery())
        .where(Job.reason.is_distinct_from(error))
        .values(reason=error)
    )


def _check(session: Session, fields: Mapping[str, Any]) -> dict[str, Any]:
    require(fields, "name", "configuration")
    configuration = strike_configuration.normalize(fields["configuration"])
    names = [rule["workspace_name"] for rule in configuration["files_to_ingest"]]
    stores: dict[str, Workspace] = workspace.by_names(session, names)
    problems = []
    for index, name in enumerate(names):
        path = f"configuration.files_to_ingest[{index}].workspace_name"
        if name not in stores:
            problems.append(Problem(path, f"there is no workspace called {name!r}"))
        elif not stores[name].is_active:
            problems.append(Problem(path, f"the workspace {name!r} is archived"))
    if problems:
        raise Invalid(problems=problems)
    return configuration


def _describe(strike: Strike, fields: Mapping[str, Any]) -> None:
    given = {name: value for name, value in fields.items() if value is not None or name == "title"}
    assign(strike, given, ("title", "description"))


def _start_job(session: Session, strike_id: int, event_id: int, now: datetime) -> int:
    (job_id,) = job.create(session, [job.system_type(session, JOB_TYPE)], event_id, now)
    data = {
        "version": "1.0",
        "input_data": [{"name": "Strike ID", "value": str(strike_id)}],
        "output_data": [],
    }
    job.enqueue(session, [job.QueueRequest(job_id, data, 0.0, 0.0)], now)
    return job_id


def _run_jobs(session: Session, job_ids: Sequence[int], now: datetime) -> None:
    session.execute(
        update(JobExecution)
        .where(JobExecution.job_id.in_(job_ids), JobExecution.status == ExecutionStatus.QUEUED)
        .values(status=ExecutionStatus.RUNNING, started=now, job_started=now)
    )
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids), Job.status == JobStatus.QUEUED)
        .values(status=JobStatus.RUNNING, started=now, last_status_change=now)
    )
