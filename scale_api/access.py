"""Who asks, and whether they may: looked at before every view, by the table in operations.py."""

from __future__ import annotations

import time
from threading import Lock
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request

from scale_api import database, operations
from scale_core import secret
from scale_core.domain.access import OPEN, Caller, Role, Via, is_loopback
from scale_core.errors import Forbidden, Unauthenticated
from scale_core.queries import access as queries
from scale_core.queries.access import Found
from scale_core.services import sign_in, token
from scale_core.settings import Settings
from scale_core.timestamps import utcnow

CSRF_HEADER = "X-CSRF-Token"
LOOK_AGAIN_S = 5.0


class AccessControl:
    """Whether callers have to show who they are.

    `auto`, the default: they must as soon as there is any account or an OpenID provider, and always when other machines
    can reach Scale. Once on it stays on: accounts are never deleted.
    """

    def __init__(self, settings: Settings) -> None:
        self._mode = settings.access_control
        self._is_on = self._mode == "on" or (
            self._mode == "auto" and (bool(settings.oidc_issuer) or not is_loopback(settings.host))
        )
        self._next_look = 0.0
        self._lock = Lock()

    @property
    def is_explicit(self) -> bool:
        return self._mode != "auto"

    def reason(self) -> str:
        """Why it is on or off, and what to do about it."""
        if self._mode == "off":
            return "SCALE_ACCESS_CONTROL is off: whoever reaches Scale may do everything."
        if self._mode == "on":
            return "SCALE_ACCESS_CONTROL is on."
        if self.is_on():
            return "There are accounts, or other machines can reach Scale."
        return (
            "Only this machine can reach Scale and there is no account, so that nobody has to sign in: "
            "script/server create-admin NAME makes the first one."
        )

    def look(self) -> None:
        """Somebody has got an account: do not wait with the next look."""
        self._next_look = 0.0

    def is_on(self) -> bool:
        if self._is_on or self.is_explicit:
            return self._is_on
        with self._lock:  # others wait for the answer: an old one may let in whom this one would not
            if time.monotonic() >= self._next_look:
                with database.aside() as session:
                    self._is_on = queries.somebody_is_known(session)
                self._next_look = time.monotonic() + LOOK_AGAIN_S
        return self._is_on


def init_app(app: Flask, settings: Settings) -> None:
    app.extensions["scale_access"] = AccessControl(settings)
    app.before_request(_check)
    app.after_request(_forget_ended_session)


def control() -> AccessControl:
    found: AccessControl = current_app.extensions["scale_access"]
    return found


def caller() -> Caller:
    """Who sent this request; before anybody was identified, and where nobody has to be, OPEN."""
    found: Caller = g.get("caller", OPEN)
    return found


def _check() -> None:
    rule = request.url_rule
    if rule is None or request.method == "OPTIONS":
        return  # not found, another method, or a redirect: answered without looking at anything
    _refuse_other_sites()
    needed = operations.needed(request.method, rule.rule)
    if needed is None:
        return
    if not control().is_on():
        _refuse_rebound_names()
        return
    g.caller = identify()
    if request.method not in operations.READS:
        database.release()  # what changes something may take longer than a reading session may idle
    if not g.caller.may(needed, request.method, request.path):
        raise Forbidden(_refusal(g.caller, needed))
    if g.caller.via is Via.SESSION and request.method not in operations.READS:
        _require_csrf_token()


def identify() -> Caller:
    """By the header Authorization, else by the cookie. Raises Unauthenticated."""
    if "Authorization" in request.headers:
        given = request.authorization
        if given is None or given.type != "bearer" or not given.token:
            raise Unauthenticated("The header must be: Authorization: Bearer, and then an API token.")
        found = queries.of_token(database.session(), given.token, utcnow())
        _note_use(found)
        return found.caller
    key = session_key()
    if key is None:
        raise Unauthenticated()
    seen = queries.of_session(database.session(), key, limits().idle, utcnow())
    if seen is None:
        g.session_has_ended = True
        raise Unauthenticated("Your session has ended; sign in again.")
    _note_use(seen)
    return seen.caller


def signed_in() -> Caller | None:
    """Whoever is signed in or shows a token, for operations that anybody may ask for; None: nobody."""
    try:
        return identify()
    except Unauthenticated:
        return None


def csrf_token() -> str | None:
    """What a page of ours has to send with every change: no page of others can know it."""
    key = session_key()
    return None if key is None else secret.derive(key, "csrf")


def limits() -> sign_in.Limits:
    settings: Settings = current_app.extensions["scale_settings"]
    return sign_in.Limits.of(settings)


def address() -> str:
    return request.remote_addr or ""


def user_agent() -> str:
    return request.user_agent.string[:300]


# -------------------------------------------------------------------------------------------------------------- cookies


def cookie_name() -> str:
    """Under TLS a name that no other host, and no page without TLS, can set."""
    return "__Host-scale" if request.is_secure else "scale"


def session_key() -> str | None:
    return request.cookies.get(cookie_name()) or None


def set_cookie(response: Response, key: str) -> None:
    response.set_cookie(
        cookie_name(), key, path="/", secure=request.is_secure, httponly=True, samesite="Lax",
        max_age=int(limits().absolute.total_seconds()),
    )  # fmt: skip


def clear_cookie(response: Response) -> None:
    response.delete_cookie(cookie_name(), path="/", secure=request.is_secure, httponly=True, samesite="Lax")


def _forget_ended_session(response: Response) -> Response:
    if g.get("session_has_ended"):
        clear_cookie(response)
    return response


# ------------------------------------------------------------------------------------------------------------- refusals


def _refuse_other_sites() -> None:
    """No page of another site may change anything in the name of whoever looks at it: not through their cookie, and not
    through their machine, where nobody is asked who they are. Programs send neither header."""
    if request.method in operations.READS or "Authorization" in request.headers:
        return
    origin = request.headers.get("Origin")
    if origin is not None and not _is_own(origin):
        raise Forbidden(f"Pages of {origin[:100]!r} may not change anything here.")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Forbidden("Pages of other sites may not change anything here.")


def _is_own(origin: str) -> bool:
    try:
        given = urlsplit(origin)
    except ValueError:
        return False
    return (given.scheme, given.netloc.lower()) == (request.scheme, request.host.lower())


def _refuse_rebound_names() -> None:
    """A page whose name was made to lead to this machine would be let in as if it were ours."""
    if control().is_explicit:
        return
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        raise Forbidden(
            f"Scale answers here under localhost only, not as {request.host[:100]!r}, since nobody has to sign in: "
            "set SCALE_ACCESS_CONTROL."
        )


def _require_csrf_token() -> None:
    expected = csrf_token()
    if expected is None or not secret.is_same(request.headers.get(CSRF_HEADER, ""), expected):
        raise Forbidden(f"Send the header {CSRF_HEADER} with the csrf_token of GET /session/.")


def _refusal(who: Caller, needed: Role) -> str:
    if who.role.covers(needed):
        return f"This is outside the scope of the token {who.token_name!r}: {', '.join(who.scope)}."
    what = f"the token {who.token_name!r} of {who.name!r}" if who.via is Via.TOKEN else f"{who.name!r}"
    return f"This needs the role {needed}; {what} has the role {who.role}."


def _note_use(found: Found) -> None:
    now = utcnow()
    if found.last_used is not None and found.last_used > now - token.USE_NOTED_AFTER:
        return
    assert found.caller.id is not None
    database.release()
    with database.aside() as writing:
        if found.caller.via is Via.TOKEN:
            token.note_use(writing, found.caller.id, address(), now)
        else:
            sign_in.note_seen(writing, found.caller.id, now)
