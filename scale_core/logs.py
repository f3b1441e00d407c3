"""Logging of every process on stderr: a line or a JSON object each record, with the id of the request, Celery task or
Mesos task, and the trace that it belongs to."""

from __future__ import annotations

import contextvars
import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager

from scale_core import tracing

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
        trace_id = tracing.current()
        record.context, record.trace_id = _context.get(), trace_id
        return True


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.where = " ".join(filter(None, (record.context, record.trace_id)))  # type: ignore[attr-defined]
        return super().format(record)


def configure(process: str, level: str = "INFO", format: str = "line") -> None:
    """Send all records of this process to stderr; `process` names it in each. `format` is line or json."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"context": {"()": _ContextFilter}},
            "formatters": {
                "line": {
                    "()": _Line,
                    "format": f"%(asctime)s %(levelname)-7s {process} [%(where)s] %(name)s: %(message)s",
                },
                "json": {
                    "()": "pythonjsonlogger.orjson.OrjsonFormatter",
                    "fmt": "%(levelname)s %(name)s %(message)s %(context)s %(trace_id)s",
                    "rename_fields": {"levelname": "level", "name": "logger"},
                    "static_fields": {"process": process},
                    "timestamp": "time",
                },
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": format, "filters": ["context"]}},
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
