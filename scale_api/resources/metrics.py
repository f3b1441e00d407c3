"""Metrics services."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from scale_api.blueprint import Blueprint
from scale_api.database import session
from scale_api.fields import Answer, Moment, ids, texts
from scale_api.query import Listing, PageQuery, PeriodQuery, answer, json_answer, page_of
from scale_api.resources.ingest import StrikeAnswer
from scale_api.schemas import ErrorAnswer, JobTypeBase
from scale_api.shapes import shape_of
from scale_core.domain.metrics import ERRORS, INGESTS, JOB_TYPES
from scale_core.queries import metrics as queries

blp = Blueprint("metrics", __name__, description="Daily figures of job types, ingests and errors")

CHOICES: dict[str, type[Schema]] = {JOB_TYPES.name: JobTypeBase, INGESTS.name: StrikeAnswer, ERRORS.name: ErrorAnswer}


class Day(Moment):
    """A date, a time or a duration before now."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except (TypeError, ValueError):
            return super()._deserialize(value, attr, data, **kwargs)


class PlotQuery(PeriodQuery):
    filters = queries.PlotFilters
    started = Day(metadata={"description": "The first day: a date, an ISO 8601 time, or a duration before now."})
    ended = Day(metadata={"description": "The last day."})
    choice_id = ids(attribute="choice_ids")
    column = texts(attribute="columns")
    group = texts(attribute="groups")


class FilterAnswer(Answer):
    param = fields.String()
    type = fields.String()


class GroupAnswer(Answer):
    name = fields.String()
    title = fields.String()
    description = fields.String()


class ColumnAnswer(Answer):
    """`aggregate` tells how values of several choices become one."""

    name = fields.String()
    title = fields.String()
    description = fields.String()
    units = fields.String()
    group = fields.String()
    aggregate = fields.String()


class MetricsAnswer(Answer):
    name = fields.String()
    title = fields.String()
    description = fields.String()
    filters = fields.List(fields.Nested(FilterAnswer))
    groups = fields.List(fields.Nested(GroupAnswer))
    columns = fields.List(fields.Nested(ColumnAnswer))


class MetricsDetailsAnswer(MetricsAnswer):
    """`choices` are job types, Strikes or errors."""

    choices = fields.List(fields.Dict())


class ValueAnswer(Answer):
    """`id` is the choice; it is left out unless two choices or more were asked for."""

    id = fields.Integer()
    date = fields.Date()
    value = fields.Integer()


class PlotAnswer(Answer):
    column = fields.Nested(ColumnAnswer)
    min_x = fields.Date(allow_none=True)
    max_x = fields.Date(allow_none=True)
    min_y = fields.Integer(allow_none=True)
    max_y = fields.Integer(allow_none=True)
    values = fields.List(fields.Nested(ValueAnswer))


@blp.route("/metrics/")
class MetricsTypes(MethodView):
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, page_of(MetricsAnswer))
    def get(self, listing: Listing) -> Any:
        """Metrics List"""
        types, total = queries.list_types(listing.page)
        return answer(listing, MetricsAnswer(many=True).dump(types), total)


@blp.route("/metrics/<string:name>/")
class MetricsDetails(MethodView):
    @blp.response(200, MetricsDetailsAnswer)
    def get(self, name: str) -> Any:
        """Metrics Details, with the choices by which plots can be narrowed down"""
        metrics = queries.get_type(name)
        choices = queries.list_choices(session(), metrics, shape_of(CHOICES[metrics.name]))
        return json_answer({**MetricsAnswer().dump(metrics), "choices": choices})


@blp.route("/metrics/<string:name>/plot-data/")
class MetricsPlotData(MethodView):
    @blp.arguments(PlotQuery, location="query")
    @blp.response(200, page_of(PlotAnswer))
    def get(self, listing: Listing, name: str) -> Any:
        """Metrics Plot Data: one element per column, in the order in which they were asked for"""
        metrics = queries.get_type(name)
        return answer(listing, *queries.list_plot_data(session(), metrics, listing.filters, listing.page))
