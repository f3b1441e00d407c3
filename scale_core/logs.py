"""Logging of every process: one line a record on stderr, with the id of the request, celery task or Mesos task."""

from __future__ import annotations

import contextvars
import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager

_context: contextvars.ContextVar[str] = contextvars.ContextVar("scale_log_context", default="-")


@contextmanager
def bound(identifier: str) -> Iterator[None]:
    """Every record inside carries `identifier`."""
    token = _context.set(identifier)
    try:
        yield
    finally:
        _context.reset(token)


class _ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.context = _context.get()
        return True


def configure(process: str, level: str = "INFO") -> None:
    """Send all records of this process to stderr; `process` names it in each line."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"context": {"()": _ContextFilter}},
            "formatters": {
                "line": {
                    "format": f"%(asctime)s %(levelname)-7s {process} [%(context)s] %(name)s: %(message)s",
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["context"]}},
            "root": {"level": level, "handlers": ["stderr"]},
            "loggers": {
                "kazoo": {"level": "WARNING"},
                "urllib3": {"level": "WARNING"},
                "docker": {"level": "WARNING"},
                # one line a second for each task that beat sends and a worker runs says nothing
                "celery.beat": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
            },
        }
    )
