"""The directory of one benchmark."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scale_server import postgres
from tests import prepared


@contextmanager
def fresh_home() -> Iterator[Path]:
    """Empty, or in a run of the tests with their prepared PostgreSQL; it and its PostgreSQL are gone at the end."""
    home = Path(tempfile.mkdtemp(prefix="scale-bench-"))
    try:
        prepared.give(home)
        yield home
    finally:
        postgres.destroy(home)
        shutil.rmtree(home, ignore_errors=True)
