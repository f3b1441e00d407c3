"""The clocks of the scheduler's and of a node's machine are set forward and back by an hour while jobs run."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from faults import campaign
from faults.clock import LIBRARIES, Clock
from faults.load import Load
from faults.system import System
from scale_core.domain import history
from scale_core.settings import CHECKOUT
from tests import prepared
from tests.patience import wait_for

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed (Debian: the package libfaketime)"),
]
PATIENCE_S = 90.0
HOUR_S = 3600.0


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "offset")


@pytest.fixture
def system(clock: Clock) -> Iterator[System]:
    executor = f"cd {shlex.quote(str(CHECKOUT))} && exec {clock.command} {sys.executable} -m scale_worker.executor"
    with prepared.system(
        {"scheduler": clock.command, "standby": clock.command}, SCALE_EXECUTOR_COMMAND=executor
    ) as made:
        yield made


def test_clocks_that_jump_lose_nothing_and_no_duration_is_negative(system: System, clock: Clock) -> None:
    load = Load(system, 1)
    load.start()
    for offset in ("+0", "+1h", "+0", "-1h", "+0"):
        clock.set(offset)
        until_all_have_seen_it(system)
    load.finish()
    campaign.until_quiet(system, load, PATIENCE_S)

    events = system.events()
    assert history.check(events, campaign.ends_of(system, load)) == []
    assert len(load.jobs) > 10
    assert {event.process for event in events if jumped(event)} == {"scheduler", "executor"}


def until_all_have_seen_it(system: System) -> None:
    """Two seconds, on a machine that is busy more: the first job's executor may take longer to start."""
    since = time.monotonic()
    time.sleep(2.0)

    def look() -> bool:
        told = {event.process for event in system.events() if event.at > since and "clock" in event.facts}
        return told >= {"scheduler", "executor"}

    wait_for("scheduler and executor to note something", look, PATIENCE_S, pause_s=0.2)


def jumped(event: history.Event) -> bool:
    """Whether the process saw another date than the worker and the database, whose clocks stayed."""
    clock = event.facts.get("clock")
    if clock is None:
        return False
    real = time.time() - (time.monotonic() - event.at)
    return abs(datetime.fromisoformat(clock).timestamp() - real) > HOUR_S / 2
