"""Rows and documents for tests: plain functions with keyword defaults. They flush, never commit."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from scale_core.db.file import FileType, ScaleFile, Workspace
from scale_core.db.ingest import Strike
from scale_core.db.job import Job, JobExecution, JobType
from scale_core.db.node import Node
from scale_core.db.queue import Queue
from scale_core.db.recipe import Recipe, RecipeType
from scale_core.domain.execution import Outcome, Phase, StoredFile
from scale_core.domain.job import ExecutionStatus, JobStatus
from scale_core.services import job_type, queue, recipe_type, strike, workspace
from tests.conftest import NOW

_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    return f"{prefix}-{next(_numbers)}"


def make_workspace(session: Session, name: str | None = None, root: str = "/data", **fields: Any) -> Workspace:
    config = {"version": "1.0", "broker": {"type": "host", "host_path": root}}
    return workspace.create(session, {"name": name or unique("workspace"), "json_config": config, **fields}, NOW)


def interface(
    inputs: Sequence[Mapping[str, Any]] = ({"name": "in", "type": "file"},),
    outputs: Sequence[Mapping[str, Any]] = ({"name": "out", "type": "file"},),
    command: str = "run",
    arguments: str | None = None,
) -> dict[str, Any]:
    if arguments is None:
        arguments = " ".join([*(f"${{{each['name']}}}" for each in inputs), "${job_output_dir}"])
    return {
        "version": "1.0",
        "command": command,
        "command_arguments": arguments,
        "input_data": [dict(each) for each in inputs],
        "output_data": [dict(each) for each in outputs],
    }


def make_job_type(session: Session, name: str | None = None, **fields: Any) -> JobType:
    given = {"name": name or unique("type"), "version": "1.0", "interface": interface(), **fields}
    return job_type.create(session, given, NOW)


def make_no_op_type(session: Session, **fields: Any) -> JobType:
    return make_job_type(session, interface=interface((), (), "true", ""), **fields)


def make_source(
    session: Session, store: Workspace, name: str = "file.txt", media_type: str = "text/plain", **fields: Any
) -> ScaleFile:
    number = next(_numbers)
    source = ScaleFile(
        file_type=FileType.SOURCE,
        file_name=name,
        media_type=media_type,
        **{
            "file_size": 10,
            "file_path": f"{number}/{name}",
            "workspace_id": store.id,
            "uuid": f"{number:032x}",
            "data_type": [],
            **fields,
        },
    )
    session.add(source)
    session.flush()
    return source


def job_data(file: ScaleFile, store: Workspace) -> dict[str, Any]:
    """Data for the interface that `interface()` makes by default."""
    return {
        "version": "1.0",
        "input_data": [{"name": "in", "file_id": file.id}],
        "output_data": [{"name": "out", "workspace_id": store.id}],
    }


def make_job(session: Session, type_: JobType | None = None, now: datetime = NOW) -> Job:
    """A QUEUED job; without a type, one that needs no data."""
    if type_ is None:
        type_ = make_no_op_type(session)
    if not type_.interface["input_data"]:
        return queue.queue_new_job(session, type_.id, {"version": "1.0"}, now)
    store = make_workspace(session)
    return queue.queue_new_job(session, type_.id, job_data(make_source(session, store), store), now)


def make_node(session: Session, hostname: str | None = None, **fields: Any) -> Node:
    name = hostname or unique("host")
    node = Node(hostname=name, port=5051, agent_id=fields.pop("agent_id", f"agent-of-{name}"), **fields)
    session.add(node)
    session.flush()
    return node


def run(session: Session, job: Job, node: Node | None = None, now: datetime = NOW) -> JobExecution:
    """Take the job's execution from the queue to RUNNING, as the offer handler does."""
    session.expire_all()
    execution = session.scalars(
        select(JobExecution).where(JobExecution.job_id == job.id).order_by(JobExecution.id.desc())
    ).first()
    assert execution is not None
    session.execute(delete(Queue).where(Queue.job_exe_id == execution.id))
    _begin(execution, job, node or make_node(session), now)
    session.flush()
    return execution


