"""W3C trace context: one id from a file's arrival to the last product made of it, in logs, events and for jobs.

An ingest begins a trace, and so does each request through REST unless its `traceparent` continues one. Trigger events
keep it; their jobs, recipes, and what those cause in turn go on with it.
"""

from __future__ import annotations

import contextvars
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_trace: contextvars.ContextVar[str] = contextvars.ContextVar("scale_trace", default="")


def current() -> str:
    """The trace that goes on here: 32 hexadecimal digits; empty: none does."""
    return _trace.get()


def new_id() -> str:
    return secrets.token_hex(16)


@contextmanager
def continued(trace_id: str) -> Iterator[None]:
    """What happens inside belongs to this trace."""
    token = _trace.set(trace_id)
    try:
        yield
    finally:
        _trace.reset(token)


def read(traceparent: str | None) -> str | None:
    """The trace that a caller's `traceparent` names; None when it is missing or malformed, as W3C asks for."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None or match[1] == "ff" or (match[1] == "00" and match[4]):
        return None
    is_zero = not match[2].strip("0") or not match[3].strip("0")
    return None if is_zero else match[2]


def header(trace_id: str, span: int) -> str:
    """The `traceparent` of a span, which is known by a number above 0."""
    return f"00-{trace_id}-{span:016x}-01"
