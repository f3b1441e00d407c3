"""The end of an execution: products registered, sources catalogued, triggers fired, the job's and recipe's status.

The offer handler has written what the node reported into job_exe.outcome; this turns it into the final state, in one
transaction. Doing it twice is harmless: only executions that are RUNNING and whose task has ended are taken.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from scale_core import timestamps
from scale_core.db.job import Job, JobExecution
from scale_core.db.node import Node
from scale_core.db.trigger import RuleType
from scale_core.documents import job_interface
from scale_core.domain import failure
from scale_core.domain import job as rules
from scale_core.domain.execution import Outcome
from scale_core.domain.failure import Failure
from scale_core.domain.job import ErrorCategory, ExecutionStatus, JobStatus
from scale_core.domain.job_interface import JobInterface
from scale_core.errors import Invalid
from scale_core.services import error, file, ingest, job, recipe, trigger
from scale_core.services.file import Move
from scale_core.services.ingest import StoredIngest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Elsewhere:
    """An outcome too large for a message: it lies in a file of the node's sandbox."""

    job_exe_id: int
    hostname: str
    port: int
    path: str


@dataclass(frozen=True)
class Finished:
    """What the shell does after the commit; each of these has a healer that repeats it."""

    job_exe_ids: tuple[int, ...] = ()
    removable: tuple[StoredIngest, ...] = ()
    moves: tuple[Move, ...] = ()


def unfinished(session: Session, limit: int, older_than_s: float, now: datetime) -> list[int]:
    """Executions whose task ended a while ago and that nobody has finished: the sweep that repairs lost messages."""
    return list(
        session.scalars(
            select(JobExecution.id)
            .where(
                JobExecution.status == ExecutionStatus.RUNNING,
                JobExecution.task_ended < now - timedelta(seconds=older_than_s),
            )
            .order_by(JobExecution.id)
            .limit(limit)
        )
    )


def elsewhere(session: Session, ids: Sequence[int]) -> list[Elsewhere]:
    """Those of the executions whose outcome has to be fetched from their node first."""
    rows = session.execute(
        select(JobExecution.id, Node.hostname, Node.port, JobExecution.outcome_file)
        .join(Node, Node.id == JobExecution.node_id)
        .where(
            JobExecution.id.in_(ids),
            JobExecution.status == ExecutionStatus.RUNNING,
            JobExecution.outcome_file.is_not(None),
            JobExecution.outcome.is_(None),
        )
    )
    return [Elsewhere(id_, hostname, port, path) for id_, hostname, port, path in rows if path]


def lose_outcome(session: Session, job_exe_id: int, reason: str) -> None:
    """The node that holds the outcome is gone: the execution is lost, and tried again."""
    facts = {"mesos": {"state": "TASK_LOST", "reason": "REASON_AGENT_REMOVED", "message": reason}}
    session.execute(
        update(JobExecution).where(JobExecution.id == job_exe_id, JobExecution.outcome.is_(None)).values(outcome=facts)
    )


def finish(session: Session, ids: Sequence[int], now: datetime) -> Finished:
    """Finish executions whose task has ended (DESIGN: journey 2). Those that somebody else is finishing are left out.

    An execution that cannot be finished for a reason of its own fails with that reason; it holds up no other.
    """
    executions = _take(session, ids)
    job_ids = [execution.job_id for execution in executions]
    recipes = job.lock_recipes(session, job_ids)
    jobs = {each.id: each for each in job.lock(session, job_ids)}
    removable: list[StoredIngest] = []
    moves: list[Move] = []
    for execution in executions:
        owner = jobs[execution.job_id]
        outcome = execution.outcome or {}
        _record_phases(execution, outcome)
        failed = _succeed(session, execution, owner, recipes.get(owner.id), removable, moves, now)
        if failed is not None:
            _fail(session, execution, owner, failed, now)
        execution.outcome = None
        session.flush()
    recipe.advance(session, list(recipes.values()), now)
    return Finished(tuple(each.id for each in executions), tuple(removable), tuple(moves))


def _take(session: Session, ids: Sequence[int]) -> list[JobExecution]:
    query = (
        select(JobExecution)
        .where(
            JobExecution.id.in_(ids),
            JobExecution.status == ExecutionStatus.RUNNING,
            JobExecution.task_ended.is_not(None),
            JobExecution.outcome.is_not(None),
        )
        .order_by(JobExecution.id)
        .with_for_update(of=JobExecution, skip_locked=True)
        .options(joinedload(JobExecution.job).options(joinedload(Job.job_type), joinedload(Job.job_type_rev)))
    )
    return list(session.scalars(query))


