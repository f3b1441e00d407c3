"""How gunicorn runs the API: `gunicorn --config python:scale_api.gunicorn_config`.

The application is made once and then forked. It has no thread and no connection by then: PostgreSQL is asked first by
the first request.
"""

from __future__ import annotations

from scale_core.db.session import before_forks

preload_app = True


def when_ready(server: object) -> None:
    """The application is made, and no worker is there yet."""
    before_forks()
