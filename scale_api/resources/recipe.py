"""Recipe services."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.database import session
from scale_api.fields import Answer, Time, ids, texts
from scale_api.query import Listing, ListQuery, order_by
from scale_api.schemas import (
    EventAnswer,
    FileAnswer,
    JobAnswer,
    JobTypeRevisionAnswer,
    RecipeAnswer,
    RecipeTypeBase,
    RecipeTypeRevisionAnswer,
    RecipeTypeRevisionBase,
    Reference,
)
from scale_core.queries import recipe as queries
from scale_core.queries.shape import Shape

blp = Blueprint("recipe", __name__, description="Recipes")


class RecipeQuery(ListQuery):
    filters = queries.RecipeFilters
    order = order_by(queries.ORDER)
    type_id = ids(attribute="type_ids")
    type_name = texts(attribute="type_names")


class RecipeTypeInRecipe(RecipeTypeBase):
    """recipe_type_rev stands here as in the documentation's table, and beside it as in its example."""

    is_active = fields.Boolean()
    definition = fields.Dict()
    created = Time()
    last_modified = Time()
    archived = Time(allow_none=True)
    recipe_type_rev = fields.Nested(RecipeTypeRevisionBase)


class JobInRecipe(JobAnswer):
    job_type_rev = fields.Nested(JobTypeRevisionAnswer)


class RecipeJobAnswer(Answer):
    job_name = fields.String()
    job = fields.Nested(JobInRecipe)
    recipe = Reference("recipe_id")


class RecipeDetailsAnswer(RecipeAnswer):
    recipe_type = fields.Nested(RecipeTypeInRecipe)
    recipe_type_rev = fields.Nested(RecipeTypeRevisionAnswer)
    event = fields.Nested(EventAnswer)
    data = fields.Dict()
    input_files = fields.List(fields.Nested(FileAnswer))
    jobs = fields.List(fields.Nested(RecipeJobAnswer))


class JobStateAnswer(Answer):
    """What became of a recipe's job; `category` is that of its error."""

    job_name = fields.String()
    id = fields.Integer()
    status = fields.String()
    category = fields.String(allow_none=True)
    started = Time(allow_none=True)
    ended = Time(allow_none=True)


class RecipeWithJobsAnswer(RecipeAnswer):
    jobs = fields.List(fields.Nested(JobStateAnswer), attribute="job_states")  # no relationship: the list fills it in


@blp.route("/recipes/")
class Recipes(MethodView):
    @blp.listing(RecipeQuery, RecipeAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Recipe List"""
        return queries.list_recipes(session(), listing.filters, listing.page, shape)


@blp.route("/recipes/jobs/")
class RecipesWithJobs(MethodView):
    @blp.listing(RecipeQuery, RecipeWithJobsAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Recipes with their Jobs: what became of each, for a table of recipes by jobs"""
        return queries.list_with_jobs(session(), listing.filters, listing.page, shape)


@blp.route("/recipes/<id:recipe_id>/")
class RecipeDetails(MethodView):
    @blp.response(200, RecipeDetailsAnswer)
    def get(self, recipe_id: int) -> Any:
        """Recipe Details"""
        return queries.get_recipe(session(), recipe_id)
