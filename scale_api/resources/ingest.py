"""Ingest and Strike services."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, request, url_for
from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Answer, Body, Document, Flag, Time, ids, required_text, text, texts
from scale_api.ignored import ignored_fields
from scale_api.query import Listing, ListQuery, PeriodQuery, answer, last_days, name_part, order_by, page_of
from scale_api.schemas import ExecutionBase, JobInExecution, Reference, SourceAnswer, Warnings
from scale_api.shapes import shape_of
from scale_core.brokers import resolve_mount
from scale_core.errors import BrokerError, Invalid, Problem
from scale_core.mounts import require_harmless
from scale_core.patience import within
from scale_core.queries import ingest as queries
from scale_core.queries.listing import Period
from scale_core.queries.shape import Shape
from scale_core.services import ingest, strike, version
from scale_core.timestamps import utcnow

STATUS_DAYS = 7
MAX_STATUS_DAYS = 31

blp = Blueprint("ingest", __name__, description="Strike processes and the files that they ingest")


class IngestQuery(ListQuery):
    filters = queries.IngestFilters
    order = order_by(queries.ORDER)
    status = texts(attribute="statuses")
    strike_id = ids(attribute="strike_ids")
    file_name = texts(attribute="file_names")
    file_name_part = name_part()


@dataclass(frozen=True)
class StatusFilters:
    period: Period
    use_ingest_time: bool = False


class IngestStatusQuery(PeriodQuery):
    filters = StatusFilters
    use_ingest_time = Flag(metadata={"description": "Count files when they were ingested, not when their data began."})


class StrikeQuery(ListQuery):
    filters = queries.StrikeFilters
    order = order_by(queries.STRIKE_ORDER)
    name = texts(attribute="names")


class StrikePatch(Body):
    title = text(50, allow_none=True)
    description = text(500, allow_none=True)
    configuration = Document()


class StrikeBody(StrikePatch):
    name = required_text(50)
    configuration = Document(required=True)


class StrikeAnswer(Answer):
    """`last_scan` and `last_error` tell whether the directory could be read; `files_seen` lay in it then."""

    id = fields.Integer()
    name = fields.String()
    title = fields.String(allow_none=True)
    description = fields.String()
    job: fields.Field[Any] = Reference("job_id")
    created = Time()
    last_modified = Time()
    last_scan = Time(allow_none=True)
    last_error = fields.String(allow_none=True)
    files_seen = fields.Integer()


class StrikeWithJobAnswer(StrikeAnswer):
    job = fields.Nested(JobInExecution, allow_none=True)


class StrikeDetailsAnswer(StrikeWithJobAnswer):
    configuration = fields.Dict()


class StrikeListAnswer(StrikeAnswer):
    """`lag`: seconds since the oldest file was seen that is still to be ingested, 0 if there is none; `errors`: how
    many of its ingests are ERRORED and may be tried again."""

    lag = fields.Float()
    errors = fields.Integer()


class StrikeJob(JobInExecution):
    """The Strike's job, the latest of its executions first: canceled, it is stopped; queued again, resumed."""

    job_exes = fields.List(fields.Nested(ExecutionBase))


class StrikeWatchedAnswer(StrikeListAnswer):
    job = fields.Nested(StrikeJob, allow_none=True)
    configuration = fields.Dict()


class StrikeCreated(Answer):
    strike_id = fields.Integer()


class IngestAnswer(Answer):
    """`reason` says why an ingest is ERRORED, DEFERRED or DUPLICATE."""

    id = fields.Integer()
    file_name = fields.String()
    strike = fields.Nested(StrikeAnswer)
    status = fields.String()
    reason = fields.String(allow_none=True)
    bytes_transferred = fields.Integer()
    transfer_started = Time()
    transfer_ended = Time(allow_none=True)
    media_type = fields.String()
    file_size = fields.Integer(allow_none=True)
    data_type = fields.List(fields.String())
    ingest_started = Time(allow_none=True)
    ingest_ended = Time(allow_none=True)
    job: fields.Field[Any] = Reference("job_id")
    source_file = fields.Nested(SourceAnswer, allow_none=True)
    created = Time()
    last_modified = Time()


class IngestDetailsAnswer(IngestAnswer):
    strike = fields.Nested(StrikeDetailsAnswer)
    transfer_path = fields.String()
    file_path = fields.String()
    ingest_path = fields.String()
    trace_id = fields.String(metadata={"description": "W3C trace: what one file or request caused has one"})


class HourAnswer(Answer):
    """`size` is in bytes."""

    time = Time()
    files = fields.Integer()
    size = fields.Integer()


class IngestStatusAnswer(Answer):
    """`most_recent` is when the last of the `files` was ingested; `values` are the hours of every day."""

    strike = fields.Nested(StrikeWithJobAnswer)
    most_recent = Time(allow_none=True)
    files = fields.Integer()
    size = fields.Integer()
    values = fields.List(fields.Nested(HourAnswer))


