"""Recipe types and recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session, joinedload, raiseload, selectinload

from scale_core.db.job import Error, Job, JobType
from scale_core.db.recipe import Recipe, RecipeJob, RecipeType, RecipeTypeRevision
from scale_core.db.trigger import TriggerEvent
from scale_core.errors import NotFound
from scale_core.queries import file
from scale_core.queries.job import input_file_ids, job_options
from scale_core.queries.listing import ALWAYS, Order, Page, Period, With, read_page
from scale_core.queries.shape import Json, Shape, rows

TYPE_ORDER = Order(RecipeType, default=["name", "version"], related=["trigger_rule"])
REVISION_ORDER = Order(RecipeTypeRevision, default=["-revision_num"])
ORDER = Order(
    Recipe,
    default=["last_modified"],
    related=["recipe_type", "recipe_type_rev", "recipe_type_rev__recipe_type", "event", "event__rule"],
)


@dataclass(frozen=True)
class RecipeTypeFilters:
    period: Period = ALWAYS
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecipeFilters:
    period: Period = ALWAYS
    type_ids: tuple[int, ...] = ()
    type_names: tuple[str, ...] = ()


def list_recipe_types(
    session: Session, filters: RecipeTypeFilters, page: Page, shape: Shape
) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(RecipeType.id), RecipeType.last_modified)
    if filters.names:
        query = query.where(RecipeType.name.in_(filters.names))
    return read_page(session, query, TYPE_ORDER, page, filters, rows(RecipeType, shape).read)


def get_recipe_type(session: Session, recipe_type_id: int) -> With:
    """A recipe type with the `job_types` that its definition names. Raises NotFound."""
    query = select(RecipeType).where(RecipeType.id == recipe_type_id).options(joinedload(RecipeType.trigger_rule))
    recipe_type = session.scalar(query)
    if recipe_type is None:
        raise NotFound(f"There is no recipe type with the id {recipe_type_id}.")
    names = {(job["job_type"]["name"], job["job_type"]["version"]) for job in recipe_type.definition.get("jobs", [])}
    types = select(JobType).where(tuple_(JobType.name, JobType.version).in_(names)).order_by(JobType.id)
    return With(recipe_type, job_types=session.scalars(types).all() if names else [])


def list_revisions(session: Session, recipe_type_id: int, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    """The definitions that a recipe type has had, the newest first. Raises NotFound."""
    query = select(RecipeTypeRevision.id).where(RecipeTypeRevision.recipe_type_id == recipe_type_id)
    read = rows(RecipeTypeRevision, shape).read
    found, total = read_page(session, query, REVISION_ORDER, page, ("recipe type", recipe_type_id), read)
    if not total:  # each has a first one
        raise NotFound(f"There is no recipe type with the id {recipe_type_id}.")
    return found, total


def list_recipes(session: Session, filters: RecipeFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(Recipe.id), Recipe.last_modified)
    if filters.type_ids:
        query = query.where(Recipe.recipe_type_id.in_(filters.type_ids))
    if filters.type_names:
        types = select(RecipeType.id).where(RecipeType.name.in_(filters.type_names))
        query = query.where(Recipe.recipe_type_id.in_(types))
    return read_page(session, query, ORDER, page, filters, rows(Recipe, shape).read)


def list_with_jobs(session: Session, filters: RecipeFilters, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """Recipes with what became of each of their `jobs`, in the order in which these were made."""
    recipes, total = list_recipes(session, filters, page, shape)
    columns = (RecipeJob.job_name, Job.id, Job.status, Error.category, Job.started, Job.ended)
    query = select(RecipeJob.recipe_id, *columns).join(Job, RecipeJob.job_id == Job.id).outerjoin(Job.error)
    query = query.where(RecipeJob.recipe_id.in_([recipe["id"] for recipe in recipes])).order_by(Job.id)
    names = ("job_name", "id", "status", "category", "started", "ended")
    jobs: dict[int, list[Json]] = {recipe["id"]: [] for recipe in recipes}
    for recipe_id, *values in session.execute(query) if recipes else ():
        jobs[recipe_id].append(dict(zip(names, values, strict=True)))
    return [{**recipe, "jobs": jobs[recipe["id"]]} for recipe in recipes], total


def get_recipe(session: Session, recipe_id: int) -> With:
    """A recipe with its `jobs` and `input_files`. Raises NotFound."""
    recipe = session.scalar(
        select(Recipe)
        .where(Recipe.id == recipe_id)
        .options(
            joinedload(Recipe.recipe_type),
            joinedload(Recipe.recipe_type_rev),
            joinedload(Recipe.event).joinedload(TriggerEvent.rule),
            selectinload(Recipe.jobs).joinedload(RecipeJob.job).options(*job_options()),
            raiseload("*"),
        )
    )
    if recipe is None:
        raise NotFound(f"There is no recipe with the id {recipe_id}.")
    ids = input_file_ids(recipe.data)
    files = file.files_by_id(session, ids)
    recipe_type = With(recipe.recipe_type, recipe_type_rev=recipe.recipe_type_rev)
    return With(recipe, recipe_type=recipe_type, input_files=[files[file_id] for file_id in ids if file_id in files])
