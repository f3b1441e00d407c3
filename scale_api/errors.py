"""Errors become HTTP answers here and nowhere else."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, json, request
from flask.typing import ResponseReturnValue
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import RequestRedirect

from scale_core import errors

log = logging.getLogger(__name__)

STATUS: dict[type[errors.ScaleError], int] = {
    errors.NotFound: 404,
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.TooManyTries: 429,
    errors.Conflict: 409,
    errors.IllegalTransition: 409,
    errors.PreconditionFailed: 412,
    errors.KeyReused: 422,
    errors.BrokerError: 503,
}
RETRY_AFTER_S = 5
PROBLEM = "application/problem+json"


class UnsupportedMediaType(errors.ScaleError):
    """Send the body as application/json."""


def init_app(app: Flask) -> None:
    app.register_error_handler(errors.ScaleError, _scale_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(exc.SQLAlchemyError, _database_error)
    app.register_error_handler(Exception, _unexpected)


def answer(status: int, detail: str, problems: list[dict[str, str]] | None = None) -> Response:
    """``{"detail": …}``; a problem document when the client accepts it; bare text where the documentation says so."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    extra: dict[str, Any] = {"problems": problems} if problems else {}
    if PROBLEM in (mimetype.lower() for mimetype in request.accept_mimetypes.values()):
        body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **extra}
        return Response(json.dumps(body), status, headers, content_type=PROBLEM)
    if _wants_text():
        return Response(detail, status, headers, content_type="text/plain; charset=utf-8")
    return Response(json.dumps({"detail": detail, **extra}), status, headers, content_type="application/json")


def _wants_text() -> bool:
    """Views name the methods whose errors are documented as text/plain in `text_errors`."""
    view = current_app.view_functions.get(request.endpoint or "")
    return request.method in getattr(getattr(view, "view_class", None), "text_errors", ())


def _scale_error(error: errors.ScaleError) -> ResponseReturnValue:
    if isinstance(error, UnsupportedMediaType):
        return answer(415, str(error))
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    if status == 500:
        log.error("%s %s: %s", request.method, request.path, error, exc_info=error)
    problems = [{"path": p.path, "message": p.message} for p in getattr(error, "problems", ())]
    response = answer(status, str(error), problems)
    if isinstance(error, errors.Unauthenticated):
        response.headers["WWW-Authenticate"] = _challenge()
    if isinstance(error, errors.TooManyTries):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


def _challenge() -> str:
    """RFC 6750: what was sent is wrong only if something was sent."""
    return 'Bearer realm="Scale"' + (', error="invalid_token"' if "Authorization" in request.headers else "")


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if isinstance(error, RequestRedirect):
        return error.get_response()
    response = answer(error.code or 500, _sentence(error))
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _sentence(error: HTTPException) -> str:
    if isinstance(error, RequestEntityTooLarge):
        return f"The body is larger than {current_app.config['MAX_CONTENT_LENGTH']} bytes; send less at once."
    return "Not found." if error.code == 404 else error.description or error.name


def _database_error(error: exc.SQLAlchemyError) -> ResponseReturnValue:
    if isinstance(error, exc.DataError):
        return answer(400, f"A value does not fit: {_first_line(error)}")
    if isinstance(error, exc.IntegrityError):
        log.warning("%s %s: %s", request.method, request.path, error)
        return answer(409, f"This contradicts what is stored: {_first_line(error)}")
    if _waited_in_vain(error):
        log.warning("%s %s: %s", request.method, request.path, error)
        return answer(503, "Others are changing the same at the moment; please try again.")
    if _took_too_long(error):
        log.warning("%s %s: %s", request.method, request.path, error)
        return answer(503, "The database took too long for this; ask for less: a shorter period, more filters.")
    if isinstance(error, (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)) or _is_disconnect(error):
        log.warning("%s %s: the database is not available: %s", request.method, request.path, error)
        return answer(503, "The database is not available at the moment; please try again.")
    return _unexpected(error)


def _waited_in_vain(error: exc.SQLAlchemyError) -> bool:
    """For a lock that others held too long, or in a circle."""
    return isinstance(error, exc.DBAPIError) and getattr(error.orig, "pgcode", "") in ("55P03", "40P01")


def _took_too_long(error: exc.SQLAlchemyError) -> bool:
    """Longer than SCALE_API_STATEMENT_S lets one statement take."""
    return isinstance(error, exc.DBAPIError) and getattr(error.orig, "pgcode", "") == "57014"


def _is_disconnect(error: exc.SQLAlchemyError) -> bool:
    return isinstance(error, exc.DBAPIError) and error.connection_invalidated


def _first_line(error: exc.DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]


def _unexpected(error: Exception) -> ResponseReturnValue:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return answer(500, "Something went wrong in Scale; its log says more.")
