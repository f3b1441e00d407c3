"""The benchmark of the offer handler runs on a small simulated cluster and says what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from scale_core.settings import CHECKOUT


def run(*options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench", "scheduler", *options]
    done = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.journey
def test_executions_of_a_simulated_cluster() -> None:
    result = run("--agents", "5", "--jobs", "40", "--seconds", "1")
    assert (result["bench"], result["jobs"], result["agents"], result["decide_only"]) == ("scheduler", 40, 5, False)
    assert result["rate"] > 0
    assert result["rounds"]["launches"] >= 40
    assert 0 < result["in_queue"]["p50"] <= result["in_queue"]["p95"] <= result["in_queue"]["max"]
    assert {"scheduler", "cluster", "postgres"} <= set(result["cpu_ms"])


@pytest.mark.parametrize("more", [[], ["--old-snapshot"]])
def test_launches_that_are_only_decided(more: list[str]) -> None:
    result = run("--agents", "3", "--jobs", "30", "--backlog", "50", "--decide-only", *more)
    assert (result["backlog"], result["decide_only"], result["in_queue"]) == (50, True, None)
    assert result["rounds"]["launches"] >= 30
    assert result["memory_mib"] > 0
