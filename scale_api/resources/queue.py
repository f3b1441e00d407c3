"""Queue services."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask.views import MethodView
from marshmallow import fields, validate

from scale_api import database
from scale_api.blueprint import Blueprint
from scale_api.database import session, transaction
from scale_api.fields import Answer, Body, Document, IdNumber, Int, Moment, StrictBody, Time, ids, texts
from scale_api.idempotency import idempotent
from scale_api.query import Listing, PageQuery, PeriodQuery, answer, check_period, envelope, json_answer, page_of
from scale_api.resources.job import JobDetailsAnswer
from scale_api.resources.recipe import RecipeDetailsAnswer
from scale_api.schemas import JobAnswer, JobTypeBase
from scale_api.shapes import shape_of
from scale_core.errors import NotFound
from scale_core.queries import job as job_queries
from scale_core.queries import queue as queries
from scale_core.queries import recipe as recipe_queries
from scale_core.queries.listing import Period
from scale_core.queries.shape import Shape
from scale_core.services import queue as services
from scale_core.timestamps import utcnow

blp = Blueprint("queue", __name__, description="The queue: what waits, and putting jobs and recipes on it")

REQUEUE_CHUNK = 500  # jobs that one transaction locks
MOST_PRIORITISED = 1000


class NewJobBody(Body):
    job_type_id = IdNumber(required=True)
    job_data = Document(required=True)


class NewRecipeBody(Body):
    recipe_type_id = IdNumber(required=True)
    recipe_data = Document(required=True)


class RequeueBody(Body):
    started = Moment()
    ended = Moment()
    status = fields.String(allow_none=True)
    job_ids = ids()
    job_type_ids = ids()
    job_type_names = texts()
    job_type_categories = texts()
    error_categories = texts()
    priority = Int(allow_none=True)

    validate_period = check_period


class PrioritiseBody(StrictBody):
    job_ids = ids(required=True, validate=validate.Length(1, MOST_PRIORITISED))
    priority = Int(required=True)


class PrioritisedAnswer(Answer):
    """`job_ids` are those that changed: jobs that have ended stay as they are."""

    job_ids = fields.List(fields.Integer())


class QueueStatusEntry(Answer):
    """The queued jobs of one type, as the first documentation shows them."""

    count = fields.Integer()
    longest_queued = Time()
    job_type_name = fields.String()
    job_type_version = fields.String()
    highest_priority = fields.Integer()
    is_job_type_paused = fields.Boolean()


class QueueStatusResult(Answer):
    """The same as later clients expect it; `reason` tells why the last scheduling pass started none of them."""

    job_type = fields.Nested(JobTypeBase)
    count = fields.Integer()
    longest_queued = Time()
    highest_priority = fields.Integer()
    reason = fields.String(allow_none=True)


class QueueStatusAnswer(Answer):
    queue_status = fields.List(fields.Nested(QueueStatusEntry))
    count = fields.Integer()
    next = fields.String(allow_none=True)
    previous = fields.String(allow_none=True)
    results = fields.List(fields.Nested(QueueStatusResult))


class QueueQuery(PeriodQuery):
    filters = queries.QueueFilters
    job_id = ids(attribute="job_ids")
    job_type_id = ids(attribute="job_type_ids")
    job_type_name = texts(attribute="job_type_names")
    priority = fields.List(Int(), attribute="priorities")


class QueuedAnswer(Answer):
    """One execution that waits. Resources are cpus and MiB."""

    position = fields.Integer(metadata={"description": "Its place in the whole queue, from 1."})
    job_exe_id = fields.Integer()
    job_id = fields.Integer()
    job_type = fields.Nested(JobTypeBase)
    priority = fields.Integer()
    queued = Time()
    node_required_id = fields.Integer(allow_none=True)
    cpus_required = fields.Float()
    mem_required = fields.Float()
    disk_in_required = fields.Float()
    disk_out_required = fields.Float()
    disk_total_required = fields.Float()
    gpus_required = fields.Float()
    not_before = Time(allow_none=True, metadata={"description": "After failures: when it may be tried again."})
    reason = fields.String(metadata={"description": "Why it does not run yet."})


@blp.route("/queue/")
class QueueEntries(MethodView):
    @blp.listing(QueueQuery, QueuedAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Queued Executions: in the order in which they are looked at, each with the reason why it waits"""
        return queries.list_queue(session(), listing.filters, listing.page, shape, utcnow())