def _succeed(
    session: Session,
    execution: JobExecution,
    owner: Job,
    recipe_id: int | None,
    removable: list[StoredIngest],
    moves: list[Move],
    now: datetime,
) -> Failure | None:
    """Complete the execution, or say why it has failed."""
    if not (execution.outcome or {}).get("succeeded"):
        return failure.classify(execution.outcome or {}, owner.job_type.error_mapping)
    outcome = Outcome.from_dict(execution.outcome or {})
    try:
        with session.begin_nested():
            originals, wanted = _complete(session, execution, owner, outcome, recipe_id, now)
    except Invalid as problem:
        return Failure("invalid-results-manifest", lost=False, message=str(problem))
    removable += originals
    moves += wanted
    return None


def _complete(
    session: Session,
    execution: JobExecution,
    owner: Job,
    outcome: Outcome,
    recipe_id: int | None,
    now: datetime,
) -> tuple[list[StoredIngest], list[Move]]:
    ended = _ended(execution, now)
    outputs = file.register_products(session, execution, owner, outcome.files, recipe_id, now)
    parsed, moves = file.apply_parse_results(session, owner, outcome.parse_results, now)
    originals = ingest.complete(session, owner.id, outcome.ingests, now) if outcome.ingests else []
    execution.results = _results(job_interface.parse(owner.job_type_rev.interface), outputs)
    execution.results_manifest = outcome.results_manifest or {}
    execution.status, execution.ended = ExecutionStatus.COMPLETED, ended
    execution.error_id, execution.message = None, outcome.message
    rules.check_move(owner.id, owner.status, JobStatus.COMPLETED)
    owner.status, owner.ended, owner.last_status_change = JobStatus.COMPLETED, ended, now
    owner.results, owner.error_id, owner.reason = execution.results, None, None
    session.flush()
    if outcome.files:
        file.publish(session, execution.id, ended)
    if parsed:
        trigger.fire(session, RuleType.PARSE, parsed, now, now)
    return originals, moves


def _fail(session: Session, execution: JobExecution, owner: Job, failed: Failure, now: datetime) -> None:
    """Fail the execution; the job goes back to the queue by itself or fails for good."""
    cause = error.by_name(session, failed.error)
    ended = _ended(execution, now)
    execution.status, execution.ended = ExecutionStatus.FAILED, ended
    execution.error_id, execution.message = cause.id, failed.message
    is_free = failed.lost and owner.num_lost < rules.MAX_LOST
    owner.num_lost += is_free
    tries = owner.num_exes - owner.num_lost
    again = is_free or rules.may_retry(
        ErrorCategory(cause.category), tries, owner.max_tries, owner.job_type.is_long_running
    )
    logger.log(
        logging.INFO if again else logging.WARNING,
        "execution %d of job %d (%s) failed: %s: %s%s",
        execution.id,
        owner.id,
        owner.job_type.name,
        cause.name,
        failed.message,
        "; it is tried again" if again else "",
    )
    is_ingest = owner.job_type.name == ingest.INGEST_TYPE and owner.job_type.is_system
    if is_ingest:
        ingest.fail(session, owner.id, failed.message or cause.title or cause.name, again=again)
    session.flush()
    if again:
        job.enqueue(session, [job.QueueRequest(owner.id)], now)
        reason = f"attempt {tries} of {owner.max_tries} failed: {failed.message or cause.title}"
        session.execute(update(Job).where(Job.id == owner.id).values(reason=reason))
        return
    rules.check_move(owner.id, owner.status, JobStatus.FAILED)
    owner.status, owner.ended, owner.last_status_change = JobStatus.FAILED, ended, now
    owner.error_id, owner.reason = cause.id, failed.message
    session.flush()


def _record_phases(execution: JobExecution, outcome: Mapping[str, Any]) -> None:
    """When pre, job and post ran, and how they ended."""
    for name in ("pre", "job", "post"):
        phase = outcome.get(name) or {}
        for moment in ("started", "completed"):
            if phase.get(moment):
                setattr(execution, f"{name}_{moment}", timestamps.parse_datetime(phase[moment]))
        if phase.get("exit_code") is not None:
            setattr(execution, f"{name}_exit_code", phase["exit_code"])
    execution.command_arguments = outcome.get("command_arguments") or execution.command_arguments
    execution.used = outcome.get("used") or {}


def _ended(execution: JobExecution, now: datetime) -> datetime:
    """When the node was done with it; never before it started, whatever the clocks of two machines say."""
    ended = execution.post_completed or execution.job_completed or execution.task_ended or now
    return max(ended, execution.started or ended)


def _results(interface: JobInterface, outputs: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The job results document: the files of each output that was produced."""
    entries: list[dict[str, Any]] = []
    for spec in interface.outputs:
        ids = outputs.get(spec.name)
        if ids:
            entries.append(
                {"name": spec.name, "file_id": ids[0]}
                if spec.type == "file"
                else {"name": spec.name, "file_ids": list(ids)}
            )
    return {"version": "1.0", "output_data": entries}
