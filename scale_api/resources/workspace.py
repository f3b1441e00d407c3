"""Workspace services."""

from __future__ import annotations

from typing import Any

from flask import current_app, request, url_for
from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Answer, Body, Document, Flag, Time, required_text, text, texts
from scale_api.ignored import ignored_fields
from scale_api.query import Listing, ListQuery, order_by
from scale_api.schemas import Warnings
from scale_core.brokers import check_place
from scale_core.documents import workspace_configuration
from scale_core.errors import BrokerError, Invalid, Problem
from scale_core.patience import within
from scale_core.queries import workspace as queries
from scale_core.queries.shape import Shape
from scale_core.services import version
from scale_core.services import workspace as services
from scale_core.timestamps import utcnow

blp = Blueprint("workspace", __name__, description="Workspaces that Scale uses to manage files")


_SECRETS = {
    "access_key_id": {"env": "SCALE_SECRET_ARCHIVE_ID"},
    "secret_access_key": {"file": "/run/secrets/archive-key"},
}
_LOGIN = {"username": {"env": "SCALE_SECRET_FTP_USER"}, "password": {"env": "SCALE_SECRET_FTP_PASSWORD"}}
_CONFIGURATION = {
    "description": "How the files are reached: Workspace Configuration Specification 1.0, with the brokers nfs, host, "
    "s3 and ftp. Credentials are references, never values.",
    "examples": [
        {"version": "1.0", "broker": broker}
        for broker in (
            {"type": "nfs", "mount": "host:/my/path"},
            {"type": "host", "host_path": "/my/path"},
            {"type": "s3", "bucket": "archive", "prefix": "raw", "region": "eu-central-1", "credentials": _SECRETS},
            {"type": "ftp", "host": "ftp.example.org", "path": "/scale", "tls": True, "credentials": _LOGIN},
        )
    ],
}


class WorkspaceQuery(ListQuery):
    filters = queries.WorkspaceFilters
    order = order_by(queries.ORDER)
    name = texts(attribute="names")


class WorkspacePatch(Body):
    title = text(50, allow_none=True)
    description = text(500, allow_none=True)
    json_config = Document(metadata=_CONFIGURATION)
    base_url = text(200, allow_none=True)
    is_active = Flag()


class WorkspaceBody(WorkspacePatch):
    name = required_text(50)
    json_config = Document(required=True, metadata=_CONFIGURATION)


class WorkspaceAnswer(Answer):
    id = fields.Integer()
    name = fields.String()
    title = fields.String(allow_none=True)
    description = fields.String()
    base_url = fields.String(allow_none=True)
    is_active = fields.Boolean()
    used_size = fields.Integer(allow_none=True)
    total_size = fields.Integer(allow_none=True)
    created = Time()
    archived = Time(allow_none=True)
    last_modified = Time()


class WorkspaceDetailsAnswer(WorkspaceAnswer):
    json_config = fields.Dict()


def _require_place(body: dict[str, Any]) -> None:
    """Refuse a document that Scale would not follow where it runs. Raises Invalid."""
    if "json_config" not in body:
        return
    broker = workspace_configuration.normalize(body["json_config"])["broker"]
    settings = current_app.extensions["scale_settings"]
    try:
        within("the workspace", lambda: check_place(broker, settings))
    except BrokerError as error:
        name = next(each for each in ("host_path", "mount", "endpoint_url", "host") if each in broker)
        raise Invalid(problems=[Problem(f"json_config.broker.{name}", str(error))]) from error


@blp.route("/workspaces/")
class Workspaces(MethodView):
    @blp.listing(WorkspaceQuery, WorkspaceAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Workspace List"""
        return queries.list_workspaces(session(), listing.filters, listing.page, shape)

    @blp.arguments(WorkspaceBody)
    @blp.response(201, WorkspaceDetailsAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Create Workspace"""
        _require_place(body)
        with transaction() as writing:
            workspace_id = services.create(writing, body, utcnow()).id
        location = url_for("workspace.WorkspaceDetails", workspace_id=workspace_id, _external=True)
        return queries.get_workspace(session(), workspace_id), 201, {"Location": location}


@blp.route("/workspaces/validation/")
class WorkspaceValidation(MethodView):
    @blp.arguments(WorkspaceBody)
    @blp.response(200, Warnings)
    def post(self, body: dict[str, Any]) -> Any:
        """Validate Workspace"""
        _require_place(body)
        ignored = ignored_fields(WorkspaceBody, WorkspaceDetailsAnswer, request.get_json())
        return {"warnings": [*ignored, *services.validate(session(), body)]}


@blp.route("/workspaces/<id:workspace_id>/")
class WorkspaceDetails(MethodView):
    version_field = "last_modified"

    @blp.response(200, WorkspaceDetailsAnswer)
    def get(self, workspace_id: int) -> Any:
        """Workspace Details"""
        return queries.get_workspace(session(), workspace_id)

    @blp.arguments(WorkspacePatch)
    @blp.response(200, WorkspaceDetailsAnswer)
    def patch(self, body: dict[str, Any], workspace_id: int) -> Any:
        """Edit Workspace"""
        _require_place(body)
        with transaction() as writing:
            version.require(writing, "workspace", workspace_id, if_match())
            services.edit(writing, workspace_id, body, utcnow())
        return queries.get_workspace(session(), workspace_id)
