"""Node services, and the scheduler."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import url_for
from flask.views import MethodView
from marshmallow import fields, post_dump, validate

from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Answer, Flag, Int, StrictBody, Time, text
from scale_api.query import Listing, ListQuery, PeriodQuery, order_by
from scale_api.schemas import CountAnswer, NodeRef, RunningExecution
from scale_core.errors import Invalid
from scale_core.queries import node as queries
from scale_core.queries.listing import Period
from scale_core.queries.shape import Shape
from scale_core.services import node as services
from scale_core.services import version
from scale_core.timestamps import utcnow

blp = Blueprint("node", __name__, description="The nodes of the cluster, and the scheduler")

STATUS_PERIOD = timedelta(hours=3)


class NodeQuery(ListQuery):
    filters = queries.NodeFilters
    order = order_by(queries.ORDER)
    include_inactive = Flag(load_default=False)


class NodePatch(StrictBody):
    hostname = fields.String(validate=validate.Length(1, 250))
    port = Int(validate=[validate.Range(1, 65535)])
    pause_reason = text(250, allow_none=True)
    is_paused = Flag()
    is_active = Flag()


class NodeBody(NodePatch):
    """All fields are required, but is_active, which the first documentation did not have."""

    hostname = fields.String(required=True, validate=validate.Length(1, 250))
    port = Int(required=True, validate=[validate.Range(1, 65535)])
    pause_reason = text(250, required=True, allow_none=True)
    is_paused = Flag(required=True)


class NodeAnswer(NodeRef):
    pause_reason = fields.String(allow_none=True)
    is_paused = fields.Boolean()
    is_paused_errors = fields.Boolean()
    is_active = fields.Boolean()
    archived = Time(allow_none=True)
    created = Time()
    last_offer = Time(allow_none=True)
    last_modified = Time()


class ResourcesAnswer(Answer):
    cpus = fields.Float()
    mem = fields.Float()
    disk = fields.Float()
    gpus = fields.Float()


class UsageAnswer(Answer):
    total = fields.Nested(ResourcesAnswer)
    scheduled = fields.Nested(ResourcesAnswer)
    used = fields.Nested(ResourcesAnswer)


class NodeDetailsAnswer(NodeAnswer):
    """`resources` and `disconnected` are there only when they are known and true."""

    job_exes_running = fields.List(fields.Nested(RunningExecution))
    resources = fields.Nested(UsageAnswer, attribute="usage")
    disconnected = fields.Boolean()
    health = fields.Dict(
        metadata={
            "description": "While errors pause the node: since when, next probe, failures; later when it recovered."
        }
    )

    @post_dump
    def leave_out(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {
            name: value
            for name, value in data.items()
            if not (name == "resources" and value is None) and not (name in ("disconnected", "health") and not value)
        }


class MeasuredAnswer(Answer):
    cpus = fields.Float()
    mem = fields.Float()
    disk = fields.Float()
    measured = Time()


class NodeStatusAnswer(Answer):
    node = fields.Nested(NodeAnswer)
    is_online = fields.Boolean()
    usage = fields.Nested(
        MeasuredAnswer,
        allow_none=True,
        metadata={
            "description": "What all that runs on the node really uses, as its executor measured; null when that is"
            " unknown or more than three minutes old"
        },
    )
    job_exe_counts = fields.List(fields.Nested(CountAnswer))
    job_exes_running = fields.List(fields.Nested(RunningExecution))


class SchedulerPatch(StrictBody):
    is_paused = Flag()


class SchedulerAnswer(Answer):
    is_paused = fields.Boolean()


@blp.route("/nodes/")
class Nodes(MethodView):
    @blp.listing(NodeQuery, NodeAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Node List"""
        return queries.list_nodes(session(), listing.filters, listing.page, shape)


@blp.route("/nodes/status/")
class NodesStatus(MethodView):
    @blp.listing(PeriodQuery, NodeStatusAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Nodes Status"""
        now = utcnow()
        started = listing.period.started or now - STATUS_PERIOD
        period = Period(started, listing.period.ended)
        return queries.list_status(session(), period, listing.page, shape, now)


@blp.route("/nodes/<id:node_id>/")
class NodeDetails(MethodView):
    version_field = "last_modified"
    text_errors = ("GET", "PUT", "PATCH")

    @blp.response(200, NodeDetailsAnswer)
    def get(self, node_id: int) -> Any:
        """Node Details"""
        return queries.get_node(session(), node_id, utcnow())

    @blp.arguments(NodeBody)
    @blp.response(201, NodeDetailsAnswer)
    def put(self, body: dict[str, Any], node_id: int) -> Any:
        """Replace Node"""
        return _edit(node_id, body)

    @blp.arguments(NodePatch)
    @blp.response(201, NodeDetailsAnswer)
    def patch(self, body: dict[str, Any], node_id: int) -> Any:
        """Update Node"""
        if not body:
            raise Invalid("No fields were given to update.")
        return _edit(node_id, body)


@blp.route("/scheduler/")
class SchedulerView(MethodView):
    version_field = "is_paused"
    text_errors = ("GET", "PATCH")

    @blp.response(200, SchedulerAnswer)
    def get(self) -> Any:
        """Get Scheduler"""
        return queries.get_scheduler(session())

    @blp.arguments(SchedulerPatch)
    @blp.response(201, SchedulerAnswer)
    def patch(self, body: dict[str, Any]) -> Any:
        """Update Scheduler"""
        if not body:
            raise Invalid("No fields were given to update.")
        with transaction() as writing:
            version.require(writing, "scheduler", 1, if_match())
            services.set_scheduler_paused(writing, body["is_paused"])
        location = url_for("node.SchedulerView", _external=True)
        return queries.get_scheduler(session()), 201, {"Location": location}


def _edit(node_id: int, changes: dict[str, Any]) -> Any:
    with transaction() as writing:
        version.require(writing, "node", node_id, if_match())
        services.edit(writing, node_id, changes, utcnow())
    location = url_for("node.NodeDetails", node_id=node_id, _external=True)
    return queries.get_node(session(), node_id, utcnow()), 201, {"Location": location}