def end(session: Session, execution: JobExecution, now: datetime = NOW, **outcome: Any) -> JobExecution:
    """Record the end of its task, successful unless told otherwise; finishing it is up to the test."""
    _record_end(execution, now, **outcome)
    session.flush()
    return execution


def run_and_end(session: Session, jobs: Sequence[Job], node: Node, now: datetime = NOW) -> list[JobExecution]:
    """`run` and `end` of many jobs, each of which has one execution; in the order of the jobs."""
    found = session.scalars(select(JobExecution).where(JobExecution.job_id.in_([job.id for job in jobs])))
    executions = {execution.job_id: execution for execution in found}
    session.execute(delete(Queue).where(Queue.job_exe_id.in_([each.id for each in executions.values()])))
    for job in jobs:
        _begin(executions[job.id], job, node, now)
        _record_end(executions[job.id], now)
    session.flush()
    return [executions[job.id] for job in jobs]


def _begin(execution: JobExecution, job: Job, node: Node, now: datetime) -> None:
    execution.status, execution.started, execution.node_id = ExecutionStatus.RUNNING, now, node.id
    execution.task_id, execution.agent_id = f"scale.{execution.id}.{next(_numbers):08x}", node.agent_id
    job.status, job.started, job.last_status_change = JobStatus.RUNNING, now, now


def _record_end(execution: JobExecution, now: datetime, **outcome: Any) -> None:
    given = {"task_id": execution.task_id or "", "job_exe_id": execution.id, "succeeded": True, **outcome}
    execution.outcome = as_document(Outcome(**given))
    execution.task_ended = now


def phase(exit_code: int | None = None) -> Phase:
    return Phase("2026-05-04T12:00:00Z", "2026-05-04T12:00:01Z", exit_code)


def as_document(outcome: Outcome) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(outcome.to_json())
    return document


def stored_file(output: str, store: Workspace, name: str = "product.txt", **fields: Any) -> StoredFile:
    return StoredFile(
        output=output,
        workspace_id=store.id,
        file_path=fields.pop("file_path", f"jobs/{next(_numbers)}/{name}"),
        file_name=name,
        file_size=fields.pop("file_size", 5),
        media_type=fields.pop("media_type", "text/plain"),
        **fields,
    )


def definition(*jobs: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    return {"version": "1.0", "input_data": list(inputs), "jobs": list(jobs)}


def place(name: str, type_: JobType, after: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    """A job of a recipe definition that waits for the jobs in `after`."""
    return {
        "name": name,
        "job_type": {"name": type_.name, "version": type_.version},
        "dependencies": [{"name": each} for each in after],
        **fields,
    }


def make_recipe_type(session: Session, document: Mapping[str, Any], **fields: Any) -> RecipeType:
    given = {"name": unique("recipe"), "version": "1.0", "definition": dict(document), **fields}
    return recipe_type.create(session, given, NOW)


def make_recipe(session: Session, type_: RecipeType, **data: Any) -> Recipe:
    return queue.queue_new_recipe(session, type_.id, {"version": "1.0", **data}, NOW)


def strike_configuration(store: Workspace, mount: str = "localhost:/incoming", **rule: Any) -> dict[str, Any]:
    rules = [{"filename_regex": ".*", "workspace_path": "raw", "workspace_name": store.name, **rule}]
    return {"version": "1.0", "mount": mount, "transfer_suffix": "_tmp", "files_to_ingest": rules}


def make_strike(session: Session, store: Workspace, mount: str = "localhost:/incoming", **rule: Any) -> Strike:
    fields = {"name": unique("strike"), "configuration": strike_configuration(store, mount, **rule)}
    return strike.create(session, fields, NOW)
