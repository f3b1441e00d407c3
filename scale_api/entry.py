"""What happens to every request before its view: the /v3 prefix, ids in logs, ids in paths, slashes."""

from __future__ import annotations

import logging
import re
import secrets
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, request
from werkzeug.routing import IntegerConverter

from scale_core import logs, tracing
from scale_core.errors import Invalid

log = logging.getLogger(__name__)

API_PREFIX = "/v3"
READS = ("GET", "HEAD", "OPTIONS")
_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


class IdConverter(IntegerConverter):
    """An id in a path; what no bigint column could hold is no id, so that its route does not match."""

    def __init__(self, map: Any) -> None:
        super().__init__(map, max=2**63 - 1)


class Entry:
    """Serve every path under /v3 too, and put the request's id on its log records.

    The prefix moves to SCRIPT_NAME, so that every URL that an answer contains keeps it.
    """

    def __init__(self, wsgi: Callable[..., Iterable[bytes]]) -> None:
        self.wsgi = wsgi

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == API_PREFIX or path.startswith(f"{API_PREFIX}/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + API_PREFIX
            environ["PATH_INFO"] = path[len(API_PREFIX) :] or "/"
        given = environ.get("HTTP_X_REQUEST_ID", "")
        environ["scale.request_id"] = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        environ["scale.trace_id"] = tracing.read(environ.get("HTTP_TRACEPARENT")) or tracing.new_id()
        with logs.bound(environ["scale.request_id"]), tracing.continued(environ["scale.trace_id"]):
            return self.wsgi(environ, start_response)


def init_app(app: Flask) -> None:
    app.wsgi_app = Entry(app.wsgi_app)  # type: ignore[method-assign]
    app.url_map.converters["id"] = IdConverter
    app.before_request(_refuse_nul)
    app.after_request(_finish)


def _refuse_nul() -> None:
    texts = [request.path, *(text for pair in request.args.items(multi=True) for text in pair)]
    if any("\0" in text for text in texts):
        raise Invalid("The URL contains a NUL character (%00), which no stored text has.")


def _finish(response: Response) -> Response:
    """A missing slash is answered by 301 for what clients read; 308 keeps method and body of the others."""
    if response.status_code == 308 and request.method in ("GET", "HEAD"):
        response.status_code = 301
    span = secrets.randbits(63) + 1
    response.headers.setdefault("traceparent", tracing.header(request.environ.get("scale.trace_id", ""), span))
    response.headers.setdefault("X-Request-Id", request.environ.get("scale.request_id", ""))
    level = logging.DEBUG if request.method in READS and response.status_code < 400 else logging.INFO
    # quoted, so that a path with a line break cannot forge a record
    log.log(level, "%s %s: %d", request.method, quote(request.path), response.status_code)
    return response
