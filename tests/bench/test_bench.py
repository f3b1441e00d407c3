"""The benchmarks run and say what they measured; no test asserts a speed."""

import json
import subprocess
import sys

import psutil
import pytest

from bench.idle import pss_mib
from bench.report import IdlePart, IdleResult, JobsResult, Spread
from scale_core.settings import CHECKOUT


@pytest.mark.journey
def test_jobs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "jobs", "--count", "5", "--at-once", "4"],
        cwd=CHECKOUT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["bench"], result["count"], result["at_once"], result["docker"]) == ("jobs", 5, 4, False)
    assert result["rate"] > 0
    assert result["bare_rate"] > 0
    assert all(spread["p50"] <= spread["p95"] <= spread["max"] for spread in result["phases"].values())
    assert {"scheduler", "devcluster", "executor", "worker", "postgres", "redis"} <= result["cpu_ms"].keys()


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_count_that_is_none(count: str) -> None:
    command = [sys.executable, "-m", "bench", "jobs", "--count", count]
    done = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--count" in done.stderr


def test_spread() -> None:
    assert Spread.of([number / 1000 for number in range(101)]) == Spread(50.0, 95.0, 100.0)
    assert Spread.of([0.2]) == Spread(200.0, 200.0, 200.0)
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


def test_ratio() -> None:
    result = JobsResult(10, True, 4, 1.0, rate=8.5, bare_rate=10.0, phases={}, cpu_ms={})
    assert json.loads(result.to_json())["ratio"] == result.ratio == 0.85


def test_what_all_parts_take_together() -> None:
    result = IdleResult(60.0, {"api": IdlePart(3, 120.5, 0.25), "redis": IdlePart(1, 4.5, 0.5)})
    assert json.loads(result.to_json())["total"] == {"processes": 4, "pss_mib": 125.0, "cpu_percent": 0.75}


def test_memory_of_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert 0 < pss_mib(psutil.Process(process.pid)) < psutil.virtual_memory().total / 2**20
    assert pss_mib(psutil.Process()) > 0


@pytest.mark.journey
def test_ingest() -> None:
    sizes = ["--small", "5", "--bursts", "2", "--trickle", "2", "--old", "3", "--large", "1", "--large-mib", "2"]
    command = [sys.executable, "-m", "bench", "ingest", *sizes]
    done = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["bench"], result["small"], result["old"], result["large_mib"]) == ("ingest", 5, 3, 2)
    assert 0 < result["ingested"]["p50"] < result["running"]["max"]
    assert [each["worker"] > 0 for each in result["memory_mib"]] == [True] * 5
    assert min(result[f"{kind}_rate"] for kind in ("small", "large", "small_copy", "large_copy")) > 0
