"""A database that cannot be brought up to date says why, in one line where it is not there at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scale_core.settings import CHECKOUT


@pytest.mark.parametrize(
    ("url", "words"),
    [("", "SCALE_DATABASE_URL is not set"), ("postgresql://scale:x@127.0.0.1:1/scale", "Connection refused")],
)
def test_no_database_is_one_line(url: str, words: str, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "SCALE_HOME": str(tmp_path), "SCALE_DATABASE_URL": url}
    command = [sys.executable, "-m", "scale_core.upgrade"]
    told = subprocess.run(command, env=env, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    (line,) = told.stderr.splitlines()
    assert told.returncode == 1
    assert words in line
