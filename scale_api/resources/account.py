"""Accounts and API tokens: for administrators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import url_for
from flask.views import MethodView
from marshmallow import fields

from scale_api import access
from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Answer, Flag, IdNumber, Int, StrictBody, Time, ids, required_text, text, texts
from scale_api.query import Listing, ListQuery, order_by
from scale_core.domain.access import check_scope, is_within
from scale_core.errors import Invalid, Problem
from scale_core.queries import access as queries
from scale_core.queries.listing import With
from scale_core.queries.shape import Shape
from scale_core.secret import MAX_PASSWORD
from scale_core.services import account as accounts
from scale_core.services import token as tokens
from scale_core.services import version
from scale_core.timestamps import utcnow

blp = Blueprint("account", __name__, description="Who may use Scale: accounts and API tokens")


class AccountQuery(ListQuery):
    filters = queries.AccountFilters
    order = order_by(queries.ACCOUNT_ORDER)
    name = texts(attribute="names")
    role = texts(attribute="roles")
    is_active = Flag()


class TokenQuery(ListQuery):
    filters = queries.TokenFilters
    order = order_by(queries.TOKEN_ORDER)
    name = texts(attribute="names")
    account_id = ids(attribute="account_ids")


class AccountPatch(StrictBody):
    """A new password ends the account's sessions; so does a lesser role, and disabling it also ends its tokens."""

    role = text(20)
    is_active = Flag()
    password = text(MAX_PASSWORD, metadata={"format": "password", "writeOnly": True})


class AccountBody(AccountPatch):
    name = required_text(150)
    role = required_text(20)
    password = text(MAX_PASSWORD, required=True, metadata={"format": "password", "writeOnly": True})


class TokenBody(StrictBody):
    """`role` and `account_id` are by default one's own; `scope` (``GET /jobs/``, ``* /queue/``) narrows the role."""

    name = required_text(100)
    account_id = IdNumber()
    role = text(20)
    scope = texts()
    days = Int(metadata={"description": "How long it opens Scale: 90 days by default, at most 3650."})


class AccountAnswer(Answer):
    id = fields.Integer()
    name = fields.String()
    role = fields.String()
    is_active = fields.Boolean()
    last_sign_in = Time(allow_none=True)
    created = Time()
    last_modified = Time()


class AccountDetailsAnswer(AccountAnswer):
    """`subject` is the identity at the OpenID provider; an account that has one has no password here."""

    subject = fields.String(allow_none=True)
    password_changed = Time(allow_none=True)


class AccountRef(Answer):
    id = fields.Integer()
    name = fields.String()


class TokenAnswer(Answer):
    """`hint` is how the token begins. `last_used` is exact to a minute."""

    id = fields.Integer()
    name = fields.String()
    account = fields.Nested(AccountRef)
    hint = fields.String()
    role = fields.String()
    scope = fields.List(fields.String())
    created = Time()
    expires = Time()
    revoked = Time(allow_none=True)
    last_used = Time(allow_none=True)
    last_address = fields.String(allow_none=True)


class TokenCreated(TokenAnswer):
    """`token` is shown this once; Scale keeps only its hash."""

    token = fields.String()


@blp.route("/accounts/")
class Accounts(MethodView):
    @blp.listing(AccountQuery, AccountAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Account List"""
        return queries.list_accounts(session(), listing.filters, listing.page, shape)

    @blp.arguments(AccountBody)
    @blp.response(201, AccountDetailsAnswer)
    def post(self, body: dict[str, Any]) -> Any:
        """Create Account"""
        with transaction() as writing:
            account_id = accounts.create(writing, body, utcnow()).id
        access.control().look()
        location = url_for("account.AccountDetails", account_id=account_id, _external=True)
        return queries.get_account(session(), account_id), 201, {"Location": location}


@blp.route("/accounts/<id:account_id>/")
class AccountDetails(MethodView):
    version_field = "last_modified"

    @blp.response(200, AccountDetailsAnswer)
    def get(self, account_id: int) -> Any:
        """Account Details"""
        return queries.get_account(session(), account_id)

    @blp.arguments(AccountPatch)
    @blp.response(200, AccountDetailsAnswer)
    def patch(self, body: dict[str, Any], account_id: int) -> Any:
        """Edit Account: its role, whether it is active, a new password"""
        with transaction() as writing:
            version.require(writing, "account", account_id, if_match())
            accounts.edit(writing, account_id, body, utcnow())
        return queries.get_account(session(), account_id)


def _narrowed(wanted: Sequence[str]) -> list[str]:
    """A token with a scope makes none that may more than itself, by default its equal. Raises Invalid."""
    own = access.caller().scope
    scope = list(check_scope(wanted)) or list(own)
    if not is_within(scope, own):
        raise Invalid(problems=[Problem("scope", f"is not within the scope of your own token: {', '.join(own)}")])
    return scope


@blp.route("/tokens/")
class Tokens(MethodView):
    @blp.listing(TokenQuery, TokenAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Token List"""
        return queries.list_tokens(session(), listing.filters, listing.page, shape)

    @blp.arguments(TokenBody)
    @blp.response(201, TokenCreated)
    def post(self, body: dict[str, Any]) -> Any:
        """Create Token: the answer is the only one that shows it"""
        owner = body.get("account_id", access.caller().account_id)
        if owner is None:
            raise Invalid(problems=[Problem("account_id", "is required: nobody is signed in")])
        scope = _narrowed(body.get("scope") or ())
        with transaction() as writing:
            made, secret = tokens.create(writing, {**body, "account_id": owner, "scope": scope}, utcnow())
            token_id = made.id
        location = url_for("account.TokenDetails", token_id=token_id, _external=True)
        headers = {"Location": location, "Cache-Control": "no-store"}
        return With(queries.get_token(session(), token_id), token=secret), 201, headers


@blp.route("/tokens/<id:token_id>/")
class TokenDetails(MethodView):
    @blp.response(200, TokenAnswer)
    def get(self, token_id: int) -> Any:
        """Token Details"""
        return queries.get_token(session(), token_id)

    @blp.response(200, TokenAnswer)
    def delete(self, token_id: int) -> Any:
        """Revoke Token: from now on it opens nothing; it stays in the list"""
        with transaction() as writing:
            tokens.revoke(writing, token_id, utcnow())
        return queries.get_token(session(), token_id)