@blp.route("/queue/status/")
class QueueStatus(MethodView):
    @blp.arguments(PageQuery, location="query")
    @blp.response(200, QueueStatusAnswer)
    def get(self, listing: Listing) -> Any:
        """Get Queue Status"""
        entries = queries.list_status(session(), shape_of(QueueStatusResult))
        page = listing.page
        rows = entries[page.offset : page.offset + page.size]
        return json_answer(
            {"queue_status": [_as_entry(each) for each in entries], **envelope(listing, rows, len(entries))}
        )


@blp.route("/queue/new-job/")
class NewJob(MethodView):
    @idempotent()
    @blp.arguments(NewJobBody)
    @blp.response(201, JobDetailsAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Queue New Job; Location is the details of its execution"""
        with transaction() as writing:
            job_id = services.queue_new_job(writing, body["job_type_id"], body["job_data"], utcnow()).id
        job = job_queries.get_job(session(), job_id, utcnow())
        if job.job_exes:
            location = url_for("job_execution.ExecutionDetails", execution_id=job.job_exes[0].id, _external=True)
        else:
            location = url_for("job.JobDetails", job_id=job_id, _external=True)
        return job, 201, {"Location": location}


@blp.route("/queue/new-recipe/")
class NewRecipe(MethodView):
    @idempotent()
    @blp.arguments(NewRecipeBody)
    @blp.response(201, RecipeDetailsAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Queue New Recipe"""
        with transaction() as writing:
            recipe_id = services.queue_new_recipe(writing, body["recipe_type_id"], body["recipe_data"], utcnow()).id
        location = url_for("recipe.RecipeDetails", recipe_id=recipe_id, _external=True)
        return recipe_queries.get_recipe(session(), recipe_id), 201, {"Location": location}


@blp.route("/queue/requeue-jobs/")
class RequeueJobs(MethodView):
    @idempotent(in_one_transaction=False)
    @blp.arguments(PageQuery, location="query")
    @blp.arguments(RequeueBody)
    @blp.response(200, page_of(JobAnswer))
    def post(self, listing: Listing, body: dict[str, Any]) -> Any:
        """Requeue Jobs: FAILED and CANCELED jobs among the selected ones go back, in transactions of a few hundred"""
        job_ids = job_queries.list_ids(session(), _selection(body))
        if not job_ids:
            raise NotFound("No job matches.")
        database.release()  # many chunks take longer than a reading session may idle
        for start in range(0, len(job_ids), REQUEUE_CHUNK):
            with transaction() as writing:
                chunk = job_ids[start : start + REQUEUE_CHUNK]
                services.requeue(writing, chunk, body.get("priority"), utcnow())
        return answer(listing, *job_queries.list_of(session(), job_ids, listing.page, shape_of(JobAnswer)))


@blp.route("/queue/prioritise-jobs/")
class PrioritiseJobs(MethodView):
    @blp.arguments(PrioritiseBody)
    @blp.response(200, PrioritisedAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Prioritise Jobs: those that have not ended get another priority, of which a smaller one starts earlier"""
        with transaction() as writing:
            return {"job_ids": services.prioritise(writing, body["job_ids"], body["priority"])}


def _as_entry(result: dict[str, Any]) -> dict[str, Any]:
    job_type = result["job_type"]
    return {
        "count": result["count"],
        "longest_queued": result["longest_queued"],
        "job_type_name": job_type["name"],
        "job_type_version": job_type["version"],
        "highest_priority": result["highest_priority"],
        "is_job_type_paused": job_type["is_paused"],
    }


def _selection(body: dict[str, Any]) -> job_queries.JobFilters:
    """Without a status the jobs that can be put back; with job_ids also those that cannot: they stay as they are."""
    statuses = (body["status"],) if body.get("status") else () if body.get("job_ids") else job_queries.REQUEUABLE
    return job_queries.JobFilters(
        period=Period(body.get("started"), body.get("ended")),
        statuses=statuses,
        ids=tuple(body.get("job_ids", ())),
        job_type_ids=tuple(body.get("job_type_ids", ())),
        job_type_names=tuple(body.get("job_type_names", ())),
        job_type_categories=tuple(body.get("job_type_categories", ())),
        error_categories=tuple(body.get("error_categories", ())),
    )
