"""What may go wrong, for programs to tell apart. The messages are the API's own words."""

from __future__ import annotations

from collections.abc import Sequence


class ClientError(Exception):
    """Whatever keeps the client from doing what it was asked to."""


class Unreachable(ClientError):
    """Nobody answers at the address, or what answers is no Scale."""


class TimedOut(ClientError):
    """It did not happen in the time that was given for it; it may still."""


class ApiError(ClientError):
    """Scale said no. `problems` are (path of the field, sentence) where it names fields."""

    def __init__(self, status: int, detail: str, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__("\n".join([detail, *(f"  {path}: {message}" for path, message in problems if path)]))
        self.status, self.detail, self.problems = status, detail, tuple(problems)


class Invalid(ApiError):
    """400, 415, 422: the request is wrong."""


class NotAllowed(ApiError):
    """401, 403: sign in, or ask somebody who may."""


class NotFound(ApiError):
    """404"""


class Conflict(ApiError):
    """409, 412: it is not in the state for that, or somebody changed it meanwhile."""


class ServerError(ApiError):
    """5xx, and 429: it may go through later."""


KINDS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    415: Invalid,
    422: Invalid,
    429: ServerError,
}


def of(status: int, detail: str, problems: Sequence[tuple[str, str]] = ()) -> ApiError:
    """The error that fits a status code."""
    kind = KINDS.get(status, ServerError if status >= 500 else ApiError)
    return kind(status, detail, problems)
