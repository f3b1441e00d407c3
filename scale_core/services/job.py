"""Jobs: created, put on the queue, canceled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile
from scale_core.db.ingest import Ingest
from scale_core.db.job import Job, JobExecution, JobType, JobTypeRevision
from scale_core.db.queue import Queue
from scale_core.db.recipe import Recipe, RecipeJob
from scale_core.db.session import QUEUE_CHANNEL, notify, queue_news
from scale_core.db.sql import load
from scale_core.domain import job as rules
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import ExecutionStatus, JobStatus
from scale_core.domain.job_interface import FileFacts, JobData, JobInterface, check_inputs, check_outputs, disk_required
from scale_core.errors import IllegalTransition, Invalid, NotFound, Problem
from scale_core.services import workspace


@dataclass(frozen=True)
class QueueRequest:
    """A job to put on the queue. data None: it has its data already."""

    job_id: int
    data: Mapping[str, Any] | None = None
    disk_in: float | None = None  # MiB
    disk_out: float | None = None
    not_before: datetime | None = None  # it waits until then, whatever is free


@dataclass(frozen=True)
class Draft:
    """A job and the data that it is to be queued with, not checked yet."""

    job_id: int
    job_type: JobType
    interface: JobInterface
    data: JobData

    def request(self, files: Mapping[int, FileFacts]) -> QueueRequest:
        """The request for data that were found good; `files` has the facts of each file that is among them."""
        sizes = [files[file_id].file_size for file_id in self.data.file_ids()]
        const, multiplier = self.job_type.disk_out_const_required, self.job_type.disk_out_mult_required
        return QueueRequest(
            self.job_id, self.data.to_document(self.interface), *disk_required(const, multiplier, sizes)
        )


def create(session: Session, job_types: Sequence[JobType], event_id: int, now: datetime) -> list[int]:
    """One PENDING job for each entry of job_types, in that order; returns their ids.

    Raises Invalid when a type is archived.
    """
    for job_type in job_types:
        if not job_type.is_active:
            raise Invalid(f"The job type {job_type.name} {job_type.version} is archived; activate it to run jobs")
    revisions = current_revisions(session, job_types)
    rows = [
        {
            "job_type_id": job_type.id,
            "job_type_rev_id": revisions[job_type.id],
            "event_id": event_id,
            "status": JobStatus.PENDING,
            "priority": job_type.priority,
            "timeout": job_type.timeout,
            "max_tries": job_type.max_tries,
            "cpus_required": job_type.cpus_required,
            "mem_required": job_type.mem_required,
            "gpus_required": job_type.gpus_required,
            "created": now,
            "last_status_change": now,
        }
        for job_type in job_types
    ]
    if not rows:
        return []
    return list(session.scalars(insert(Job).returning(Job.id, sort_by_parameter_order=True), rows))


def current_revisions(session: Session, job_types: Iterable[JobType]) -> dict[int, int]:
    """job type id -> id of its newest revision."""
    rows = session.execute(
        select(JobTypeRevision.job_type_id, JobTypeRevision.id)
        .join(JobType, JobType.id == JobTypeRevision.job_type_id)
        .where(
            JobTypeRevision.job_type_id.in_({job_type.id for job_type in job_types}),
            JobTypeRevision.revision_num == JobType.revision_num,
        )
    )
    return dict(rows.all())


def file_facts(session: Session, file_ids: Sequence[int]) -> dict[int, FileFacts]:
    if not file_ids:
        return {}
    columns = (ScaleFile.id, ScaleFile.media_type, ScaleFile.is_deleted, ScaleFile.file_size, ScaleFile.data_type)
    rows = session.execute(select(*columns).where(ScaleFile.id.in_(file_ids)))
    return {row.id: FileFacts(*row[:4], data_type=frozenset(row.data_type)) for row in rows}


def request(session: Session, job_id: int, job_type: JobType, interface: JobInterface, data: JobData) -> QueueRequest:
    """Check the data and make the request that queues the job with it. Raises Invalid naming input and reason."""
    good, problems = requests(session, [Draft(job_id, job_type, interface, data)])
    if problems:
        raise Invalid(problems=problems[job_id])
    return good[0]


def requests(session: Session, drafts: Sequence[Draft]) -> tuple[list[QueueRequest], dict[int, list[Problem]]]:
    """Check the data of many jobs at once: the requests of the good ones, and by job id what is wrong with the others.

    Files and workspaces are looked up in one statement each, whatever the number of jobs.
    """
    facts = file_facts(session, sorted({file_id for draft in drafts for file_id in draft.data.file_ids()}))
    ids = sorted({id_ for draft in drafts for id_ in draft.data.workspaces.values()})
    workspaces = workspace.activity(session, ids) if ids else {}
    good: list[QueueRequest] = []
    bad: dict[int, list[Problem]] = {}
    for draft in drafts:
        problems = check_inputs(draft.interface.inputs, draft.data.inputs, facts)
        problems += check_outputs(draft.interface, draft.data.workspaces, workspaces)
        if problems:
            bad[draft.job_id] = problems
        else:
            good.append(draft.request(facts))
    return good, bad


def enqueue(
    session: Session, requests: Sequence[QueueRequest], now: datetime, priority: int | None = None
) -> list[int]:
    """Put jobs on the queue in one statement and wake up the offer handler; returns the ids that were queued.

    Jobs whose status does not allow it (they changed meanwhile) are left alone.
    """
    if not requests:
        return []
    rows = [
        {
            "job_id": r.job_id,
            "data": r.data,
            "disk_in": r.disk_in,
            "disk_out": r.disk_out,
            "not_before": r.not_before.isoformat() if r.not_before else None,
        }
        for r in requests
    ]
    session.flush()
    queued = session.execute(
        load("job")["enqueue"],
        {
            "rows": json.dumps(rows),
            "now": now,
            "priority": priority,
            "origins": list(rules.origins(JobStatus.QUEUED)),
        },
    ).all()
    if queued:
        notify(session, QUEUE_CHANNEL, queue_news(min(row.priority for row in queued), now))
    session.expire_all()
    return sorted(row.job_id for row in queued)


def lock_recipes(session: Session, job_ids: Sequence[int]) -> dict[int, int]:
    """Lock the recipes that these jobs belong to, in ascending order; returns job id -> recipe id."""
    rows = session.execute(select(RecipeJob.job_id, RecipeJob.recipe_id).where(RecipeJob.job_id.in_(job_ids)))
    recipes = dict(rows.all())
    if recipes:
        ids = set(recipes.values())
        session.execute(select(Recipe.id).where(Recipe.id.in_(ids)).order_by(Recipe.id).with_for_update())
    return recipes


def lock(session: Session, job_ids: Iterable[int]) -> list[Job]:
    """The jobs, locked in ascending order and read afresh."""
    query = (
        select(Job)
        .where(Job.id.in_(set(job_ids)))
        .order_by(Job.id)
        .with_for_update(of=Job)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(query))


def set_status(session: Session, job_ids: Sequence[int], status: JobStatus, now: datetime) -> list[int]:
    """Compare-and-set: those of the jobs that may become `status` do; their ids are returned."""
    if not job_ids:
        return []
    values: dict[str, Any] = {"status": status, "last_status_change": now}
    values["ended"] = now if status in rules.FINAL_JOB_STATUSES else None
    return sorted(
        session.scalars(
            update(Job)
            .where(Job.id.in_(job_ids), Job.status.in_(rules.origins(status)))
            .values(**values)
            .returning(Job.id)
            .execution_options(synchronize_session="fetch")
        )
    )


def cancel(session: Session, job_id: int, now: datetime) -> Job:
    """Cancel a pending, blocked, queued, running or failed job (Update Job) with its newest execution.

    A running container is stopped by the offer handler, which hears of it through NOTIFY. The caller then lets the
    recipe block what depended on it (recipe.settle). Raises NotFound, IllegalTransition.
    """
    session.execute(select(Queue.job_exe_id).where(Queue.job_id == job_id).with_for_update())
    open_executions = (ExecutionStatus.QUEUED, ExecutionStatus.RUNNING)
    session.execute(
        select(JobExecution.id)
        .where(JobExecution.job_id == job_id, JobExecution.status.in_(open_executions))
        .with_for_update()
    )
    lock_recipes(session, [job_id])
    locked = lock(session, [job_id])
    if not locked:
        raise NotFound(f"There is no job with id {job_id}")
    job = locked[0]
    if not set_status(session, [job_id], JobStatus.CANCELED, now):
        raise IllegalTransition("job", [job_id], job.status, JobStatus.CANCELED)
    session.execute(delete(Queue).where(Queue.job_id == job_id))
    session.execute(
        update(JobExecution)
        .where(JobExecution.job_id == job_id, JobExecution.status.in_(open_executions))
        .values(status=ExecutionStatus.CANCELED, ended=now)
    )
    session.execute(
        update(Ingest)
        .where(Ingest.job_id == job_id, Ingest.status.in_((IngestStatus.QUEUED, IngestStatus.INGESTING)))
        .values(status=IngestStatus.ERRORED, reason="its job was canceled")
    )
    notify(session, QUEUE_CHANNEL)
    session.flush()
    session.expire(job)
    return job


def system_type(session: Session, name: str) -> JobType:
    """A job type of Scale's own. Raises Invalid when it was never seeded."""
    found = session.scalar(select(JobType).where(JobType.name == name, JobType.is_system))
    if found is None:
        raise Invalid(f"The system job type {name} is missing; run python -m scale_core.seed")
    return found
