"""Recipes: graphs of jobs that wait for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.orm import Session

from scale_core.db.job import Job, JobType, JobTypeRevision
from scale_core.db.recipe import Recipe, RecipeJob, RecipeType, RecipeTypeRevision
from scale_core.documents import job_data as data_document
from scale_core.documents import job_interface, recipe_definition
from scale_core.domain import recipe as graph
from scale_core.domain.job import JobStatus
from scale_core.domain.job_interface import check_inputs, input_document
from scale_core.domain.recipe import RecipeData, RecipeDefinition
from scale_core.errors import Invalid, Problem
from scale_core.services import error, job, workspace


def create(session: Session, recipe_type: RecipeType, data: RecipeData, event_id: int, now: datetime) -> Recipe:
    """A recipe with all its jobs; those that depend on nothing are queued. Raises Invalid naming input and reason."""
    if not recipe_type.is_active:
        raise Invalid(f"The recipe type {recipe_type.name} {recipe_type.version} is archived; activate it to run it")
    definition = recipe_definition.parse(recipe_type.definition)
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
    turn out to be invalid fails with a DATA error instead of being tried for ever.
    """
    queued: list[int] = []
    for recipe_id in sorted(set(recipe_ids)):
        queued += _advance_one(session, recipe_id, now)
    return queued


def _advance_one(session: Session, recipe_id: int, now: datetime) -> list[int]:
    data, document = session.execute(
        select(Recipe.data, RecipeTypeRevision.definition)
        .join(RecipeTypeRevision, RecipeTypeRevision.id == Recipe.recipe_type_rev_id)
        .where(Recipe.id == recipe_id)
    ).one()
    definition = recipe_definition.parse(document)
    rows = session.execute(
        select(RecipeJob.job_name, Job.id, Job.status)
        .join(Job, Job.id == RecipeJob.job_id)
        .where(RecipeJob.recipe_id == recipe_id)
        .order_by(Job.id)
    ).all()
    states = {name: status for name, _, status in rows}
    ids = {name: id_ for name, id_, _ in rows}
    queued: list[int] = []
    for finish, find in ((JobStatus.PENDING, graph.unblocked_jobs), (JobStatus.BLOCKED, graph.blocked_jobs)):
        names = find(definition, states)
        job.set_status(session, [ids[name] for name in names], finish, now)
        states |= dict.fromkeys(names, finish)
    ready = graph.ready_jobs(definition, states)
    if ready:
        recipe_data = data_document.parse_recipe(data)
        queued, broken = _queue_ready(session, definition, ready, ids, recipe_data, now)
        if broken:  # what depends on them is blocked now
            states |= dict.fromkeys(broken, JobStatus.FAILED)
            blocked = graph.blocked_jobs(definition, states)
            job.set_status(session, [ids[name] for name in blocked], JobStatus.BLOCKED, now)
    if all(status is JobStatus.COMPLETED for status in states.values()):
        session.execute(update(Recipe).where(Recipe.id == recipe_id, Recipe.completed.is_(None)).values(completed=now))
    else:
        session.execute(update(Recipe).where(Recipe.id == recipe_id).values(completed=None))
    return queued


def _queue_ready(
    session: Session,
    definition: RecipeDefinition,
    ready: Sequence[str],
    ids: Mapping[str, int],
    data: RecipeData,
    now: datetime,
) -> tuple[list[int], list[str]]:
    """Queue the ready jobs; returns their ids and the names of those whose data are invalid."""
    wanted = [ids[name] for name in ready]
    rows = session.execute(
        select(Job.id, JobTypeRevision.interface, JobType)
        .join(JobTypeRevision, JobTypeRevision.id == Job.job_type_rev_id)
        .join(JobType, JobType.id == Job.job_type_id)
        .where(Job.id.in_(wanted))
    )
    types = {id_: (interface, job_type) for id_, interface, job_type in rows}
    results = _results(session, definition, ready, ids)
    requests, broken = [], []
    for name in ready:
        document, job_type = types[ids[name]]
        interface = job_interface.parse(document)
        values = graph.job_data(definition, name, interface, data, results)
        try:
            requests.append(job.request(session, ids[name], job_type, interface, values))
        except Invalid as problem:
            broken.append(name)
            _fail(session, ids[name], str(problem), now)
    return job.enqueue(session, requests, now), broken


def _results(
    session: Session, definition: RecipeDefinition, ready: Sequence[str], ids: Mapping[str, int]
) -> dict[str, dict[str, list[int]]]:
    """The ids of the files of each output of each job that the ready ones depend on."""
    parents = {d.name for name in ready for d in definition.job(name).dependencies if d.connections}
    if not parents:
        return {}
    rows = session.execute(select(Job.id, Job.results).where(Job.id.in_([ids[name] for name in parents])))
    results = dict(rows.all())
    return {
        name: {
            entry["name"]: entry.get("file_ids") or [entry["file_id"]]
            for entry in results[ids[name]].get("output_data", [])
        }
        for name in parents
    }


def _fail(session: Session, job_id: int, reason: str, now: datetime) -> None:
    invalid = error.by_name(session, "invalid-job-data")
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.PENDING)
        .values(
            status=JobStatus.FAILED,
            error_id=invalid.id,
            ended=now,
            last_status_change=now,
            reason=reason,
        )
    )


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
    has_outputs = any(job_interface.parse(types[key].interface).outputs for key in definition.job_types())
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
