"""Trigger services: the rules that queue jobs and recipes, and the events that did."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.database import session
from scale_api.fields import Answer, Body, Document, Flag, Moment, Time, ids, texts
from scale_api.query import Listing, ListQuery, json_answer, order_by
from scale_api.schemas import JobAnswer, JobTypeBase, RecipeAnswer, RecipeTypeBase, Reference, TriggerRuleAnswer
from scale_api.shapes import shape_of
from scale_core.queries import trigger as queries
from scale_core.queries.shape import Shape
from scale_core.services import trigger_preview

blp = Blueprint("trigger", __name__, description="Rules that queue jobs and recipes, and what they did")


class RuleQuery(ListQuery):
    filters = queries.RuleFilters
    order = order_by(queries.RULE_ORDER)
    type = texts(attribute="types")
    name = texts(attribute="names")
    media_type = texts(attribute="media_types")
    is_active = Flag()


class EventQuery(ListQuery):
    filters = queries.EventFilters
    order = order_by(queries.EVENT_ORDER)
    type = texts(attribute="types")
    rule_id = ids(attribute="rule_ids")
    rule_name = texts(attribute="rule_names")
    file_id = ids(attribute="file_ids")
    file_name = texts(attribute="file_names")
    has_error = Flag()


class RuleWithTarget(TriggerRuleAnswer):
    """A rule triggers one job type or one recipe type; an archived one has lost it."""

    job_type = fields.Nested(JobTypeBase, allow_none=True)
    recipe_type = fields.Nested(RecipeTypeBase, allow_none=True)


class TriggerEventAnswer(Answer):
    """`error` says why a rule matched but could queue nothing."""

    id = fields.Integer()
    type = fields.String()
    rule = Reference("rule_id")
    description = fields.Dict()
    error = fields.String(allow_none=True)
    occurred = Time()
    trace_id = fields.String(metadata={"description": "W3C trace: what one file or request caused has one"})


class TriggerEventDetailsAnswer(TriggerEventAnswer):
    rule = fields.Nested(TriggerRuleAnswer, allow_none=True)  # type: ignore[assignment]
    jobs = fields.List(fields.Nested(JobAnswer))
    recipes = fields.List(fields.Nested(RecipeAnswer))


class PreviewBody(Body):
    """A rule as job and recipe types have it, the type that it is to start, and the time to look at."""

    trigger_rule = Document(required=True)
    job_type_id = fields.Integer()
    recipe_type_id = fields.Integer()
    started = Moment()
    ended = Moment()


class PreviewFile(Answer):
    id = fields.Integer()
    file_name = fields.String()
    media_type = fields.String()
    data_type = fields.List(fields.String())


class PreviewFiring(Answer):
    """`error` says why the rule would have matched but queued nothing."""

    file = fields.Nested(PreviewFile)
    occurred = Time()
    error = fields.String(allow_none=True)


class PreviewAnswer(Answer):
    """`count` files match; `results` shows the newest 100. Each firing queues `jobs` jobs."""

    count = fields.Integer()
    job_type = fields.Nested(JobTypeBase, allow_none=True)
    recipe_type = fields.Nested(RecipeTypeBase, allow_none=True)
    jobs = fields.Integer()
    results = fields.List(fields.Nested(PreviewFiring))


@blp.route("/trigger-rules/")
class TriggerRules(MethodView):
    @blp.listing(RuleQuery, RuleWithTarget)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Trigger Rule List"""
        return queries.list_rules(session(), listing.filters, listing.page, shape)


@blp.route("/trigger-rules/<id:rule_id>/")
class TriggerRuleDetails(MethodView):
    @blp.response(200, RuleWithTarget)
    def get(self, rule_id: int) -> Any:
        """Trigger Rule Details"""
        return json_answer(queries.get_rule(session(), rule_id, shape_of(RuleWithTarget)))


@blp.route("/trigger-rules/preview/")
class TriggerRulePreview(MethodView):
    @blp.arguments(PreviewBody)
    @blp.response(200, PreviewAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Preview Trigger Rule: which files it would have fired on. Nothing is changed."""
        return trigger_preview.preview(session(), body)


@blp.route("/trigger-events/")
class TriggerEvents(MethodView):
    @blp.listing(EventQuery, TriggerEventAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Trigger Event List"""
        return queries.list_events(session(), listing.filters, listing.page, shape)


@blp.route("/trigger-events/<id:event_id>/")
class TriggerEventDetails(MethodView):
    @blp.response(200, TriggerEventDetailsAnswer)
    def get(self, event_id: int) -> Any:
        """Trigger Event Details, with the jobs and recipes that it queued"""
        return json_answer(queries.get_event(session(), event_id, shape_of(TriggerEventDetailsAnswer)))