@blp.route("/ingests/")
class Ingests(MethodView):
    @blp.listing(IngestQuery, IngestAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Ingest List"""
        return queries.list_ingests(session(), listing.filters, listing.page, shape)


@blp.route("/ingests/status/")
class IngestStatus(MethodView):
    @blp.arguments(IngestStatusQuery, location="query")
    @blp.response(200, page_of(IngestStatusAnswer))
    def get(self, listing: Listing) -> Any:
        """Ingest Status: what each Strike has ingested, by hours; by default of the last week"""
        period = last_days(listing.period, STATUS_DAYS, MAX_STATUS_DAYS)
        shape, by_ingest = shape_of(IngestStatusAnswer), listing.filters.use_ingest_time
        found = queries.list_status(session(), period, listing.page, shape, use_ingest_time=by_ingest, now=utcnow())
        return answer(listing, *found)


@blp.route("/ingests/<id:ingest_id>/")
class IngestDetails(MethodView):
    @blp.response(200, IngestDetailsAnswer)
    def get(self, ingest_id: int) -> Any:
        """Ingest Details"""
        return queries.get_ingest(session(), ingest_id)


@blp.route("/ingests/<id:ingest_id>/retry/")
class IngestRetry(MethodView):
    @blp.response(200, IngestDetailsAnswer)
    def post(self, ingest_id: int) -> Any:
        """Try an ERRORED ingest again, with a new job; answered with its details"""
        with transaction() as writing:
            ingest.retry(writing, ingest_id, utcnow())
        return queries.get_ingest(session(), ingest_id)


@blp.route("/ingests/<string:file_name>/")
class IngestByName(MethodView):
    @blp.response(200, IngestDetailsAnswer)
    def get(self, file_name: str) -> Any:
        """Ingest Details of the newest ingest of a file name"""
        return queries.get_ingest(session(), file_name)


@blp.route("/strike/create/")
class StrikeCreate(MethodView):
    @blp.arguments(StrikeBody)
    @blp.response(200, StrikeCreated)
    def post(self, body: dict[str, Any]) -> Any:
        """Create Strike Process"""
        return {"strike_id": _create(body)}


@blp.route("/strikes/")
class Strikes(MethodView):
    @blp.listing(StrikeQuery, StrikeListAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Strike List"""
        return queries.list_strikes(session(), listing.filters, listing.page, shape)

    @blp.arguments(StrikeBody)
    @blp.response(201, StrikeWatchedAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Create Strike, answered with its details"""
        strike_id = _create(body)
        location = url_for("ingest.StrikeDetails", strike_id=strike_id, _external=True)
        return queries.get_strike(session(), strike_id), 201, {"Location": location}


@blp.route("/strikes/validation/")
class StrikeValidation(MethodView):
    @blp.arguments(StrikeBody)
    @blp.response(200, Warnings)
    def post(self, body: dict[str, Any]) -> Any:
        """Validate Strike"""
        _require_directory(body["configuration"])
        ignored = ignored_fields(StrikeBody, StrikeWatchedAnswer, request.get_json())
        return {"warnings": [*ignored, *strike.validate(session(), body)]}


@blp.route("/strikes/<id:strike_id>/")
class StrikeDetails(MethodView):
    version_field = "last_modified"

    @blp.response(200, StrikeWatchedAnswer)
    def get(self, strike_id: int) -> Any:
        """Strike Details"""
        return queries.get_strike(session(), strike_id)

    @blp.arguments(StrikePatch)
    @blp.response(200, StrikeWatchedAnswer)
    def patch(self, body: dict[str, Any], strike_id: int) -> Any:
        """Edit Strike"""
        if "configuration" in body:
            _require_directory(body["configuration"])
        with transaction() as writing:
            version.require(writing, "Strike", strike_id, if_match())
            strike.edit(writing, strike_id, body, utcnow())
        return queries.get_strike(session(), strike_id)


def _create(body: dict[str, Any]) -> int:
    _require_directory(body["configuration"])
    with transaction() as writing:
        return strike.create(writing, body, utcnow()).id


def _require_directory(configuration: Mapping[str, Any]) -> None:
    """Refuse a directory that this machine does not have: a mistyped path would be watched in vain. Raises Invalid."""
    mount = configuration.get("mount")
    if not isinstance(mount, str):
        return  # the service names all that is wrong with the document
    try:
        mounts = current_app.extensions["scale_settings"].mounts
        directory = within(mount, lambda: require_harmless(resolve_mount(mount, mounts)))
        exists = within(mount, lambda: os.path.isdir(directory))
    except BrokerError as error:
        raise Invalid(problems=[Problem("configuration.mount", str(error))]) from error
    if not exists:
        problem = f"the directory {directory} does not exist on this machine; make it or mount it first"
        raise Invalid(problems=[Problem("configuration.mount", problem)])
