"""Times and durations. The only reader of the wall clock; everything else takes `now` as a parameter."""

from __future__ import annotations

import datetime as dt
import re
import time
from datetime import UTC, datetime, timedelta

from scale_core.errors import Invalid, Problem

_DURATION = re.compile(
    r"^P(?:(?P<weeks>\d+(?:[.,]\d+)?)W)?(?:(?P<days>\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:[.,]\d+)?)H)?(?:(?P<minutes>\d+(?:[.,]\d+)?)M)?(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?$"
)


def utcnow() -> datetime:
    """The present, in UTC, with time zone."""
    return datetime.now(UTC)


class Clock:
    """A time that goes on evenly from `began`, although somebody may set the machine's clock meanwhile.

    It counts while the machine sleeps, as people do.
    """

    def __init__(self, began: datetime) -> None:
        self._began, self._mark = began, self._elapsed()

    def now(self) -> datetime:
        """In UTC, with time zone, like utcnow."""
        return self._began + timedelta(seconds=self._elapsed() - self._mark)

    @staticmethod
    def _elapsed() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds (``PT3H0M0S``).

    Years and months have no fixed length and are refused. Raises Invalid.
    """
    match = _DURATION.match(text.strip())
    if not match or not any(match.groups()):
        raise Invalid(problems=[Problem("", f"{text!r} is not an ISO 8601 duration such as PT3H0M0S or P1D")])
    try:
        return timedelta(**{unit: float(value.replace(",", ".")) for unit, value in match.groupdict().items() if value})
    except OverflowError:
        raise Invalid(problems=[Problem("", f"{text!r} is longer than Scale can count")]) from None


def parse_datetime(text: str) -> datetime:
    """An ISO 8601 time with its offset (``2015-01-01T00:00:00Z``), returned in UTC. Raises Invalid."""
    try:
        value = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
    except ValueError:
        problem = Problem("", f"{text!r} is not an ISO 8601 time such as 2015-01-01T00:00:00Z")
        raise Invalid(problems=[problem]) from None
    if value.tzinfo is None:
        raise Invalid(problems=[Problem("", f"{text!r} lacks its time zone; append Z for UTC")])
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Invalid(problems=[Problem("", f"{text!r} is outside the years 1 to 9999")]) from None


def parse_moment(text: str, now: datetime) -> datetime:
    """A time, or a duration counted back from `now`: the two forms of every `started` and `ended` parameter."""
    if text.strip().startswith("P"):
        try:
            return now - parse_duration(text)
        except OverflowError:
            raise Invalid(problems=[Problem("", f"{text!r} before now is outside the years 1 to 9999")]) from None
    return parse_datetime(text)


def isoformat(value: datetime) -> str:
    """As the REST documents show times: UTC with Z, fractions of a second only when there are any."""
    text = value.astimezone(dt.UTC).isoformat()
    return text.replace("+00:00", "Z")
