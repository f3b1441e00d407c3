"""Error services."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Body, required_text, text
from scale_api.query import Listing, ListQuery, order_by
from scale_api.schemas import ErrorAnswer
from scale_core.queries import error as queries
from scale_core.queries.shape import Shape
from scale_core.services import error as services
from scale_core.services import version
from scale_core.timestamps import utcnow

blp = Blueprint("error", __name__, description="Registered errors and error mappings")


class ErrorQuery(ListQuery):
    filters = queries.ErrorFilters
    order = order_by(queries.ORDER)


class ErrorBody(Body):
    name = required_text(50)
    title = required_text(50)
    description = required_text(250)
    category = fields.String(required=True)


class ErrorPatch(Body):
    title = text(50)
    description = text(250)
    category = fields.String()


@blp.route("/errors/")
class Errors(MethodView):
    @blp.listing(ErrorQuery, ErrorAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Error List"""
        return queries.list_errors(session(), listing.filters, listing.page, shape)

    @blp.arguments(ErrorBody)
    @blp.response(201, ErrorAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Create Error"""
        with transaction() as writing:
            error_id = services.create(writing, body, utcnow()).id
        location = url_for("error.ErrorDetails", error_id=error_id, _external=True)
        return queries.get_error(session(), error_id), 201, {"Location": location}


@blp.route("/errors/<id:error_id>/")
class ErrorDetails(MethodView):
    version_field = "last_modified"

    @blp.response(200, ErrorAnswer)
    def get(self, error_id: int) -> Any:
        """Error Details"""
        return queries.get_error(session(), error_id)

    @blp.arguments(ErrorPatch)
    @blp.response(200, ErrorAnswer)
    def patch(self, body: dict[str, Any], error_id: int) -> Any:
        """Edit Error"""
        with transaction() as writing:
            version.require(writing, "error", error_id, if_match())
            services.edit(writing, error_id, body, utcnow())
        return queries.get_error(session(), error_id)
