"""Celery without the tasks: `celery -A scale_worker.celery_bare beat|flower`.

Who only sends messages, or looks at them, needs neither the tasks nor the database: half of a worker's memory.
"""

from __future__ import annotations

import sys
from typing import Any

from celery.signals import setup_logging

from scale_core import logs
from scale_core.settings import Settings
from scale_worker.celery_config import make_app

_settings = Settings.from_environ()
app = make_app(_settings)


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure("flower" if "flower" in sys.argv else "beat", _settings.log_level, _settings.log_format)
