"""One small tree of errors. A message says what is wrong and how to put it right; scale_api maps them to HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NOBODY_COULD_SIGN_IN = 3  # exit status of scale_core.upgrade, whose code the launcher does not load


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a document: `path` names the field (``interface.input_data[0].name``), `message` the fix."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True)
class Warning_:
    """Something legal that will probably surprise: the documentation's {id, details} pair."""

    id: str
    details: str


class ScaleError(Exception):
    """Something went wrong in Scale."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class NotFound(ScaleError):
    """The object that was asked for does not exist."""


class Invalid(ScaleError):
    """What was given cannot be accepted; `problems` lists every field at once."""

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message or "; ".join(str(problem) for problem in self.problems))


class Conflict(ScaleError):
    """The object changed meanwhile, or another one has the same name."""


class PreconditionFailed(ScaleError):
    """The object is not what the client expects it to be."""


class KeyReused(ScaleError):
    """This Idempotency-Key belongs to another request; choose a new one for each request that is to be done."""


class Unauthenticated(ScaleError):
    """Say who you are: send an API token in the header Authorization: Bearer, or sign in."""


class Forbidden(ScaleError):
    """You may not do this."""


class TooManyTries(ScaleError):
    """Wait before you try again; `retry_after_s` says how long."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class IllegalTransition(ScaleError):
    """A status may not change in that way."""

    def __init__(self, what: str, ids: Sequence[object], start: str, finish: str) -> None:
        self.start, self.finish = start, finish
        super().__init__(f"{what} {', '.join(map(str, ids))} is {start} and cannot become {finish}")


class Deposed(ScaleError):
    """Another offer handler leads now."""


class BrokerError(ScaleError):
    """Files could not be listed, moved, stored or fetched; usually worth another try."""


class FileMissing(BrokerError):
    """A file is not where it should be in its workspace."""


class ConfigurationError(ScaleError):
    """A setting is missing or wrong."""
