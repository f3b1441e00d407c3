"""What a trigger rule would have done: a dry run over the files that there are. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.file import FileType, ScaleFile
from scale_core.db.job import JobType
from scale_core.db.recipe import RecipeType
from scale_core.db.trigger import RuleType
from scale_core.documents import job_interface, recipe_definition
from scale_core.documents import trigger_rule as document
from scale_core.domain.job_interface import DataValue, InputSpec, check_inputs
from scale_core.domain.trigger import FileRule
from scale_core.errors import Invalid, Problem
from scale_core.services import get, job, trigger_rule

MAX_FILES = 100

Target = JobType | RecipeType


@dataclass(frozen=True)
class Firing:
    """`error`: why the rule matches the file but could queue nothing for it."""

    file: ScaleFile
    occurred: datetime
    error: str | None


@dataclass(frozen=True)
class Preview:
    """`count` files match; `results` are the newest of them, at most MAX_FILES. A firing queues `jobs` jobs."""

    count: int
    job_type: JobType | None
    recipe_type: RecipeType | None
    jobs: int
    results: tuple[Firing, ...]


def preview(session: Session, fields: Mapping[str, Any]) -> Preview:
    """On which source files `trigger_rule` would have fired from `started` to `ended`, for `job_type_id` or
    `recipe_type_id` (Ingest Triggers, Parse Triggers).

    Files are judged by what is known of them now: tags that parsing added count for ingest rules too. Raises NotFound
    for an unknown type, Invalid for a rule that could not be saved.
    """
    target = _target(session, fields)
    inputs, jobs = _inputs(target)
    raw = fields["trigger_rule"]
    problems, _ = trigger_rule.check_rule(session, {"type": None, **raw}, inputs)
    if problems:
        raise Invalid(problems=problems)
    rule = document.parse(raw["configuration"])
    count, found = _matching(session, RuleType(raw["type"]), rule, fields.get("started"), fields.get("ended"))
    facts = job.file_facts(session, [file.id for file, _ in found])
    firings = []
    for file, occurred in found:
        wrong = check_inputs(inputs, {rule.input_data_name: DataValue(file_ids=(file.id,))}, facts)
        firings.append(Firing(file, occurred, str(Invalid(problems=wrong)) if wrong else None))
    is_job = isinstance(target, JobType)
    return Preview(count, target if is_job else None, None if is_job else target, jobs, tuple(firings))  # type: ignore[arg-type]


def _target(session: Session, fields: Mapping[str, Any]) -> Target:
    given = [name for name in ("job_type_id", "recipe_type_id") if fields.get(name) is not None]
    if len(given) != 1:
        raise Invalid(problems=[Problem("job_type_id", "give either job_type_id or recipe_type_id")])
    (name,) = given
    model: type[JobType] | type[RecipeType] = JobType if name == "job_type_id" else RecipeType
    what = name.removesuffix("_id").replace("_", " ")
    target: Target = get(session, model, fields[name], what)
    if not target.is_active:
        raise Invalid(
            problems=[Problem(name, f"the {what} {target.name} {target.version} is archived: it fires nothing")]
        )
    return target


def _inputs(target: Target) -> tuple[Sequence[InputSpec], int]:
    """What it wants, and how many jobs it is."""
    if isinstance(target, JobType):
        return job_interface.parse(target.interface).inputs, 1
    definition = recipe_definition.parse(target.definition)
    return definition.inputs, len(definition.jobs)


def _matching(
    session: Session, type_: RuleType, rule: FileRule, started: datetime | None, ended: datetime | None
) -> tuple[int, list[tuple[ScaleFile, datetime]]]:
    """The same as FileRule.matches, in SQL: how many there are, and the newest."""
    occurred = ScaleFile.created if type_ is RuleType.INGEST else ScaleFile.parsed
    query = select(ScaleFile, occurred).where(
        ScaleFile.file_type == FileType.SOURCE, ~ScaleFile.is_deleted, occurred.is_not(None)
    )
    if rule.media_type:
        query = query.where(ScaleFile.media_type == rule.media_type)
    if rule.data_types:
        query = query.where(ScaleFile.data_type.op("@>")(sorted(rule.data_types)))
    if started is not None:
        query = query.where(occurred >= started)
    if ended is not None:
        query = query.where(occurred <= ended)
    count = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = session.execute(query.order_by(occurred.desc(), ScaleFile.id.desc()).limit(MAX_FILES))
    return count, [(file, moment) for file, moment in rows if moment is not None]
