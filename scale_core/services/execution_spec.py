"""Writes down all that a node must know to run executions, for a whole batch in a fixed number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.file import FileType, ScaleFile, Workspace
from scale_core.db.job import Job, JobExecution, JobType, JobTypeRevision
from scale_core.db.recipe import Recipe, RecipeJob, RecipeType
from scale_core.db.sql import load
from scale_core.db.trigger import TriggerEvent
from scale_core.domain.execution import ExecutionSpec, IngestItem, Input, InputFile, Output, WorkspaceAccess
from scale_core.domain.ingest import INGEST_JOB_TYPE, Duplicates
from scale_core.domain.output import output_path

SQL = load("queue")
_REFUSED = (Duplicates.SET_ASIDE, Duplicates.DISCARD)  # the others are stored whatever is there already


@dataclass(frozen=True)
class Built:
    """Specifications, and for each execution that cannot be described why not."""

    specs: tuple[ExecutionSpec, ...]
    problems: Mapping[int, str] = field(default_factory=dict)


class _Broken(Exception):
    """An execution whose data contradicts the catalogue."""


@dataclass(frozen=True)
class _Batch:
    """Everything that the executions of one batch refer to, by id."""

    job_types: Mapping[int, Any]  # with the interface, by revision
    files: Mapping[int, Any]
    workspaces: Mapping[int, WorkspaceAccess]
    archived: frozenset[int]  # those that take no new files
    ingests: Mapping[int, Sequence[IngestItem]]  # by job id


def build(session: Session, job_exe_ids: Sequence[int], now: datetime) -> Built:
    """Describe RUNNING executions that have their task ids. Ingests of scale-ingest jobs become INGESTING."""
    rows = _executions(session, job_exe_ids)
    if not rows:
        return Built(())
    batch = _load(session, rows, now)
    specs, problems = [], {}
    for row in rows:
        try:
            specs.append(_spec(row, batch, now))
        except _Broken as problem:
            problems[row.id] = str(problem)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            problems[row.id] = f"the job's data or interface is malformed: {problem!r}"
    return Built(tuple(specs), problems)


def to_json(value: Any) -> str:
    """JSON that jsonb takes: PostgreSQL stores no NUL characters."""
    text: str = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    return text.replace("\\u0000", "\\ufffd")


def _executions(session: Session, ids: Sequence[int]) -> Sequence[Any]:
    exe = JobExecution
    query = (
        select(
            exe.id,
            exe.task_id,
            exe.job_id,
            exe.timeout,
            exe.cpus_scheduled,
            exe.mem_scheduled,
            exe.disk_in_scheduled,
            exe.disk_out_scheduled,
            exe.gpus_scheduled,
            Job.data,
            Job.job_type_rev_id,
            TriggerEvent.trace_id,
            RecipeType.name.label("recipe_name"),
            RecipeType.version.label("recipe_version"),
        )
        .join(Job, Job.id == exe.job_id)
        .join(TriggerEvent, TriggerEvent.id == Job.event_id)
        .outerjoin(RecipeJob, RecipeJob.job_id == Job.id)
        .outerjoin(Recipe, Recipe.id == RecipeJob.recipe_id)
        .outerjoin(RecipeType, RecipeType.id == Recipe.recipe_type_id)
        .where(exe.id == func.any(list(ids)))  # IN would be another statement for each number of ids
        .order_by(exe.id)
    )
    return session.execute(query).all()


def _load(session: Session, rows: Sequence[Any], now: datetime) -> _Batch:
    kind, revision = JobType, JobTypeRevision
    types = (
        select(revision.id, revision.interface, kind.name, kind.version, kind.docker_image, kind.docker_privileged)
        .join(kind, kind.id == revision.job_type_id)
        .where(revision.id == func.any(list({row.job_type_rev_id for row in rows})))
    )
    job_types = {row.id: row for row in session.execute(types)}
    files = _files(session, {file_id for row in rows for file_id in _file_ids(row.data)})
    ingest_jobs = [row.job_id for row in rows if job_types[row.job_type_rev_id].name == INGEST_JOB_TYPE]
    ingests = _ingests(session, ingest_jobs, now) if ingest_jobs else {}
    used = {file.workspace_id for file in files.values()}
    used |= {workspace for row in rows for workspace in _output_workspaces(row.data).values()}
    used |= {item.workspace_id for items in ingests.values() for item in items}
    workspaces, archived = _workspaces(session, used)
    return _Batch(
        job_types=job_types,
        files=files,
        workspaces=workspaces,
        archived=archived,
        ingests=ingests,
    )


def _files(session: Session, ids: set[int]) -> dict[int, Any]:
    possible = sorted(file_id for file_id in ids if 0 < file_id < 2**63)  # a bigint, or PostgreSQL refuses the batch
    return {row.id: row for row in session.execute(SQL["input_files"], {"ids": possible})} if possible else {}


def _workspaces(session: Session, ids: set[int]) -> tuple[dict[int, WorkspaceAccess], frozenset[int]]:
    """How each is reached, and which of them are archived."""
    if not ids:
        return {}, frozenset()
    store = Workspace
    query = select(store.id, store.name, store.json_config, store.is_move_enabled, store.is_active)
    rows = session.execute(query.where(store.id.in_(ids))).all()
    access = {
        row.id: WorkspaceAccess(row.id, row.name, row.json_config.get("broker") or {}, row.is_move_enabled)
        for row in rows
    }
    return access, frozenset(row.id for row in rows if not row.is_active)


def _ingests(session: Session, job_ids: Sequence[int], now: datetime) -> dict[int, list[IngestItem]]:
    rows = session.execute(SQL["begin_ingests"], {"job_ids": list(job_ids), "now": now}).all()
    known = _known_checksums(session, {row.file_name for row in rows})
    items: dict[int, list[IngestItem]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        items[row.job_id].append(
            IngestItem(
                ingest_id=row.id,
                trace_id=row.trace_id,
                mount=row.mount or "",
                file_name=row.file_name,
                workspace_id=row.workspace_id,
                file_path=row.file_path,
                known_checksums=tuple(known[row.file_name]) if row.duplicates in _REFUSED else (),
                discard_duplicate=row.duplicates == Duplicates.DISCARD,
            )
        )
    return items


def _known_checksums(session: Session, names: set[str]) -> dict[str, list[str]]:
    query = select(ScaleFile.file_name, ScaleFile.checksum).where(
        ScaleFile.file_name.in_(names),
        ScaleFile.file_type == FileType.SOURCE,
        ~ScaleFile.is_deleted,
        ScaleFile.checksum.is_not(None),
    )
    known: dict[str, list[str]] = defaultdict(list)
    for row in session.execute(query.order_by(ScaleFile.id)):
        known[row.file_name].append(row.checksum)
    return known


def _spec(row: Any, batch: _Batch, now: datetime) -> ExecutionSpec:
    job_type = batch.job_types[row.job_type_rev_id]
    interface: Mapping[str, Any] = job_type.interface
    is_ingest = job_type.name == INGEST_JOB_TYPE
    inputs = () if is_ingest else _inputs(row.data, interface, batch.files)
    outputs = () if is_ingest else _outputs(row.data, interface)
    ingests = tuple(batch.ingests.get(row.job_id, ()))
    _refuse_archived(outputs, ingests, batch)
    return ExecutionSpec(
        task_id=row.task_id,
        job_exe_id=row.id,
        job_id=row.job_id,
        job_type=job_type.name,
        job_type_version=job_type.version,
        action="ingest" if is_ingest else "job",
        command=interface.get("command") or "",
        command_arguments=interface.get("command_arguments") or "",
        docker_image=None if is_ingest else job_type.docker_image or None,
        docker_privileged=job_type.docker_privileged,
        timeout_s=row.timeout,
        cpus=row.cpus_scheduled,
        mem=row.mem_scheduled,
        disk_in=row.disk_in_scheduled,
        disk_out=row.disk_out_scheduled,
        gpus=row.gpus_scheduled,
        inputs=inputs,
        outputs=outputs,
        workspaces=_access(inputs, outputs, ingests, batch.workspaces),
        output_path=_output_path(row, job_type, inputs, batch, now) if outputs else "",
        ingests=ingests,
        trace_id=row.trace_id,
    )


def _refuse_archived(outputs: Iterable[Output], ingests: Iterable[IngestItem], batch: _Batch) -> None:
    """What waited while its workspace was archived does not start."""
    wanted = {f"output {output.name}": output.workspace_id for output in outputs}
    wanted |= {item.file_name: item.workspace_id for item in ingests}
    for what, workspace_id in wanted.items():
        if workspace_id in batch.archived:
            name = batch.workspaces[workspace_id].name
            raise _Broken(f"{what}: the workspace {name!r} is archived and takes no new files")


def _output_path(row: Any, job_type: Any, inputs: Iterable[Input], batch: _Batch, now: datetime) -> str:
    started = [batch.files[file.id].source_started for item in inputs for file in item.files]
    return output_path(
        row.id,
        (job_type.name, job_type.version),
        (row.recipe_name, row.recipe_version) if row.recipe_name is not None else None,
        min((moment for moment in started if moment), default=None),
        now,
    )


def _inputs(data: Mapping[str, Any], interface: Mapping[str, Any], files: Mapping[int, Any]) -> tuple[Input, ...]:
    given = {item["name"]: item for item in data.get("input_data") or ()}
    return tuple(
        _input(declared["name"], declared["type"], given[declared["name"]], files)
        for declared in interface.get("input_data") or ()
        if declared["name"] in given
    )


def _input(name: str, kind: str, item: Mapping[str, Any], files: Mapping[int, Any]) -> Input:
    if kind == "property":
        return Input(name, kind, value=str(item["value"]))
    return Input(name, kind, files=tuple(_input_file(name, file_id, files) for file_id in _ids_of(item)))


def _input_file(name: str, file_id: int, files: Mapping[int, Any]) -> InputFile:
    file = files.get(file_id)
    if file is None:
        raise _Broken(f"input {name}: there is no file {file_id}")
    return InputFile(file.id, file.workspace_id, file.file_path, file.file_name, file.file_size, file.checksum)


def _outputs(data: Mapping[str, Any], interface: Mapping[str, Any]) -> tuple[Output, ...]:
    workspaces = _output_workspaces(data)
    return tuple(
        Output(
            name=declared["name"],
            type=declared["type"],
            required=declared.get("required", True),
            media_type=declared.get("media_type"),
            workspace_id=workspaces.get(declared["name"]),
        )
        for declared in interface.get("output_data") or ()
    )


def _access(
    inputs: Iterable[Input],
    outputs: Iterable[Output],
    ingests: Iterable[IngestItem],
    workspaces: Mapping[int, WorkspaceAccess],
) -> tuple[WorkspaceAccess, ...]:
    used = {file.workspace_id for item in inputs for file in item.files}
    used |= {output.workspace_id for output in outputs if output.workspace_id is not None}
    used |= {item.workspace_id for item in ingests}
    missing = sorted(used - workspaces.keys())
    if missing:
        raise _Broken(f"there is no workspace {missing[0]}")
    return tuple(workspaces[workspace_id] for workspace_id in sorted(used))


def _ids_of(item: Mapping[str, Any]) -> list[int]:
    ids = item["file_ids"] if "file_ids" in item else [item["file_id"]]
    return [int(file_id) for file_id in ids]


def _file_ids(data: Mapping[str, Any]) -> list[int]:
    """All files that job data names; what is malformed is left to _spec, which tells whose it is."""
    try:
        items = [item for item in data.get("input_data") or () if "file_id" in item or "file_ids" in item]
        return [file_id for item in items for file_id in _ids_of(item)]
    except (AttributeError, TypeError, ValueError):
        return []


def _output_workspaces(data: Mapping[str, Any]) -> dict[str, int]:
    try:
        items = data.get("output_data") or ()
        return {item["name"]: int(item["workspace_id"]) for item in items if item.get("workspace_id") is not None}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
