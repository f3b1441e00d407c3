"""Export of errors, job types and recipe types. Specification: Export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from scale_core.db.job import Error, JobType
from scale_core.db.recipe import RecipeType
from scale_core.db.trigger import TriggerRule
from scale_core.domain.job import ErrorCategory
from scale_core.errors import Invalid, Problem

KINDS = ("recipe_types", "job_types", "errors")
ERROR_FIELDS = ("name", "title", "description", "category")
JOB_TYPE_FIELDS = (
    "name", "version", "title", "description", "category", "author_name", "author_url", "is_system",
    "is_long_running", "is_active", "is_operational", "icon_code", "uses_docker", "docker_privileged", "docker_image",
    "priority", "timeout", "max_scheduled", "max_tries", "cpus_required", "mem_required", "disk_out_const_required",
    "disk_out_mult_required", "gpus_required", "interface", "error_mapping",
)  # fmt: skip
RECIPE_TYPE_FIELDS = ("name", "version", "title", "description", "is_active", "definition")


@dataclass(frozen=True)
class ExportFilters:
    include: tuple[str, ...] = ()
    recipe_type_ids: tuple[int, ...] = ()
    recipe_type_names: tuple[str, ...] = ()
    job_type_ids: tuple[int, ...] = ()
    job_type_names: tuple[str, ...] = ()
    job_type_categories: tuple[str, ...] = ()
    error_ids: tuple[int, ...] = ()
    error_names: tuple[str, ...] = ()

    @property
    def by_recipe_type(self) -> bool:
        return bool(self.recipe_type_ids or self.recipe_type_names)

    @property
    def by_job_type(self) -> bool:
        return bool(self.job_type_ids or self.job_type_names or self.job_type_categories)

    @property
    def by_error(self) -> bool:
        return bool(self.error_ids or self.error_names)


def export(session: Session, filters: ExportFilters) -> dict[str, Any]:
    """What an import needs, without ids and times; system job types and SYSTEM errors are every Scale's own.

    Filters of one kind narrow down the kinds that it needs: the job types that chosen recipe types use, the errors
    that chosen job types map to. The other way round, chosen job types leave only recipe types that can do with them.
    Raises Invalid for an unknown kind.
    """
    unknown = [kind for kind in filters.include if kind not in KINDS]
    if unknown:
        raise Invalid(problems=[Problem("include", f"{unknown[0]!r} is not one of {', '.join(KINDS)}")])
    recipe_types = _recipe_types(session, filters)
    job_types = _job_types(session, filters)
    if filters.by_recipe_type and not filters.by_job_type:
        used = {key for recipe_type in recipe_types for key in _uses(recipe_type)}
        job_types = [job_type for job_type in job_types if (job_type.name, job_type.version) in used]
    elif filters.by_job_type and not filters.by_recipe_type:
        chosen = {(job_type.name, job_type.version) for job_type in job_types}
        recipe_types = [recipe_type for recipe_type in recipe_types if _uses(recipe_type) <= chosen]
    errors = _errors(session, filters)
    if not filters.by_error and (filters.by_job_type or filters.by_recipe_type):
        names = {name for job_type in job_types for name in job_type.error_mapping.get("exit_codes", {}).values()}
        errors = [error for error in errors if error.name in names]
    found = {
        "recipe_types": [_document(each, RECIPE_TYPE_FIELDS, each.trigger_rule) for each in recipe_types],
        "job_types": [_document(each, JOB_TYPE_FIELDS, each.trigger_rule) for each in job_types],
        "errors": [{name: getattr(error, name) for name in ERROR_FIELDS} for error in errors],
    }
    return {"version": "1.0", **{kind: found[kind] for kind in filters.include or KINDS}}


def _recipe_types(session: Session, filters: ExportFilters) -> list[RecipeType]:
    query = select(RecipeType).options(joinedload(RecipeType.trigger_rule))
    if filters.recipe_type_ids:
        query = query.where(RecipeType.id.in_(filters.recipe_type_ids))
    if filters.recipe_type_names:
        query = query.where(RecipeType.name.in_(filters.recipe_type_names))
    return list(session.scalars(query.order_by(RecipeType.name, RecipeType.version)))


def _job_types(session: Session, filters: ExportFilters) -> list[JobType]:
    query = select(JobType).where(~JobType.is_system).options(joinedload(JobType.trigger_rule))
    if filters.job_type_ids:
        query = query.where(JobType.id.in_(filters.job_type_ids))
    if filters.job_type_names:
        query = query.where(JobType.name.in_(filters.job_type_names))
    if filters.job_type_categories:
        query = query.where(JobType.category.in_(filters.job_type_categories))
    return list(session.scalars(query.order_by(JobType.name, JobType.version)))


def _errors(session: Session, filters: ExportFilters) -> Iterable[Error]:
    query = select(Error).where(Error.category != ErrorCategory.SYSTEM)
    if filters.error_ids:
        query = query.where(Error.id.in_(filters.error_ids))
    if filters.error_names:
        query = query.where(Error.name.in_(filters.error_names))
    return session.scalars(query.order_by(Error.name))


def _uses(recipe_type: RecipeType) -> set[tuple[str, str]]:
    """Name and version of the job types of a recipe type."""
    jobs: Iterable[Mapping[str, Any]] = recipe_type.definition.get("jobs", ())
    return {(job["job_type"]["name"], job["job_type"]["version"]) for job in jobs}


def _document(row: JobType | RecipeType, names: Iterable[str], rule: TriggerRule | None) -> dict[str, Any]:
    document = {name: getattr(row, name) for name in names}
    document["trigger_rule"] = None
    if rule is not None:
        document["trigger_rule"] = {
            "type": rule.type, "name": rule.name, "is_active": rule.is_active, "configuration": rule.configuration,
        }  # fmt: skip
    return document
