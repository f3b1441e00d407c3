"""Job load: how many jobs waited and ran, and how those that ended did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.database import session
from scale_api.fields import Answer, Int, Time, ids, texts
from scale_api.query import Listing, PeriodQuery, answer, last_days, page_of
from scale_core.queries import load as queries

blp = Blueprint("load", __name__, description="How many jobs waited and ran")

DAYS = 7
MAX_DAYS = 31


class LoadQuery(PeriodQuery):
    filters = queries.LoadFilters
    job_type_id = ids(attribute="job_type_ids")
    job_type_name = texts(attribute="job_type_names")
    job_type_category = texts(attribute="job_type_categories")
    job_type_priority = fields.List(Int(), attribute="job_type_priorities")


class LoadAnswer(Answer):
    """`total_count` is what the other three are together."""

    time = Time()
    pending_count = fields.Integer()
    queued_count = fields.Integer()
    running_count = fields.Integer()
    total_count = fields.Integer()


class OutcomeAnswer(Answer):
    """Jobs that ended in the hour that begins at `time`, FAILED ones by the category of their error."""

    time = Time()
    status = fields.String()
    category = fields.String(allow_none=True)
    count = fields.Integer()


@blp.route("/load/")
class Load(MethodView):
    @blp.arguments(LoadQuery, location="query")
    @blp.response(200, page_of(LoadAnswer))
    def get(self, listing: Listing) -> Any:
        """Get Job Load, by default of the last week"""
        filters = replace(listing.filters, period=last_days(listing.period, DAYS, MAX_DAYS))
        return answer(listing, *queries.list_load(session(), filters, listing.page))


@blp.route("/load/outcomes/")
class LoadOutcomes(MethodView):
    @blp.arguments(LoadQuery, location="query")
    @blp.response(200, page_of(OutcomeAnswer))
    def get(self, listing: Listing) -> Any:
        """Get Job Outcomes: how many jobs ended in each hour, and how; by default of the last week"""
        filters = replace(listing.filters, period=last_days(listing.period, DAYS, MAX_DAYS))
        return answer(listing, *queries.list_outcomes(session(), filters, listing.page))
