"""Recipes: graphs of jobs that wait for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Text, case, cast, insert, null, select, tuple_, update
from sqlalchemy.orm import Session

from scale_core.db.job import Job, JobType, JobTypeRevision
from scale_core.db.recipe import Recipe, RecipeJob, RecipeType, RecipeTypeRevision
from scale_core.documents import job_data as data_document
from scale_core.documents import job_interface, recipe_definition
from scale_core.domain import recipe as graph
from scale_core.domain.job import JobStatus
from scale_core.domain.job_interface import JobInterface, check_inputs, input_document
from scale_core.domain.recipe import RecipeData, RecipeDefinition
from scale_core.errors import Invalid, Problem
from scale_core.services import error, job, workspace


def create(session: Session, recipe_type: RecipeType, data: RecipeData, event_id: int, now: datetime) -> Recipe:
    """A recipe with all its jobs; those that depend on nothing are queued. Raises Invalid naming input and reason."""
    if not recipe_type.is_active:
        raise Invalid(f"The recipe type {recipe_type.name} {recipe_type.version} is archived; activate it to run it")
    definition = _definition(orjson.dumps(recipe_type.definition))
    types = _job_types(session, definition)
    _check_data(session, definition, types, data)
    revision = session.scalar(
        select(RecipeTypeRevision.id).where(
            RecipeTypeRevision.recipe_type_id == recipe_type.id,
            RecipeTypeRevision.revision_num == recipe_type.revision_num,
        )
    )
    document: dict[str, Any] = {"version": "1.0", "input_data": input_document(data.inputs, definition.inputs)}
    if data.workspace_id is not None:
        document["workspace_id"] = data.workspace_id
    recipe = Recipe(
        recipe_type_id=recipe_type.id, recipe_type_rev_id=revision, event_id=event_id, data=document, created=now
    )
    session.add(recipe)
    session.flush()
    names = definition.order()
    job_ids = job.create(session, [types[definition.job(name).job_type] for name in names], event_id, now)
    if job_ids:
        places = zip(names, job_ids, strict=True)
        session.execute(
            insert(RecipeJob), [{"recipe_id": recipe.id, "job_id": id_, "job_name": name} for name, id_ in places]
        )
    advance(session, [recipe.id], now)
    return recipe


def advance(session: Session, recipe_ids: Sequence[int], now: datetime) -> list[int]:
    """Move these recipes on: queue what is ready, block what cannot run, unblock what can, note completion.

    The caller has locked the recipes (or just made them). Returns the ids of jobs that were queued. A job whose data
    turn out to be invalid fails with a DATA error instead of being tried for ever. The number of statements is fixed,
    however many recipes and jobs move.
    """
    if not recipe_ids:
        return []
    moving = _read(session, recipe_ids)
    for finish, find in ((JobStatus.PENDING, graph.unblocked_jobs), (JobStatus.BLOCKED, graph.blocked_jobs)):
        _set_status(session, moving, {each.id: find(each.definition, each.states) for each in moving}, finish, now)
    queued, broken = _queue_ready(session, moving, now)
    if broken:  # what depends on them is blocked now
        stranded = {each.id: graph.blocked_jobs(each.definition, each.states) for each in moving}
        _set_status(session, moving, stranded, JobStatus.BLOCKED, now)
    _note_completion(session, moving, now)
    return queued


@dataclass
class _Moving:
    """A recipe on its way: the statuses of its jobs, by name, are kept up to date while it moves."""

    id: int
    document: Mapping[str, Any]
    definition: RecipeDefinition
    completed: datetime | None
    states: dict[str, JobStatus] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)


def _read(session: Session, recipe_ids: Sequence[int]) -> list[_Moving]:
    found = session.execute(
        select(Recipe.id, Recipe.data, cast(RecipeTypeRevision.definition, Text), Recipe.completed)
        .join(RecipeTypeRevision, RecipeTypeRevision.id == Recipe.recipe_type_rev_id)
        .where(Recipe.id.in_(set(recipe_ids)))
        .order_by(Recipe.id)
    )
    moving = {row[0]: _Moving(row[0], row[1], _definition(row[2]), row[3]) for row in found}
    places = session.execute(
        select(RecipeJob.recipe_id, RecipeJob.job_name, Job.id, Job.status)
        .join(Job, Job.id == RecipeJob.job_id)
        .where(RecipeJob.recipe_id.in_(moving))
    )
    for recipe_id, name, job_id, status in places:
        moving[recipe_id].states[name], moving[recipe_id].ids[name] = status, job_id
    return list(moving.values())


def _set_status(
    session: Session, moving: Sequence[_Moving], names: Mapping[int, Sequence[str]], finish: JobStatus, now: datetime
) -> None:
    """Let the named jobs of each recipe (by its id) become `finish`."""
    job.set_status(session, [each.ids[name] for each in moving for name in names[each.id]], finish, now)
    for each in moving:
        each.states.update(dict.fromkeys(names[each.id], finish))


def _note_completion(session: Session, moving: Sequence[_Moving], now: datetime) -> None:
    """A recipe is completed once all its jobs are, and no more when one of them is run again."""
    is_done = {each.id: all(status is JobStatus.COMPLETED for status in each.states.values()) for each in moving}
    changed = [each.id for each in moving if is_done[each.id] is (each.completed is None)]
    if changed:
        done = [id_ for id_ in changed if is_done[id_]]
        completed = case((Recipe.id.in_(done), now), else_=null())
        session.execute(update(Recipe).where(Recipe.id.in_(changed)).values(completed=completed))


def _queue_ready(session: Session, moving: Sequence[_Moving], now: datetime) -> tuple[list[int], bool]:
    """Queue the ready jobs; returns their ids, and whether there are any whose data are invalid: those have failed."""
    ready = {each.id: graph.ready_jobs(each.definition, each.states) for each in moving}
    wanted = [each.ids[name] for each in moving for name in ready[each.id]]
    if not wanted:
        return [], False
    rows = session.execute(
        select(Job.id, cast(JobTypeRevision.interface, Text), JobType)
        .join(JobTypeRevision, JobTypeRevision.id == Job.job_type_rev_id)
        .join(JobType, JobType.id == Job.job_type_id)
        .where(Job.id.in_(wanted))
    )
    types = {id_: (_interface(interface), job_type) for id_, interface, job_type in rows}
    results = _results(session, moving, ready)
    drafts = []
    for each in moving:
        data = data_document.parse_recipe(each.document) if ready[each.id] else RecipeData()
        made = {name: results[id_] for name, id_ in each.ids.items() if id_ in results}
        for name in ready[each.id]:
            interface, job_type = types[each.ids[name]]
            values = graph.job_data(each.definition, name, interface, data, made)
            drafts.append(job.Draft(each.ids[name], job_type, interface, values))
    requests, problems = job.requests(session, drafts)
    _fail(session, {id_: str(Invalid(problems=wrong)) for id_, wrong in problems.items()}, now)
    for each in moving:
        each.states |= {
            name: JobStatus.FAILED if each.ids[name] in problems else JobStatus.QUEUED for name in ready[each.id]
        }
    return job.enqueue(session, requests, now), bool(problems)


def _results(
    session: Session, moving: Sequence[_Moving], ready: Mapping[int, Sequence[str]]
) -> dict[int, dict[str, list[int]]]:
    """By job id, the ids of the files of each output of the jobs that pass something to the ready ones."""
    parents = {
        each.ids[dependency.name]
        for each in moving
        for name in ready[each.id]
        for dependency in each.definition.job(name).dependencies
        if dependency.connections
    }
    if not parents:
        return {}
    return {
        id_: {entry["name"]: entry.get("file_ids") or [entry["file_id"]] for entry in document.get("output_data", [])}
        for id_, document in session.execute(select(Job.id, Job.results).where(Job.id.in_(parents)))
    }


def _fail(session: Session, reasons: Mapping[int, str], now: datetime) -> None:
    """Let these PENDING jobs fail, each for its reason."""
    if not reasons:
        return
    invalid = error.by_name(session, "invalid-job-data")
    session.execute(
        update(Job)
        .where(Job.id.in_(reasons), Job.status == JobStatus.PENDING)
        .values(
            status=JobStatus.FAILED,
            error_id=invalid.id,
            ended=now,
            last_status_change=now,
            reason=case(reasons, value=Job.id),
        )
        .execution_options(synchronize_session=False)
    )
    session.expire_all()


@lru_cache(maxsize=128)
def _definition(document: str | bytes) -> RecipeDefinition:
    """Recipes of a revision move on many times: to check its document again each time took longer than all the SQL."""
    return recipe_definition.parse(orjson.loads(document))


@lru_cache(maxsize=1024)
def _interface(document: str | bytes) -> JobInterface:
    return job_interface.parse(orjson.loads(document))


def _job_types(session: Session, definition: RecipeDefinition) -> dict[tuple[str, str], JobType]:
    keys = definition.job_types()
    rows = session.scalars(select(JobType).where(tuple_(JobType.name, JobType.version).in_(list(keys))))
    types = {(row.name, row.version): row for row in rows}
    if missing := sorted(keys - set(types)):
        raise Invalid(problems=[Problem("definition", f"unknown job type {n!r} {v!r}") for n, v in missing])
    return types


def _check_data(
    session: Session,
    definition: RecipeDefinition,
    types: Mapping[tuple[str, str], JobType],
    data: RecipeData,
) -> None:
    file_ids = [file_id for value in data.inputs.values() for file_id in value.file_ids]
    problems = check_inputs(definition.inputs, data.inputs, job.file_facts(session, file_ids))
    has_outputs = any(_interface(orjson.dumps(types[key].interface)).outputs for key in definition.job_types())
    if data.workspace_id is None:
        if has_outputs:
            problems.append(Problem("workspace_id", "is required: jobs of this recipe produce files"))
    else:
        usable = workspace.activity(session, [data.workspace_id])
        if data.workspace_id not in usable:
            problems.append(Problem("workspace_id", f"workspace {data.workspace_id} does not exist"))
        elif not usable[data.workspace_id]:
            problems.append(Problem("workspace_id", f"workspace {data.workspace_id} is archived"))
    if problems:
        raise Invalid(problems=problems)
