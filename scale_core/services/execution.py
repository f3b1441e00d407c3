"""The end of an execution: products registered, sources catalogued, triggers fired, the job's and recipe's status.

The offer handler has written what the node reported into job_exe.outcome; this turns it into the final state, in one
transaction. Doing it twice is harmless: only executions that are RUNNING and whose task has ended are taken.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session, joinedload

from scale_core import tracing
from scale_core.db.job import Job, JobExecution
from scale_core.db.node import Node
from scale_core.documents import job_interface
from scale_core.domain import failure, retry
from scale_core.domain import job as rules
from scale_core.domain.execution import Outcome
from scale_core.domain.failure import Failure
from scale_core.domain.ingest import INGEST_JOB_TYPE
from scale_core.domain.job import ErrorCategory, ExecutionStatus, JobStatus
from scale_core.domain.job_interface import JobInterface
from scale_core.domain.retry import Backoff
from scale_core.errors import Invalid
from scale_core.services import completion, error, ingest, job, parse, product, recipe
from scale_core.services.completion import End
from scale_core.services.ingest import StoredIngest

logger = logging.getLogger(__name__)

NO_SETTING = Backoff()


@dataclass(frozen=True)
class Elsewhere:
    """An outcome too large for a message: it lies in a file of the node's sandbox."""

    job_exe_id: int
    hostname: str
    port: int
    path: str
    task_ended: datetime


@dataclass(frozen=True)
class Finished:
    """What the shell does after the commit; each of these has a healer that repeats it."""

    job_exe_ids: tuple[int, ...] = ()
    removable: tuple[StoredIngest, ...] = ()
    moving: tuple[int, ...] = ()  # ids of parsed files that are to lie elsewhere
    absent: tuple[Elsewhere, ...] = ()  # not finished: their outcomes have to be fetched first
    held: tuple[int, ...] = ()  # not finished: somebody else finished them, or wrote to them, at that moment


def unfinished(session: Session, limit: int, older_than_s: float, now: datetime) -> list[int]:
    """Executions whose task ended a while ago and that nobody has finished: the sweep that repairs lost messages.

    One that ended in the future is among them: a clock was set back, and waiting for that moment could take an hour.
    """
    age = timedelta(seconds=older_than_s)
    return list(
        session.scalars(
            select(JobExecution.id)
            .where(
                JobExecution.status == ExecutionStatus.RUNNING,
                JobExecution.task_ended.is_not(None),
                ~JobExecution.task_ended.between(now - age, now + age),
            )
            .order_by(JobExecution.id)
            .limit(limit)
        )
    )


def _elsewhere(session: Session, ids: Sequence[int]) -> list[Elsewhere]:
    """Those of the executions whose outcome has to be fetched from their node first."""
    rows = session.execute(
        select(JobExecution.id, Node.hostname, Node.port, JobExecution.outcome_file, JobExecution.task_ended)
        .join(Node, Node.id == JobExecution.node_id)
        .where(
            JobExecution.id.in_(ids),
            JobExecution.status == ExecutionStatus.RUNNING,
            JobExecution.outcome_file.is_not(None),
            JobExecution.outcome.is_(None),
        )
    )
    return [Elsewhere(id_, hostname, port, path, ended) for id_, hostname, port, path, ended in rows if path and ended]


def lose_outcome(session: Session, job_exe_id: int, reason: str) -> None:
    """The node that holds the outcome is gone: the execution is lost, and tried again."""
    facts = {"mesos": {"state": "TASK_LOST", "reason": "REASON_AGENT_REMOVED", "message": reason}}
    session.execute(
        update(JobExecution).where(JobExecution.id == job_exe_id, JobExecution.outcome.is_(None)).values(outcome=facts)
    )


def finish(session: Session, ids: Sequence[int], now: datetime, backoff: Backoff = NO_SETTING) -> Finished:
    """Finish executions whose task has ended (DESIGN: journey 2). Those that somebody else has locked are `held`.

    An execution that cannot be finished for a reason of its own fails with that reason; it holds up no other. What has
    neither failed nor produced anything costs a share of a few statements, however many there are.
    """
    executions = _take(session, ids)
    job_ids = [execution.job_id for execution in executions]
    recipes = job.lock_recipes(session, job_ids)
    statuses = completion.lock_jobs(session, job_ids)
    owners = _owners(session, [each.job_id for each in executions if _needs_owner(each.outcome)])
    product.lock_inputs(session, [owners[each.job_id] for each in executions if _produces(each.outcome)])
    removable: list[StoredIngest] = []
    moving: list[int] = []
    completed: list[End] = []
    failed: list[tuple[End, Failure]] = []
    for execution in executions:
        end = End(execution.id, execution.job_id, execution.started, execution.task_ended, execution.outcome)
        failure_ = _catalogue(session, end, owners, recipes.get(end.job_id), removable, moving, now)
        if failure_ is None:
            completed.append(end)
        else:
            failed.append((end, failure_))
    completion.complete(session, completed, statuses, now)
    for end, failure_ in failed:
        removable += _fail(session, end, owners[end.job_id], failure_, now, backoff)
    recipe.advance(session, list(recipes.values()), now)
    done = {each.id for each in executions}
    left = [id_ for id_ in ids if id_ not in done]
    absent, held = (_elsewhere(session, left), _held(session, left)) if left else ([], [])
    return Finished(tuple(sorted(done)), tuple(removable), tuple(moving), tuple(absent), tuple(held))


