"""One reading session per request, opened when it is first asked for; and short writing transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, current_app, g, request
from sqlalchemy.orm import Session

from scale_api import operations
from scale_core.db.session import Sessions
from scale_core.db.session import transaction as open_transaction
from scale_core.domain.access import OPEN
from scale_core.services import audit
from scale_core.services.audit import Change, Origin
from scale_core.timestamps import utcnow


def init_app(app: Flask, sessions: Sessions) -> None:
    app.extensions["scale_sessions"] = sessions
    app.teardown_appcontext(_close)


def session() -> Session:
    """The session of this request, for reading. It is rolled back and closed when the request ends."""
    if "joined" in g:
        shared: Session = g.joined
        return shared
    if "session" not in g:
        g.session = current_app.extensions["scale_sessions"]()
    opened: Session = g.session
    return opened


@contextmanager
def transaction() -> Iterator[Session]:
    """A session of its own, committed at the end of the block and rolled back by an exception; or the joined one.

    What it changes is written to the audit before the commit.
    """
    if "joined" in g:
        yield g.joined
        return
    with open_transaction(current_app.extensions["scale_sessions"]) as opened:
        audit.watch(opened, g.get("caller", OPEN))
        yield opened
        _record(opened)


def _record(writing: Session) -> None:
    """A change that nobody noted is at least known by its operation; once for each request is enough."""
    otherwise = None
    if not audit.noted(writing) and "audited" not in g and audit.has_written(writing):
        path = request.view_args or {}
        number = next((value for name, value in path.items() if name.endswith("_id")), None)
        what = request.path.strip("/").partition("/")[0].removesuffix("s").replace("-", "_")
        otherwise = Change(what, number)
    if audit.record(writing, origin(), utcnow(), otherwise):
        g.audited = True


def origin() -> Origin:
    """Of this request."""
    rule = request.url_rule.rule if request.url_rule else request.path
    return Origin(
        caller=g.get("caller", OPEN),
        operation=operations.name_of(request.method, rule),
        address=request.remote_addr or "",
        user_agent=request.user_agent.string,
        request_id=request.environ.get("scale.request_id", ""),
    )


@contextmanager
def aside() -> Iterator[Session]:
    """A transaction of its own for what is no change in anybody's name: that a token was used, that a try failed."""
    with open_transaction(current_app.extensions["scale_sessions"]) as opened:
        yield opened


@contextmanager
def joined(writing: Session) -> Iterator[None]:
    """In the block everything reads and writes in this one, whose transaction somebody else ends."""
    g.joined = writing
    try:
        yield
    finally:
        del g.joined


def _close(_error: BaseException | None) -> None:
    opened: Session | None = g.pop("session", None)
    if opened is not None:
        opened.close()


def release() -> None:
    """End the reading session before something slow that needs no database; what was loaded stays usable."""
    _close(None)
