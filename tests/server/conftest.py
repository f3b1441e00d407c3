"""Homes for private servers, which are stopped and removed whatever happens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scale_server import postgres, redis


@pytest.fixture
def home() -> Iterator[Path]:
    """A SCALE_HOME that every account may enter, unlike pytest's own directories."""
    directory = Path(tempfile.mkdtemp(prefix="scale-test-"))
    directory.chmod(0o755)
    yield directory
    redis.stop(directory)
    postgres.destroy(directory)
    shutil.rmtree(directory, ignore_errors=True)
