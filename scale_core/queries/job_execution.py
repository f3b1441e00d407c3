"""Executions of jobs, and their logs."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, defer, joinedload, raiseload
from sqlalchemy.orm.interfaces import ORMOption

from scale_core import tracing
from scale_core.db.job import Job, JobExecution, JobExecutionLog, JobType
from scale_core.db.trigger import TriggerEvent
from scale_core.domain import environment
from scale_core.domain.job import ExecutionStatus
from scale_core.errors import NotFound
from scale_core.queries.job_type import without_documents
from scale_core.queries.listing import ALWAYS, Order, Page, Period, Query, With, known, read_page
from scale_core.queries.shape import Json, Shape, rows

ORDER = Order(
    JobExecution,
    default=["last_modified"],
    related=["job", "job__job_type", "job__job_type_rev", "job__event", "job__error", "node", "error"],
)
FINISHED = frozenset(set(ExecutionStatus) - {ExecutionStatus.QUEUED, ExecutionStatus.RUNNING})


@dataclass(frozen=True)
class ExecutionFilters:
    """Statuses nobody knows match no execution."""

    period: Period = ALWAYS
    statuses: tuple[str, ...] = ()
    job_type_ids: tuple[int, ...] = ()
    job_type_names: tuple[str, ...] = ()
    job_type_categories: tuple[str, ...] = ()
    node_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class StoredLog:
    stdout: str
    stderr: str


def list_executions(
    session: Session, filters: ExecutionFilters, page: Page, shape: Shape
) -> tuple[Sequence[Json], int]:
    query = _filtered(select(JobExecution.id), filters)
    return read_page(session, query, ORDER, page, filters, rows(JobExecution, shape).read)


def get_execution(session: Session, execution_id: int) -> With:
    """An execution with its job, node and error, and the `environment` that its job found. Raises NotFound."""
    query = (
        select(JobExecution, Job.data, TriggerEvent.trace_id)
        .join(JobExecution.job)
        .join(TriggerEvent, TriggerEvent.id == Job.event_id)
        .where(JobExecution.id == execution_id)
    )
    found = session.execute(query.options(*_job_options(), raiseload("*"))).one_or_none()
    if found is None:
        raise NotFound(f"There is no job execution with the id {execution_id}.")
    execution, data, trace_id = found
    return With(execution, environment=_environment(execution, data, trace_id))


def _environment(execution: JobExecution, data: Mapping[str, Any], trace_id: str) -> dict[str, Any]:
    """Nothing before an execution has started, and for Scale's own jobs, which run no command."""
    job_type = execution.job.job_type
    if execution.started is None or job_type.is_system:
        return {}
    has_files = any({"file_id", "file_ids"} & set(given) for given in data.get("input_data", ()))
    directory = None if job_type.docker_image else execution.directory or ""
    trace = tracing.header(trace_id, execution.id) if trace_id else ""
    return environment.document(execution.job_id, execution.id, directory, has_files=has_files, trace=trace)


def running_on(session: Session, node_ids: Sequence[int]) -> Sequence[JobExecution]:
    """The RUNNING executions of the nodes, oldest first."""
    query = _running_on(select(JobExecution), node_ids)
    return session.scalars(query.options(*execution_options())).all()


def rows_running_on(session: Session, node_ids: Sequence[int], shape: Shape) -> dict[int, list[Json]]:
    """The same as rows of the shape, by node."""
    running: dict[int, list[Json]] = defaultdict(list)
    read = rows(JobExecution, shape, ("node_id",)).read_with_extra
    for execution, row in read(session, _running_on(select(JobExecution.id), node_ids)):
        running[row.node_id].append(execution)
    return running


def _running_on(query: Query, node_ids: Sequence[int]) -> Query:
    query = query.where(JobExecution.status == ExecutionStatus.RUNNING, JobExecution.node_id.in_(tuple(node_ids)))
    return query.order_by(JobExecution.id)


def get_stored_log(session: Session, execution_id: int) -> StoredLog | None:
    """The log that was kept when the execution ended; None while there is none."""
    log = session.get(JobExecutionLog, execution_id)
    return StoredLog(_text(log.stdout), _text(log.stderr)) if log else None


def light_execution_options() -> list[Any]:
    """Eager loads of what an execution shows inside of its job."""
    return [*_without_documents(), joinedload(JobExecution.error), raiseload("*")]


def execution_options() -> list[ORMOption]:
    """Eager loads of what an execution in a list shows."""
    return [*_without_documents(), *_job_options(), raiseload("*")]


def _job_options() -> list[ORMOption]:
    job = joinedload(JobExecution.job)
    return [
        job.defer(Job.data, raiseload=True).defer(Job.results, raiseload=True),
        without_documents(job.joinedload(Job.job_type)),
        job.joinedload(Job.error),
        joinedload(JobExecution.node),
        joinedload(JobExecution.error),
    ]


def _without_documents() -> list[ORMOption]:
    names = ("outcome", "results", "results_manifest", "used")
    return [defer(getattr(JobExecution, name), raiseload=True) for name in names]


def _filtered(query: Query, filters: ExecutionFilters) -> Query:
    query = filters.period.limit(query, JobExecution.last_modified)
    if filters.statuses:
        query = query.where(JobExecution.status.in_(known(ExecutionStatus, filters.statuses)))
    if filters.node_ids:
        query = query.where(JobExecution.node_id.in_(filters.node_ids))
    types = select(JobType.id)
    conditions = []
    if filters.job_type_ids:
        conditions.append(JobType.id.in_(filters.job_type_ids))
    if filters.job_type_names:
        conditions.append(JobType.name.in_(filters.job_type_names))
    if filters.job_type_categories:
        conditions.append(JobType.category.in_(filters.job_type_categories))
    if conditions:
        jobs = select(Job.id).where(Job.job_type_id.in_(types.where(*conditions)))
        query = query.where(JobExecution.job_id.in_(jobs))
    return query


def _text(compressed: bytes) -> str:
    return zlib.decompress(compressed).decode("utf-8", "replace") if compressed else ""
