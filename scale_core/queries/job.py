"""Jobs: lists, details, updates, and jobs with their latest execution."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, raiseload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from scale_core.db.file import ScaleFile
from scale_core.db.job import Error, Job, JobExecution, JobType
from scale_core.db.queue import Queue
from scale_core.db.recipe import Recipe, RecipeJob, RecipeType, RecipeTypeRevision
from scale_core.db.trigger import TriggerEvent
from scale_core.domain.job import ErrorCategory, JobStatus
from scale_core.errors import NotFound
from scale_core.queries import file, queue
from scale_core.queries.job_execution import light_execution_options
from scale_core.queries.job_type import without_documents
from scale_core.queries.listing import ALWAYS, Order, Page, Period, Query, With, known, read_page
from scale_core.queries.shape import Json, Shape, by_id, rows

_RELATED = ("job_type", "job_type_rev", "job_type_rev__job_type", "event", "event__rule", "error")
ORDER = Order(Job, default=["last_modified"], related=_RELATED)
REQUEUABLE = (JobStatus.FAILED, JobStatus.CANCELED)
UPDATES_ORDER = Order(Job, default=["last_status_change"], related=_RELATED)


@dataclass(frozen=True)
class JobFilters:
    """Statuses and categories nobody knows match no job."""

    period: Period = ALWAYS
    statuses: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    job_type_ids: tuple[int, ...] = ()
    job_type_names: tuple[str, ...] = ()
    job_type_categories: tuple[str, ...] = ()
    error_categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """An input or output of a job: as its interface names it, with the value of this job. Files are ScaleFile rows."""

    name: str
    type: str
    value: Any


def list_jobs(session: Session, filters: JobFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(_filtered(select(Job.id), filters), Job.last_modified)
    return read_page(session, query, ORDER, page, filters, rows(Job, shape).read)


def list_updates(session: Session, filters: JobFilters, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """Jobs by the time that their status changed, with their `input_files`."""
    query = filters.period.limit(_filtered(select(Job.id), filters), Job.last_status_change)
    read = rows(Job, shape, ("data",)).read_with_extra
    found, total = read_page(session, query, UPDATES_ORDER, page, filters, read)
    ids = [input_file_ids(row.data) for _, row in found]
    files = by_id(session, ScaleFile, itertools.chain.from_iterable(ids), shape["input_files"])
    return [
        {**job, "input_files": _existing(files, wanted)} for (job, _), wanted in zip(found, ids, strict=True)
    ], total


def list_with_execution(session: Session, filters: JobFilters, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """Jobs with their `latest_job_exe`, None for a job that never was queued."""
    jobs, total = list_jobs(session, filters, page, shape)
    newest = select(func.max(JobExecution.id).label("id")).where(JobExecution.job_id.in_([job["id"] for job in jobs]))
    read = rows(JobExecution, shape["latest_job_exe"], ("job_id",)).read_with_extra
    latest = {row.job_id: exe for exe, row in read(session, newest.group_by(JobExecution.job_id))} if jobs else {}
    return [{**job, "latest_job_exe": latest.get(job["id"])} for job in jobs], total


def list_of(session: Session, job_ids: Sequence[int], page: Page, shape: Shape) -> tuple[list[Json], int]:
    """A page of these jobs, in their order."""
    wanted = job_ids[page.offset : page.offset + page.size]
    jobs = by_id(session, Job, wanted, shape)
    return [jobs[job_id] for job_id in wanted if job_id in jobs], len(job_ids)


def list_ids(session: Session, filters: JobFilters) -> list[int]:
    """The ids of all jobs that match, ascending."""
    query = filters.period.limit(_filtered(select(Job.id), filters), Job.last_modified)
    return list(session.scalars(query.order_by(Job.id)))


def get_job(session: Session, job_id: int, now: datetime) -> With:
    """A job with `inputs`, `outputs`, `input_files`, `products`, `recipes` and, while it is QUEUED, `waiting`.

    Raises NotFound.
    """
    job = session.scalar(
        select(Job)
        .where(Job.id == job_id)
        .options(
            joinedload(Job.job_type),
            joinedload(Job.job_type_rev),
            joinedload(Job.event).joinedload(TriggerEvent.rule),
            joinedload(Job.error),
            selectinload(Job.job_exes).options(*light_execution_options()),
            *_recipe_options(joinedload(Job.recipe_job).joinedload(RecipeJob.recipe)),
            raiseload("*"),
        )
    )
    if job is None:
        raise NotFound(f"There is no job with the id {job_id}.")
    files = file.files_by_id(session, input_file_ids(job.data))
    products = file.products_of_job(session, job_id)
    interface = job.job_type_rev.interface
    return With(
        job,
        job_type=With(job.job_type, job_type_rev=job.job_type_rev),
        inputs=parameters(interface.get("input_data"), job.data.get("input_data"), files),
        outputs=parameters(
            interface.get("output_data"), job.results.get("output_data"), {product.id: product for product in products}
        ),
        input_files=_existing(files, input_file_ids(job.data)),
        products=products,
        recipes=[job.recipe_job.recipe] if job.recipe_job else [],
        waiting=queue.explain(session, job_id, now) if job.status is JobStatus.QUEUED else None,
        retry=_retry(session, job),
    )


def _retry(session: Session, job: Job) -> dict[str, Any]:
    is_queued = job.status is JobStatus.QUEUED
    not_before = session.scalar(select(Queue.not_before).where(Queue.job_id == job.id)) if is_queued else None
    return {
        "attempt": job.num_exes - job.num_lost,
        "max_tries": job.max_tries,
        "next": not_before,
        "decision": job.retry_decision,
    }


def job_options() -> list[Any]:
    """Eager loads of what a job inside of its recipe shows."""
    return [
        without_documents(joinedload(Job.job_type)),
        joinedload(Job.job_type_rev),
        joinedload(Job.event),
        joinedload(Job.error),
        raiseload("*"),
    ]


def input_file_ids(data: Mapping[str, Any]) -> list[int]:
    """The ids of the files that a job's or recipe's data names, in their order, each once."""
    return list(dict.fromkeys(file_id for entry in _entries(data.get("input_data")) for file_id in _file_ids(entry)))


def parameters(declared: Any, given: Any, files: Mapping[int, Any]) -> list[Parameter]:
    """The declared inputs or outputs in their order, each with its value: a text, a file, a list of files or None."""
    values = {str(entry.get("name")): entry for entry in _entries(given)}
    return [_parameter(entry, values.get(str(entry.get("name")), {}), files) for entry in _entries(declared)]


def _parameter(declared: Mapping[str, Any], given: Mapping[str, Any], files: Mapping[int, Any]) -> Parameter:
    kind = str(declared.get("type") or "file")
    found = _existing(files, _file_ids(given))
    value: Any
    if kind == "files":
        value = found if given else None
    elif kind == "file":
        value = found[0] if found else None
    else:
        value = given.get("value")
    return Parameter(str(declared.get("name")), kind, value)


def _existing(files: Mapping[int, Any], ids: Iterable[int]) -> list[Any]:
    return [files[file_id] for file_id in ids if file_id in files]


def _entries(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _file_ids(entry: Mapping[str, Any]) -> list[int]:
    ids = entry.get("file_ids")
    candidates = ids if isinstance(ids, list) else [entry.get("file_id")]
    return [candidate for candidate in candidates if isinstance(candidate, int) and 0 < candidate < 2**63]


def _filtered(query: Query, filters: JobFilters) -> Query:
    if filters.statuses:
        query = query.where(Job.status.in_(known(JobStatus, filters.statuses)))
    if filters.ids:
        query = query.where(Job.id.in_(filters.ids))
    if filters.job_type_ids:
        query = query.where(Job.job_type_id.in_(filters.job_type_ids))
    if filters.job_type_names:
        query = query.where(Job.job_type_id.in_(select(JobType.id).where(JobType.name.in_(filters.job_type_names))))
    if filters.job_type_categories:
        types = select(JobType.id).where(JobType.category.in_(filters.job_type_categories))
        query = query.where(Job.job_type_id.in_(types))
    if filters.error_categories:
        errors = select(Error.id).where(Error.category.in_(known(ErrorCategory, filters.error_categories)))
        query = query.where(Job.error_id.in_(errors))
    return query


def _recipe_options(path: Any) -> list[ORMOption]:
    return [
        path.joinedload(Recipe.recipe_type).defer(RecipeType.definition, raiseload=True),
        path.joinedload(Recipe.recipe_type_rev).defer(RecipeTypeRevision.definition, raiseload=True),
        path.joinedload(Recipe.event),
    ]
