"""Job services."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Answer, StrictBody, Time, ids, texts
from scale_api.query import Listing, ListQuery, order_by
from scale_api.schemas import (
    EventAnswer,
    ExecutionBase,
    FileAnswer,
    JobAnswer,
    JobTypeAnswer,
    JobTypeRevisionAnswer,
    JobTypeRevisionBase,
    ProductBase,
    RecipeAnswer,
)
from scale_core.domain.job import JobStatus
from scale_core.errors import IllegalTransition, Invalid
from scale_core.queries import job as queries
from scale_core.queries.job import Parameter
from scale_core.queries.shape import Shape
from scale_core.services import queue as services
from scale_core.services import version
from scale_core.timestamps import utcnow

blp = Blueprint("job", __name__, description="Jobs: all, running and finished")


class JobQuery(ListQuery):
    filters = queries.JobFilters
    order = order_by(queries.ORDER)
    status = texts(attribute="statuses")
    job_id = ids(attribute="ids")
    job_type_id = ids(attribute="job_type_ids")
    job_type_name = texts(attribute="job_type_names")
    job_type_category = texts(attribute="job_type_categories")
    error_category = texts(attribute="error_categories")


class JobPatch(StrictBody):
    status = fields.String()


class Value(fields.Field):
    """The value of an input or output: a text, a file, a list of files, or null."""

    def __init__(self, file: type[Answer]) -> None:
        super().__init__(metadata={"description": "A text, a file, a list of files, or null."})
        self.file = file()

    def _serialize(self, value: Any, attr: str | None, obj: Parameter, **kwargs: Any) -> Any:
        if value is None or obj.type not in ("file", "files"):
            return value
        return self.file.dump(value, many=obj.type == "files")


class InputAnswer(Answer):
    name = fields.String()
    type = fields.String()
    value = Value(FileAnswer)


class OutputAnswer(Answer):
    name = fields.String()
    type = fields.String()
    value = Value(ProductBase)


class JobTypeOfJob(JobTypeAnswer):
    """The documentation shows job_type_rev in job_type in its table, beside it in its example: it is in both."""

    job_type_rev = fields.Nested(JobTypeRevisionBase)


class WaitingAnswer(Answer):
    """Where a queued job stands."""

    position = fields.Integer(metadata={"description": "Its place in the whole queue, from 1."})
    reason = fields.String(metadata={"description": "Why it does not run yet."})


class RetryAnswer(Answer):
    """`attempt` leaves out executions that the cluster lost; `next` is when a waiting job may start at the earliest;
    `decision` says who wanted the newest further attempt, and why."""

    attempt = fields.Integer()
    max_tries = fields.Integer()
    next = Time(allow_none=True)
    decision = fields.String(allow_none=True)


class JobDetailsAnswer(JobAnswer):
    retry = fields.Nested(RetryAnswer)
    job_type = fields.Nested(JobTypeOfJob)
    job_type_rev = fields.Nested(JobTypeRevisionAnswer)
    event = fields.Nested(EventAnswer)
    data = fields.Dict()
    results = fields.Dict()
    recipes = fields.List(fields.Nested(RecipeAnswer))
    job_exes = fields.List(fields.Nested(ExecutionBase))
    inputs = fields.List(fields.Nested(InputAnswer))
    outputs = fields.List(fields.Nested(OutputAnswer))
    input_files = fields.List(fields.Nested(FileAnswer))
    products = fields.List(fields.Nested(ProductBase))
    waiting = fields.Nested(WaitingAnswer, allow_none=True)


class JobUpdateAnswer(JobAnswer):
    input_files = fields.List(fields.Nested(FileAnswer))


class JobWithExecutionAnswer(JobAnswer):
    latest_job_exe = fields.Nested(ExecutionBase, allow_none=True)


@blp.route("/jobs/")
class Jobs(MethodView):
    @blp.listing(JobQuery, JobAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Job List"""
        return queries.list_jobs(session(), listing.filters, listing.page, shape)


@blp.route("/jobs/updates/")
class JobUpdates(MethodView):
    @blp.listing(JobQuery, JobUpdateAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Job Updates"""
        return queries.list_updates(session(), listing.filters, listing.page, shape)


@blp.route("/jobs/executions/")
class JobsWithExecution(MethodView):
    @blp.listing(JobQuery, JobWithExecutionAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Job with Execution List"""
        return queries.list_with_execution(session(), listing.filters, listing.page, shape)


@blp.route("/jobs/<id:job_id>/")
class JobDetails(MethodView):
    version_field = "last_modified"
    text_errors = ("PATCH",)

    @blp.response(200, JobDetailsAnswer)
    def get(self, job_id: int) -> Any:
        """Job Details"""
        return queries.get_job(session(), job_id, utcnow())

    @blp.arguments(JobPatch)
    @blp.response(200, JobDetailsAnswer)
    def patch(self, body: dict[str, Any], job_id: int) -> Any:
        """Update Job: the only change is the status CANCELED"""
        if body.get("status") != JobStatus.CANCELED:
            raise Invalid("status: the only change allowed is CANCELED")
        try:
            with transaction() as writing:
                version.require(writing, "job", job_id, if_match())
                services.cancel(writing, job_id, utcnow())
        except IllegalTransition as error:
            raise Invalid(str(error)) from error  # documented as 400 here
        return queries.get_job(session(), job_id, utcnow())
