"""Who one is: signing in and out with a browser."""

from __future__ import annotations

import logging
from typing import Any

from flask import current_app, g, make_response, request, url_for
from flask.views import MethodView
from marshmallow import fields

from scale_api import access, database
from scale_api.blueprint import Blueprint
from scale_api.database import transaction
from scale_api.fields import Answer, StrictBody, required_text
from scale_core import secret
from scale_core.domain.access import Caller, Via
from scale_core.errors import Invalid, Problem, Unauthenticated
from scale_core.queries import access as queries
from scale_core.services import account, audit, sign_in
from scale_core.timestamps import utcnow

log = logging.getLogger(__name__)

blp = Blueprint("session", __name__, description="Who one is: signing in and out")

MAX_SIGN_IN_BYTES = 16 * 1024
REFUSED = "The name or the password is wrong."


class SignInBody(StrictBody):
    name = required_text(150)
    password = fields.String(required=True, metadata={"format": "password", "writeOnly": True})


class PasswordBody(StrictBody):
    old_password = fields.String(required=True, metadata={"format": "password", "writeOnly": True})
    password = fields.String(required=True, metadata={"format": "password", "writeOnly": True})


class AccessAnswer(Answer):
    """`is_on` false: whoever reaches Scale may do everything. `sign_on` is where to go for the OpenID provider."""

    is_on = fields.Boolean()
    reason = fields.String()
    sign_on = fields.String(allow_none=True)


class SignedInAnswer(Answer):
    id = fields.Integer(allow_none=True)
    name = fields.String()
    role = fields.String()
    via = fields.String()
    token_name = fields.String()
    scope = fields.List(fields.String())


class SessionAnswer(Answer):
    """`account` is null when nobody is signed in. `csrf_token` goes with every change, in the header X-CSRF-Token."""

    access_control = fields.Nested(AccessAnswer)
    account = fields.Nested(SignedInAnswer, allow_none=True)
    csrf_token = fields.String(allow_none=True)


@blp.route("/session/")
class SessionView(MethodView):
    @blp.response(200, SessionAnswer)
    def get(self) -> Any:
        """Who I am, and whether anybody is asked"""
        return _session(access.signed_in() if access.control().is_on() else None), 200, {"Cache-Control": "no-store"}


@blp.route("/sign-in/")
class SignIn(MethodView):
    def __init__(self) -> None:
        request.max_content_length = MAX_SIGN_IN_BYTES

    @blp.arguments(SignInBody)
    @blp.response(200, SessionAnswer)
    def post(self, body: dict[str, str]) -> Any:
        """Sign In with a local account: the answer sets the session's cookie"""
        who = g.caller = _compare(body["name"], body["password"])
        assert who.account_id is not None
        old = access.session_key()
        with transaction() as writing:
            sign_in.forgive(writing, body["name"], access.address())
            if old is not None:
                sign_in.end(writing, old)
            audit.note(writing, "account", who.account_id, who.name, {"signed_in": True})
            key = sign_in.start(
                writing, who.account_id, access.limits(), access.address(), access.user_agent(), utcnow()
            )
        return signed_in(who, key)


@blp.route("/sign-out/")
class SignOut(MethodView):
    @blp.response(200, SessionAnswer)
    def post(self) -> Any:
        """Sign Out: the session ends here, not only in the browser"""
        key = access.session_key()
        if key is not None:
            with transaction() as writing:
                if (account_id := sign_in.end(writing, key)) is not None:
                    audit.note(writing, "account", account_id, access.caller().name, {"signed_in": False})
        response = make_response(SessionAnswer().dump(_session(None)))
        access.clear_cookie(response)
        response.headers["Cache-Control"] = "no-store"
        return response


@blp.route("/session/password/")
class Password(MethodView):
    def __init__(self) -> None:
        request.max_content_length = MAX_SIGN_IN_BYTES

    @blp.arguments(PasswordBody)
    @blp.response(200, SessionAnswer)
    def post(self, body: dict[str, str]) -> Any:
        """Change My Password; all my other sessions end"""
        who = access.caller()
        if who.via is not Via.SESSION or who.account_id is None:
            raise Invalid("Sign in with your password to change it; a token cannot.")
        with database.aside() as counting:
            sign_in.count_try(counting, who.name, access.address(), utcnow())
        known = queries.get_account(database.session(), who.account_id).password_hash
        database.release()
        if known is None:
            raise Invalid("Your account has no password here: change it where you sign in, at your organisation's.")
        if not secret.verify_password(known, body["old_password"]):
            raise Invalid(problems=[Problem("old_password", "is wrong")])
        with transaction() as writing:
            sign_in.forgive(writing, who.name, access.address())
            account.change_password(writing, who.account_id, known, body["password"], utcnow(), keep=who.id)
        return _session(who), 200, {"Cache-Control": "no-store"}


def signed_in(who: Caller, key: str) -> Any:
    """The answer to whoever has just signed in: under a new key, whatever the browser had before."""
    access.control().look()
    csrf_token = secret.derive(key, "csrf")
    response = make_response(SessionAnswer().dump({**_session(who), "csrf_token": csrf_token}))
    response.headers["Cache-Control"] = "no-store"
    access.set_cookie(response, key)
    return response


def _compare(name: str, password: str) -> Caller:
    """Who has this name and password. Raises Unauthenticated, TooManyTries."""
    with database.aside() as counting:
        sign_in.count_try(counting, name, access.address(), utcnow())
    with database.aside() as reading:
        found = sign_in.find(reading, name)
    if not secret.verify_password(found.password_hash if found else None, password) or found is None:
        log.warning("a try to sign in from %s failed", access.address())
        raise Unauthenticated(REFUSED)
    if found.password_hash and secret.is_outdated(found.password_hash):
        with database.aside() as writing:
            account.renew_hash(writing, found.id, found.password_hash, password)
    return Caller(Via.SESSION, found.role, found.name, found.id)


def _session(who: Caller | None) -> dict[str, Any]:
    control = access.control()
    is_on = control.is_on()
    sign_on = url_for("sign_on.begin") if current_app.extensions["scale_settings"].oidc_issuer else None
    return {
        "access_control": {"is_on": is_on, "reason": control.reason(), "sign_on": sign_on},
        "account": who and {**vars(who), "id": who.account_id, "scope": list(who.scope)},
        "csrf_token": access.csrf_token() if who is not None and who.via is Via.SESSION else None,
    }
