"""The benchmark of the API runs on a small database and says what it measured; no test asserts a speed."""

import json
import subprocess
import sys

import pytest

from bench.api import endpoints
from bench.report import ApiResult, EndpointResult, Spread
from scale_core.settings import CHECKOUT

COMMAND = [sys.executable, "-m", "bench", "api"]


@pytest.mark.journey
def test_api() -> None:
    options = ["--jobs", "2000", "--seconds", "0.03"]
    done = subprocess.run([*COMMAND, *options], cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["bench"], result["jobs"], result["clients"]) == ("api", 2000, 4)
    assert len(result["endpoints"]) == len(endpoints(2000))
    for endpoint in result["endpoints"]:
        assert min(endpoint["rate"], endpoint["rate_of_many"], endpoint["rate_per_core"]) > 0
        assert endpoint["times"]["p50"] <= endpoint["times"]["p95"] <= endpoint["times"]["max"]
        assert (endpoint["to_floor"] is None) == (endpoint["floor"] is None)


def test_too_few_jobs() -> None:
    done = subprocess.run([*COMMAND, "--jobs", "10"], cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert (done.returncode, "--jobs" in done.stderr) == (1, True)


def test_to_floor() -> None:
    spread = Spread(1.0, 8.0, 9.0)
    measured = EndpointResult("GET /x/", 1.0, spread, 2.0, spread, 3.0, Spread(1.0, 4.0, 5.0))
    assert json.loads(ApiResult(1, 4, [measured]).to_json())["endpoints"][0]["to_floor"] == 2.0
