"""The audit: who changed what, when, from where."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.database import session
from scale_api.fields import Answer, Time, ids, texts
from scale_api.query import Listing, ListQuery, order_by
from scale_core.queries import audit as queries
from scale_core.queries.shape import Shape

blp = Blueprint("audit", __name__, description="Who changed what, when and from where")


class AuditQuery(ListQuery):
    filters = queries.AuditFilters
    order = order_by(queries.ORDER)
    account_name = texts(attribute="account_names")
    account_id = ids(attribute="account_ids")
    token_name = texts(attribute="token_names")
    address = texts(attribute="addresses")
    operation = texts(attribute="operations")
    object_type = texts(attribute="object_types")
    object_id = ids(attribute="object_ids")
    object_name = texts(attribute="object_names")
    request_id = texts(attribute="request_ids")


class AuditAnswer(Answer):
    """`before` is null for what was made, `after` for what was removed; of an edit both show what was changed.

    `via` is how who it was showed who they are: token, session, sign-on, command; open: nobody was asked.
    """

    id = fields.Integer()
    occurred = Time()
    account_id = fields.Integer(allow_none=True)
    account_name = fields.String()
    via = fields.String()
    token_name = fields.String()
    address = fields.String()
    user_agent = fields.String()
    request_id = fields.String()
    operation = fields.String()
    object_type = fields.String()
    object_id = fields.Integer(allow_none=True)
    object_name = fields.String()
    before = fields.Dict(allow_none=True)
    after = fields.Dict(allow_none=True)


@blp.route("/audit/")
class AuditList(MethodView):
    @blp.listing(AuditQuery, AuditAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Audit: the newest change first"""
        return queries.list_audit(session(), listing.filters, listing.page, shape)


@blp.route("/audit/<id:entry_id>/")
class AuditEntry(MethodView):
    @blp.response(200, AuditAnswer)
    def get(self, entry_id: int) -> Any:
        """One Change"""
        return queries.get_entry(session(), entry_id)
