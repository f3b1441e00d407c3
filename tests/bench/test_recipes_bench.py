"""The benchmark of recipes runs on a small simulated cluster and says what it measured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from scale_core.settings import CHECKOUT


@pytest.mark.journey
def test_recipes_of_a_simulated_cluster_and_the_figures_of_a_day() -> None:
    options = ("--recipes", "5", "--agents", "3", "--executions", "500", "--seconds", "1")
    command = [sys.executable, "-m", "bench", "recipes", *options]
    done = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["bench"], result["recipes"], result["executions"]) == ("recipes", 5, 500)
    assert result["rate"] > 0
    for name in ("child_queued_at_once", "child_queued", "child_started", "day"):
        assert result[name]["p50"] <= result[name]["p95"] <= result[name]["max"]
    assert set(result["plot"]) == {"together", "one column of each", "each"}
