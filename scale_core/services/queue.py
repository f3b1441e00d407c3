"""Putting work on the queue: by a person, by a trigger, again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, cast, func, select, update
from sqlalchemy.orm import Session

from scale_core.db.job import Job, JobType
from scale_core.db.queue import Queue
from scale_core.db.recipe import Recipe, RecipeType
from scale_core.db.session import QUEUE_CHANNEL, notify, queue_news
from scale_core.documents import job_data as data_document
from scale_core.documents import job_interface
from scale_core.domain.job import FINAL_JOB_STATUSES, JobStatus
from scale_core.domain.job_interface import JobData
from scale_core.domain.recipe import RecipeData
from scale_core.domain.retry import BY_USER
from scale_core.errors import Invalid
from scale_core.services import audit, event, get, job, recipe


def queue_new_job(session: Session, job_type_id: int, raw: Mapping[str, Any], now: datetime) -> Job:
    """Create and queue a job (Queue New Job). Raises NotFound, Invalid naming input and reason."""
    job_type = get(session, JobType, job_type_id, "job type")
    if job_type.is_system:
        raise Invalid(f"{job_type.name} is a system job type; Scale itself starts its jobs")
    data = data_document.parse(raw)
    job_id = queue_job(session, job_type, data, event.user_event(session, now), now)
    audit.note(session, "job", job_id, f"{job_type.name} {job_type.version}", {"status": JobStatus.QUEUED.value})
    return session.get_one(Job, job_id)


def queue_new_recipe(session: Session, recipe_type_id: int, raw: Mapping[str, Any], now: datetime) -> Recipe:
    """Create and queue a recipe (Queue New Recipe). Raises NotFound, Invalid naming input and reason."""
    recipe_type = get(session, RecipeType, recipe_type_id, "recipe type")
    data = data_document.parse_recipe(raw)
    return recipe.create(session, recipe_type, data, event.user_event(session, now), now)


def queue_job(session: Session, job_type: JobType, data: JobData, event_id: int, now: datetime) -> int:
    """Create and queue one job; returns its id. Raises Invalid."""
    interface = job_interface.parse(job_type.interface)
    (job_id,) = job.create(session, [job_type], event_id, now)
    job.enqueue(session, [job.request(session, job_id, job_type, interface, data)], now)
    return job_id


def queue_jobs(session: Session, job_type: JobType, wanted: Sequence[tuple[int, JobData]], now: datetime) -> list[int]:
    """Create and queue a job for each event id and data, in a fixed number of statements; returns their ids.

    Raises Invalid when the data of one are bad; what was made by then is to be rolled back: call it in a savepoint.
    """
    interface = job_interface.parse(job_type.interface)
    events = [event_id for event_id, _ in wanted]
    job_ids = job.create(session, [job_type] * len(wanted), events[0], now)
    each = func.unnest(cast(job_ids, ARRAY(BigInteger)), cast(events, ARRAY(BigInteger)))
    pairs = each.table_valued("job_id", "event_id").render_derived()
    session.execute(update(Job).where(Job.id == pairs.c.job_id).values(event_id=pairs.c.event_id))
    drafts = [job.Draft(job_id, job_type, interface, data) for job_id, (_, data) in zip(job_ids, wanted, strict=True)]
    requests, bad = job.requests(session, drafts)
    for problems in bad.values():
        raise Invalid(problems=problems)
    return job.enqueue(session, requests, now)


def queue_recipe(session: Session, recipe_type: RecipeType, data: RecipeData, event_id: int, now: datetime) -> int:
    """Create and queue one recipe; returns its id. Raises Invalid."""
    return recipe.create(session, recipe_type, data, event_id, now).id


def cancel(session: Session, job_id: int, now: datetime) -> Job:
    """Cancel a job and block what depends on it in its recipe (Update Job). Raises NotFound, IllegalTransition."""
    canceled = job.cancel(session, job_id, now)
    audit.note(session, "job", job_id, after={"status": JobStatus.CANCELED.value})
    recipe.advance(session, list(job.lock_recipes(session, [job_id]).values()), now)
    session.expire(canceled)
    return canceled


def requeue(session: Session, job_ids: Sequence[int], priority: int | None, now: datetime) -> list[int]:
    """Put FAILED and CANCELED jobs back (Requeue Jobs): with one more try than they may have or have had.

    Jobs that were never queued become PENDING or BLOCKED, as their recipe wants it. Returns the ids that moved. Call
    it in chunks: all the jobs are locked until the transaction ends.
    """
    recipes = job.lock_recipes(session, job_ids)
    jobs = [each for each in job.lock(session, job_ids) if each.status in (JobStatus.FAILED, JobStatus.CANCELED)]
    again = [each.id for each in jobs if each.num_exes > 0]
    never = [each.id for each in jobs if each.num_exes == 0]
    session.execute(
        update(Job)
        .where(Job.id.in_(again))
        .values(max_tries=func.greatest(Job.max_tries, Job.num_exes - Job.num_lost) + 1, retry_decision=BY_USER)
        .execution_options(synchronize_session=False)
    )
    if priority is not None and never:
        session.execute(update(Job).where(Job.id.in_(never)).values(priority=priority))
    moved = job.enqueue(session, [job.QueueRequest(id_) for id_ in again], now, priority)
    moved += job.set_status(session, never, JobStatus.PENDING, now)
    recipe.advance(session, list(recipes.values()), now)
    for job_id in moved:
        audit.note(session, "job", job_id, after={"requeued": True, "priority": priority})
    return sorted(moved)


def prioritise(session: Session, job_ids: Sequence[int], priority: int) -> list[int]:
    """Give jobs that have not ended another place in the queue, or what will be theirs. Returns the ids that changed.

    A RUNNING job has it for its next try. Where the offer handler has gone past the new place it is told to look there
    again. Call it in chunks, as `requeue`.
    """
    waiting = select(Queue.job_exe_id).where(Queue.job_id.in_(job_ids)).order_by(Queue.job_exe_id).with_for_update()
    session.scalars(waiting).all()
    moved = [
        each.id
        for each in job.lock(session, job_ids)
        if each.status not in FINAL_JOB_STATUSES and each.priority != priority
    ]
    session.execute(
        update(Job).where(Job.id.in_(moved)).values(priority=priority).execution_options(synchronize_session=False)
    )
    # a row that came meanwhile is locked after its job, so it must not be waited for: nobody else holds it for long
    free = select(Queue.job_exe_id).where(Queue.job_id.in_(moved)).with_for_update(skip_locked=True)
    changed = update(Queue).where(Queue.job_exe_id.in_(free)).values(priority=priority).returning(Queue.queued)
    queued = session.scalars(changed.execution_options(synchronize_session=False)).all()
    if queued:
        notify(session, QUEUE_CHANNEL, queue_news(priority, min(queued)))
    for job_id in moved:
        audit.note(session, "job", job_id, after={"priority": priority})
    return sorted(moved)
