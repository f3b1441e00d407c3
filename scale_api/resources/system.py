"""The state of the whole system, and its version."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import fields, post_dump

from scale_api import access
from scale_api.blueprint import Blueprint
from scale_api.database import session
from scale_api.fields import Answer
from scale_api.resources.node import UsageAnswer
from scale_core import VERSION
from scale_core.queries import node as queries
from scale_core.timestamps import utcnow

blp = Blueprint("system", __name__, description="The state of the whole system, and its version")


class MasterAnswer(Answer):
    is_online = fields.Boolean()
    hostname = fields.String()
    port = fields.Integer()


class SchedulerStateAnswer(Answer):
    is_online = fields.Boolean()
    is_paused = fields.Boolean()
    hostname = fields.String()


class AccessStateAnswer(Answer):
    """Off: whoever reaches Scale may do everything; `GET /session/` says why."""

    is_on = fields.Boolean()


class StatusAnswer(Answer):
    """`resources` is there only when a node has told its own."""

    master = fields.Nested(MasterAnswer)
    scheduler = fields.Nested(SchedulerStateAnswer)
    queue_depth = fields.Integer()
    resources = fields.Nested(UsageAnswer)
    access_control = fields.Nested(AccessStateAnswer)

    @post_dump
    def leave_out(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value is not None}


class VersionAnswer(Answer):
    version = fields.String()


@blp.route("/status/")
class StatusView(MethodView):
    @blp.response(200, StatusAnswer)
    def get(self) -> Any:
        """Get System Status"""
        status = queries.get_status(session(), utcnow())
        row = status.scheduler
        return {
            "master": {
                "is_online": status.is_online and row.master_online,  # nobody looks while no scheduler runs
                "hostname": row.master_hostname,
                "port": row.master_port,
            },
            "scheduler": {
                "is_online": status.is_online,
                "is_paused": row.is_paused,
                "hostname": row.hostname,
            },
            "queue_depth": status.queue_depth,
            "resources": status.resources,
            "access_control": {"is_on": access.control().is_on()},
        }


@blp.route("/version/")
class Version(MethodView):
    @blp.response(200, VersionAnswer)
    def get(self) -> Any:
        """The version of Scale"""
        return {"version": VERSION}