def _take(session: Session, ids: Sequence[int]) -> Sequence[Any]:
    exe = JobExecution
    query = select(exe.id, exe.job_id, exe.started, exe.task_ended, exe.outcome).where(*_may_finish(ids))
    return session.execute(query.order_by(exe.id).with_for_update(skip_locked=True)).all()


def _held(session: Session, ids: Sequence[int]) -> list[int]:
    """Those that could be finished but for a lock. An update that Mesos repeats holds it as a first one does."""
    return list(session.scalars(select(JobExecution.id).where(*_may_finish(ids)).order_by(JobExecution.id)))


def _may_finish(ids: Sequence[int]) -> tuple[ColumnElement[bool], ...]:
    return (
        JobExecution.id.in_(ids),
        JobExecution.status == ExecutionStatus.RUNNING,
        JobExecution.task_ended.is_not(None),
        JobExecution.outcome.is_not(None),
    )


def _needs_owner(outcome: Mapping[str, Any]) -> bool:
    return not completion.is_plain(outcome)


def _produces(outcome: Mapping[str, Any]) -> bool:
    return bool(outcome.get("succeeded") and outcome.get("files"))


def _owners(session: Session, job_ids: Sequence[int]) -> dict[int, Job]:
    """Locked jobs with their types and revisions, for the executions that need more than a change of status."""
    if not job_ids:
        return {}
    query = (
        select(Job)
        .where(Job.id.in_(job_ids))
        .options(joinedload(Job.job_type), joinedload(Job.job_type_rev), joinedload(Job.event))
        .execution_options(populate_existing=True)
    )
    return {owner.id: owner for owner in session.scalars(query)}


def _catalogue(
    session: Session,
    end: End,
    owners: Mapping[int, Job],
    recipe_id: int | None,
    removable: list[StoredIngest],
    moving: list[int],
    now: datetime,
) -> Failure | None:
    """Catalogue what the execution produced, if anything; or say why it has failed."""
    if not end.outcome.get("succeeded"):
        return failure.classify(end.outcome, owners[end.job_id].job_type.error_mapping)
    if not _needs_owner(end.outcome):
        return None
    owner = owners[end.job_id]
    try:
        with session.begin_nested(), tracing.continued(owner.event.trace_id):
            originals, wanted = _catalogue_outcome(session, end, owner, recipe_id, now)
    except Invalid as problem:
        return Failure("invalid-results-manifest", lost=False, message=str(problem))
    removable += originals
    moving += wanted
    return None


def _catalogue_outcome(
    session: Session, end: End, owner: Job, recipe_id: int | None, now: datetime
) -> tuple[list[StoredIngest], list[int]]:
    outcome = Outcome.from_dict(end.outcome)
    outputs = product.register(session, end.id, owner, outcome.files, recipe_id, now)
    moving = parse.apply(session, owner, outcome.parse_results, now)
    originals = ingest.complete(session, owner.id, outcome.ingests, now) if outcome.ingests else []
    end.results = _results(job_interface.parse(owner.job_type_rev.interface), outputs)
    if outcome.files:
        product.publish(session, end.id, end.ended)
        logger.info("execution %d of job %d made %d products", end.id, owner.id, len(outcome.files))
    return originals, moving


def _fail(
    session: Session, end: End, owner: Job, failed: Failure, now: datetime, backoff: Backoff
) -> list[StoredIngest]:
    """Fail the execution; the job goes back to the queue by itself or fails for good.

    Files that it ingested all the same are catalogued; returns their originals, to be removed.
    """
    originals: list[StoredIngest] = []
    cause = error.by_name(session, failed.error)
    completion.write(session, [end.row(ExecutionStatus.FAILED, failed.message, cause.id)])
    is_free = failed.lost and owner.num_lost < rules.MAX_LOST
    owner.num_lost += is_free
    tries = owner.num_exes - owner.num_lost
    again = is_free or rules.may_retry(
        ErrorCategory(cause.category), tries, owner.max_tries, owner.job_type.is_long_running
    )
    logger.log(
        logging.INFO if again else logging.WARNING,
        "execution %d of job %d (%s) failed: %s: %s%s",
        end.id,
        owner.id,
        owner.job_type.name,
        cause.name,
        failed.message,
        "; it is tried again" if again else "",
    )
    is_ingest = owner.job_type.name == INGEST_JOB_TYPE and owner.job_type.is_system
    if is_ingest:
        outcomes = Outcome.from_dict(end.outcome).ingests if end.outcome.get("ingests") else ()
        originals = ingest.complete(session, owner.id, outcomes, now) if outcomes else []
        reason = failed.message or cause.title or cause.name
        ingest.fail(session, owner.id, reason, again=again, outcomes=outcomes)
    session.flush()
    if again:
        delay_s = 0.0 if is_free else backoff.delay_s(tries, random.random())  # noqa: S311 - spreads, hides nothing
        decided = retry.decision(
            cause.category,
            cause.name,
            tries,
            owner.max_tries,
            is_lost=is_free,
            is_long_running=owner.job_type.is_long_running,
        )
        reason = f"attempt {tries} of {owner.max_tries} failed: {failed.message or cause.title}"
        not_before = now + timedelta(seconds=delay_s) if delay_s else None
        job.enqueue(session, [job.QueueRequest(owner.id, not_before=not_before)], now)
        session.execute(update(Job).where(Job.id == owner.id).values(reason=reason, retry_decision=decided))
        return originals
    rules.check_move(owner.id, owner.status, JobStatus.FAILED)
    owner.status, owner.ended, owner.last_status_change = JobStatus.FAILED, end.ended, now
    owner.error_id, owner.reason = cause.id, failed.message
    session.flush()
    return originals


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
