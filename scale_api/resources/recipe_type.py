"""Recipe type services."""

from __future__ import annotations

from typing import Any

from flask import request, url_for
from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Body, Document, Flag, Time, required_text, text, texts
from scale_api.ignored import ignored_fields
from scale_api.query import Listing, ListQuery, PageQuery, order_by
from scale_api.schemas import (
    JobTypeBase,
    RecipeTypeBase,
    RecipeTypeRevisionAnswer,
    Reference,
    TriggerRuleAnswer,
    Warnings,
)
from scale_core.queries import recipe as queries
from scale_core.queries.shape import Shape
from scale_core.services import recipe_type as services
from scale_core.services import version
from scale_core.timestamps import utcnow

blp = Blueprint("recipe_type", __name__, description="Recipe types")


class RecipeTypeQuery(ListQuery):
    filters = queries.RecipeTypeFilters
    order = order_by(queries.TYPE_ORDER)
    name = texts(attribute="names")


class RecipeTypePatch(Body):
    title = text(50, allow_none=True)
    description = fields.String(allow_none=True)
    is_active = Flag()
    definition = Document()
    trigger_rule = Document(allow_none=True)


class RecipeTypeBody(RecipeTypePatch):
    name = required_text(50)
    version = required_text(50)
    definition = Document(required=True)


class RecipeTypeAnswer(RecipeTypeBase):
    is_active = fields.Boolean()
    definition = fields.Dict()
    revision_num = fields.Integer()
    created = Time()
    last_modified = Time()
    archived = Time(allow_none=True)
    trigger_rule: fields.Field[Any] = Reference("trigger_rule_id")


class JobTypeWithInterface(JobTypeBase):
    interface = fields.Dict()


class RecipeTypeDetailsAnswer(RecipeTypeAnswer):
    trigger_rule = fields.Nested(TriggerRuleAnswer, allow_none=True)
    job_types = fields.List(fields.Nested(JobTypeWithInterface))


@blp.route("/recipe-types/")
class RecipeTypes(MethodView):
    @blp.listing(RecipeTypeQuery, RecipeTypeAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Recipe Type List"""
        return queries.list_recipe_types(session(), listing.filters, listing.page, shape)

    @blp.arguments(RecipeTypeBody)
    @blp.response(201, RecipeTypeDetailsAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Create Recipe Type"""
        with transaction() as writing:
            recipe_type_id = services.create(writing, body, utcnow()).id
        location = url_for("recipe_type.RecipeTypeDetails", recipe_type_id=recipe_type_id, _external=True)
        return queries.get_recipe_type(session(), recipe_type_id), 201, {"Location": location}


@blp.route("/recipe-types/validation/")
class RecipeTypeValidation(MethodView):
    @blp.arguments(RecipeTypeBody)
    @blp.response(200, Warnings)
    def post(self, body: dict[str, Any]) -> Any:
        """Validate Recipe Type"""
        ignored = ignored_fields(RecipeTypeBody, RecipeTypeDetailsAnswer, request.get_json())
        return {"warnings": [*ignored, *services.validate(session(), body, utcnow())]}


@blp.route("/recipe-types/<id:recipe_type_id>/")
class RecipeTypeDetails(MethodView):
    version_field = "last_modified"

    @blp.response(200, RecipeTypeDetailsAnswer)
    def get(self, recipe_type_id: int) -> Any:
        """Recipe Type Details"""
        return queries.get_recipe_type(session(), recipe_type_id)

    @blp.arguments(RecipeTypePatch)
    @blp.response(200, RecipeTypeDetailsAnswer)
    def patch(self, body: dict[str, Any], recipe_type_id: int) -> Any:
        """Edit Recipe Type"""
        with transaction() as writing:
            version.require(writing, "recipe type", recipe_type_id, if_match())
            services.edit(writing, recipe_type_id, body, utcnow())
        return queries.get_recipe_type(session(), recipe_type_id)


@blp.route("/recipe-types/<id:recipe_type_id>/revisions/")
class RecipeTypeRevisions(MethodView):
    @blp.listing(PageQuery, RecipeTypeRevisionAnswer)
    def get(self, listing: Listing, shape: Shape, recipe_type_id: int) -> Any:
        """Recipe Type Revisions: the definitions that it has had, the newest first"""
        return queries.list_revisions(session(), recipe_type_id, listing.page, shape)
