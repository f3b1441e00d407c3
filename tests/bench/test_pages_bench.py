"""The benchmark of pages opens each on a small database; no test asserts a speed."""

import json
import subprocess
import sys

import pytest

from bench.pages import pages
from scale_core.settings import CHECKOUT


@pytest.mark.journey
def test_pages() -> None:
    command = [sys.executable, "-m", "bench", "pages", "--jobs", "2000", "--times", "1"]
    done = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["bench"], result["jobs"]) == ("pages", 2000)
    assert list(result["pages"]) == list(pages(2000, 1))
    assert all(0 < each["median_s"] <= each["most_s"] for each in result["pages"].values())
