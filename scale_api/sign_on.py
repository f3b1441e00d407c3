"""Signing on at an OpenID provider: authorization code flow with PKCE (OpenID Connect Core 1.0, section 3.1).

The browser keeps one secret in a cookie meanwhile; state, nonce and verifier are derived from it, so that an answer is
taken only from the browser that asked, and nothing has to be kept here.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, g, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from scale_api import access
from scale_api.database import transaction
from scale_core import secret
from scale_core.domain.access import Caller, Via, own_path
from scale_core.errors import NotFound, Unauthenticated
from scale_core.services import account, audit, sign_in
from scale_core.settings import Settings
from scale_core.timestamps import utcnow

if TYPE_CHECKING:
    from scale_api.oidc import Provider

blueprint = Blueprint("sign_on", __name__)

COOKIE_S = 600


@blueprint.get("/sign-on/")
def begin() -> ResponseReturnValue:
    """Off to the provider; `next` is where to go afterwards, a path of Scale's own."""
    key = secret.make_key()
    response = redirect(_provider().redirect_to(key, _redirect_uri()))
    assert isinstance(response, Response)
    following = base64.urlsafe_b64encode(own_path(request.args.get("next")).encode()).decode()
    response.set_cookie(
        _cookie(), f"{key}.{following}", max_age=COOKIE_S, path="/", secure=request.is_secure, httponly=True,
        samesite="Lax",
    )  # fmt: skip
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/sign-on/callback/")
def finish() -> ResponseReturnValue:
    """Back from the provider: a new session, and on to where the browser wanted to go."""
    key, _, following = request.cookies.get(_cookie(), "").partition(".")
    given = request.args.get("state", "")
    if not key or not secret.is_same(given, secret.derive(key, "state")):
        raise Unauthenticated("This sign-on was not begun in this browser, or too long ago; begin again.")
    if "error" in request.args:
        raise Unauthenticated(f"The OpenID provider says: {request.args['error'][:100]}")
    provider = _provider()
    claims = provider.claims_of(key, request.args.get("code", ""), _redirect_uri())
    role, now = provider.role_of(claims), utcnow()
    old = access.session_key()
    with transaction() as writing:
        g.caller = Caller(Via.SIGN_ON, role, provider.name_of(claims))
        who = account.signed_on(writing, provider.subject_of(claims), provider.name_of(claims), role, now)
        g.caller = Caller(Via.SIGN_ON, role, who.name, who.id)
        audit.note(writing, "account", who.id, who.name, {"signed_in": True})
        if old is not None:
            sign_in.end(writing, old)
        session_key = sign_in.start(writing, who.id, access.limits(), access.address(), access.user_agent(), now)
    access.control().look()
    response = make_response(redirect(own_path(_decoded(following))))
    response.delete_cookie(_cookie(), path="/", secure=request.is_secure, httponly=True, samesite="Lax")
    access.set_cookie(response, session_key)
    response.headers["Cache-Control"] = "no-store"
    return response


def _provider() -> Provider:
    settings: Settings = current_app.extensions["scale_settings"]
    if not settings.oidc_issuer:
        raise NotFound("No OpenID provider is configured (SCALE_OIDC_ISSUER).")
    from scale_api.oidc import Provider  # only here: its libraries are large, and most have no provider

    found: Provider = current_app.extensions.setdefault("scale_oidc", Provider(settings))
    return found


def _redirect_uri() -> str:
    return url_for("sign_on.finish", _external=True)


def _cookie() -> str:
    return "__Host-scale-sign-on" if request.is_secure else "scale-sign-on"


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text.encode()).decode()
    except ValueError:
        return "/"
