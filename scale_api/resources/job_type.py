"""Job type services."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import request, url_for
from flask.views import MethodView
from marshmallow import EXCLUDE, Schema, fields

from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Answer, Body, Document, Flag, Int, Moment, Time, required_text, text, texts
from scale_api.ignored import ignored_fields
from scale_api.query import Listing, ListQuery, PageQuery, PeriodQuery, check_period, last_days, order_by
from scale_api.schemas import (
    CountAnswer,
    ErrorAnswer,
    JobTypeAnswer,
    JobTypeBase,
    JobTypeRevisionAnswer,
    TriggerRuleAnswer,
    Warnings,
)
from scale_core.queries import job_type as queries
from scale_core.queries import performance
from scale_core.queries.listing import Period
from scale_core.queries.shape import Shape
from scale_core.services import job_type as services
from scale_core.services import version
from scale_core.timestamps import utcnow

blp = Blueprint("job_type", __name__, description="Job types")

STATUS_PERIOD = timedelta(hours=3)
PERFORMANCE_DAYS = 7
MAX_PERFORMANCE_DAYS = 366


class JobTypeQuery(ListQuery):
    filters = queries.JobTypeFilters
    order = order_by(queries.ORDER)
    name = texts(attribute="names")
    category = texts(attribute="categories")


class JobTypePatch(Body):
    title = text(50, allow_none=True)
    description = fields.String(allow_none=True)
    category = text(50, allow_none=True)
    author_name = text(50, allow_none=True)
    author_url = fields.String(allow_none=True)
    is_long_running = Flag()
    is_active = Flag()
    is_operational = Flag()
    is_paused = Flag()
    icon_code = text(20, allow_none=True)
    docker_privileged = Flag()
    docker_image = text(500, allow_none=True)
    priority = Int()
    timeout = Int()
    max_scheduled = Int(allow_none=True)
    max_tries = Int()
    cpus_required = fields.Float()
    mem_required = fields.Float()
    disk_out_const_required = fields.Float()
    disk_out_mult_required = fields.Float()
    gpus_required = fields.Float()
    interface = Document()
    error_mapping = Document(allow_none=True)
    trigger_rule = Document(allow_none=True)


class JobTypeBody(JobTypePatch):
    name = required_text(50)
    version = required_text(50)
    interface = Document(required=True)


class JobTypeDetailsAnswer(JobTypeAnswer):
    interface = fields.Dict()
    error_mapping = fields.Dict()
    trigger_rule = fields.Nested(TriggerRuleAnswer, allow_none=True)
    errors = fields.List(fields.Nested(ErrorAnswer))
    job_counts_6h = fields.List(fields.Nested(CountAnswer))
    job_counts_12h = fields.List(fields.Nested(CountAnswer))
    job_counts_24h = fields.List(fields.Nested(CountAnswer))


class PerformanceQuery(Schema):
    """started and ended, each a time or a duration before now."""

    class Meta:
        unknown = EXCLUDE

    started = Moment(metadata={"description": "The earliest: an ISO 8601 time, or a duration before now."})
    ended = Moment(metadata={"description": "The latest: an ISO 8601 time, or a duration before now."})

    validate_period = check_period


class SpreadAnswer(Answer):
    """`p50`: half of them took no more; `p95`: nineteen of twenty."""

    p50 = fields.Float()
    p95 = fields.Float()
    max = fields.Float()


class FailuresAnswer(Answer):
    error = fields.Nested(ErrorAnswer, allow_none=True)
    count = fields.Integer()


class PerformanceAnswer(Answer):
    """Jobs that ended in the period, and what the newest executions of those that completed took: durations in seconds,
    `mem` and `disk_out` in MiB, `cpus` on average while the algorithm ran. null: nothing is known of it."""

    started = Time()
    ended = Time(allow_none=True)
    completed = fields.Integer()
    failed = fields.Integer()
    canceled = fields.Integer()
    failures = fields.List(fields.Nested(FailuresAnswer))
    measured = fields.Integer(metadata={"description": "Of how many executions the figures are: at most 2,000."})
    queued_s = fields.Nested(SpreadAnswer, allow_none=True)
    pre_s = fields.Nested(SpreadAnswer, allow_none=True)
    job_s = fields.Nested(SpreadAnswer, allow_none=True)
    post_s = fields.Nested(SpreadAnswer, allow_none=True)
    total_s = fields.Nested(SpreadAnswer, allow_none=True)
    cpus = fields.Nested(SpreadAnswer, allow_none=True)
    mem = fields.Nested(SpreadAnswer, allow_none=True)
    disk_out = fields.Nested(SpreadAnswer, allow_none=True)


class JobTypeStatusAnswer(Answer):
    job_type = fields.Nested(JobTypeBase)
    job_counts = fields.List(fields.Nested(CountAnswer))


class RunningAnswer(Answer):
    job_type = fields.Nested(JobTypeBase)
    count = fields.Integer()
    longest_running = Time(allow_none=True)


class SystemFailureAnswer(Answer):
    job_type = fields.Nested(JobTypeBase)
    error = fields.Nested(ErrorAnswer)
    count = fields.Integer()
    first_error = Time(allow_none=True)
    last_error = Time(allow_none=True)


@blp.route("/job-types/")
class JobTypes(MethodView):
    @blp.listing(JobTypeQuery, JobTypeAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Job Type List"""
        return queries.list_job_types(session(), listing.filters, listing.page, shape)

    @blp.arguments(JobTypeBody)
    @blp.response(201, JobTypeDetailsAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Create Job Type"""
        with transaction() as writing:
            job_type_id = services.create(writing, body, utcnow()).id
        location = url_for("job_type.JobTypeDetails", job_type_id=job_type_id, _external=True)
        return queries.get_job_type(session(), job_type_id, utcnow()), 201, {"Location": location}


@blp.route("/job-types/validation/")
class JobTypeValidation(MethodView):
    @blp.arguments(JobTypeBody)
    @blp.response(200, Warnings)
    def post(self, body: dict[str, Any]) -> Any:
        """Validate Job Type"""
        ignored = ignored_fields(JobTypeBody, JobTypeDetailsAnswer, request.get_json())
        return {"warnings": [*ignored, *services.validate(session(), body, utcnow())]}


@blp.route("/job-types/<id:job_type_id>/")
class JobTypeDetails(MethodView):
    version_field = "last_modified"

    @blp.response(200, JobTypeDetailsAnswer)
    def get(self, job_type_id: int) -> Any:
        """Job Type Details"""
        return queries.get_job_type(session(), job_type_id, utcnow())

    @blp.arguments(JobTypePatch)
    @blp.response(200, JobTypeDetailsAnswer)
    def patch(self, body: dict[str, Any], job_type_id: int) -> Any:
        """Edit Job Type"""
        with transaction() as writing:
            version.require(writing, "job type", job_type_id, if_match())
            services.edit(writing, job_type_id, body, utcnow())
        return queries.get_job_type(session(), job_type_id, utcnow())


@blp.route("/job-types/<id:job_type_id>/revisions/")
class JobTypeRevisions(MethodView):
    @blp.listing(PageQuery, JobTypeRevisionAnswer)
    def get(self, listing: Listing, shape: Shape, job_type_id: int) -> Any:
        """Job Type Revisions: the interfaces that it has had, the newest first"""
        return queries.list_revisions(session(), job_type_id, listing.page, shape)


@blp.route("/job-types/<id:job_type_id>/performance/")
class JobTypePerformance(MethodView):
    @blp.arguments(PerformanceQuery, location="query")
    @blp.response(200, PerformanceAnswer)
    def get(self, given: dict[str, Any], job_type_id: int) -> Any:
        """Job Type Performance: how often it failed, how long it took and what it used; by default in the last week"""
        period = last_days(Period(given.get("started"), given.get("ended")), PERFORMANCE_DAYS, MAX_PERFORMANCE_DAYS)
        return performance.of_job_type(session(), job_type_id, period)


@blp.route("/job-types/status/")
class JobTypeStatus(MethodView):
    @blp.listing(PeriodQuery, JobTypeStatusAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Job Types Status"""
        started = listing.period.started or utcnow() - STATUS_PERIOD
        period = Period(started, listing.period.ended)
        return queries.list_status(session(), period, listing.page, shape)


@blp.route("/job-types/running/")
class JobTypesRunning(MethodView):
    @blp.listing(PageQuery, RunningAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Job Types Running"""
        return queries.list_running(session(), listing.page, shape)


@blp.route("/job-types/system-failures/")
class JobTypeSystemFailures(MethodView):
    @blp.listing(PageQuery, SystemFailureAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Job Type System Failures"""
        return queries.list_system_failures(session(), listing.page, shape)
