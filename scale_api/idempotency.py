"""Idempotency-Key: a request that is repeated under its key is answered again, not done again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, current_app, make_response, request

from scale_api import access, database
from scale_core.errors import Invalid, Problem
from scale_core.services import idempotency as services
from scale_core.services.idempotency import StoredAnswer
from scale_core.timestamps import utcnow

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Content-Type", "Location")


def idempotent(*, in_one_transaction: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """A view whose answers are kept for requests with a key.

    The answer is stored in the same transaction as the work, so that there is either both or neither. A view that
    works in several transactions must go on where a crash has stopped it when it is called again.
    """

    def decorate(view: Callable[..., Any]) -> Callable[..., Response]:
        @wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            key = _key()
            if key is None:
                return make_response(view(*args, **kwargs))
            fingerprint = _fingerprint()
            with database.transaction() as writing:
                if stored := services.claim(writing, key, fingerprint):
                    return Response(stored.body, stored.status, {**stored.headers, "Idempotent-Replayed": "true"})
                if in_one_transaction:
                    with database.joined(writing):
                        response = make_response(current_app.ensure_sync(view)(*args, **kwargs))
                else:
                    response = make_response(current_app.ensure_sync(view)(*args, **kwargs))
                headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
                kept = StoredAnswer(response.status_code, headers, response.get_data(as_text=True))
                services.store(writing, key, fingerprint, kept, utcnow())
            return response

        answer.is_idempotent = True  # type: ignore[attr-defined]  # for the OpenAPI document
        return answer

    return decorate


def _key() -> str | None:
    """Of this request. Raises Invalid."""
    given = request.headers.get(HEADER)
    if given is None:
        return None
    key = given.strip().removeprefix('"').removesuffix('"')
    if not _KEY.fullmatch(key):
        raise Invalid(problems=[Problem(HEADER, "must be 1 to 255 printable ASCII characters without blanks")])
    return key


def _fingerprint() -> str:
    """What makes two requests the same; nobody is given the answer to another's."""
    who = str(access.caller().account_id or "").encode()
    parts = (who, request.method.encode(), request.path.encode(), request.query_string, request.get_data(cache=True))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
