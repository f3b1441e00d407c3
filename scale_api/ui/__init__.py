"""The web UI under /ui/: a browser client of the REST API and of nothing else. script/bootstrap builds its files.

It knows its pages itself: every address below /ui/ that names no file is answered with the one HTML document. It and
all that it loads come from this process, so that a browser without internet access shows them.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, redirect, request, send_from_directory
from flask.typing import ResponseReturnValue

DIST = Path(__file__).parent / "dist"
YEAR_S = 365 * 86400
NOT_BUILT = "The web UI has not been built on this machine: run script/bootstrap, then load this page again.\n"
# Nothing from elsewhere, nothing inline. A log is downloaded from a blob: that the page made itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

blueprint = Blueprint("ui", __name__)


@blueprint.get("/ui/")
@blueprint.get("/ui/<path:page>")
def page(page: str = "") -> ResponseReturnValue:
    """The document, asked for anew each time: it names the assets of its own build."""
    if request.script_root:  # there is one of it, whatever prefix the API was asked with
        return redirect(f"/ui/{page}")
    if not (DIST / "index.html").is_file():
        return Response(NOT_BUILT, 503, content_type="text/plain; charset=utf-8")
    response = send_from_directory(DIST, "index.html", max_age=0)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@blueprint.get("/ui/assets/<path:name>")
def asset(name: str) -> Response:
    """A file whose name contains its hash: it never changes."""
    response = send_from_directory(DIST / "assets", name, max_age=YEAR_S)
    response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
