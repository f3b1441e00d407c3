from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scale_core.domain.node_health import HealthPolicy, Probe, after_probe, fall_sick

NOW = datetime(2026, 11, 26, tzinfo=UTC)
POLICY = HealthPolicy(rate=0.5, minimum=4, probe_s=30, probe_cap_s=100)


@pytest.mark.parametrize(
    ("ended", "failed", "sick"), [(3, 3, False), (4, 4, True), (8, 4, True), (9, 4, False), (0, 0, False)]
)
def test_a_node_is_sick_when_many_and_a_large_share_fail(ended: int, failed: int, sick: bool) -> None:
    assert POLICY.is_sick(ended, failed) is sick
    assert not replace(POLICY, rate=0.0).is_sick(ended, failed)


def test_probes_come_after_growing_intervals_and_the_first_that_passes_ends_it() -> None:
    sick = fall_sick(POLICY, NOW)
    assert not sick.is_probe_due(NOW)
    waits = []
    for _ in range(4):
        now = sick.next_probe
        assert sick.is_probe_due(now)
        running = replace(sick, probe_id=7)
        assert not running.is_probe_due(now), "one at a time"
        assert after_probe(POLICY, running, Probe.RUNNING, now) == running
        again = after_probe(POLICY, running, Probe.FAILED, now)
        assert again is not None
        waits.append((again.next_probe - now) / timedelta(seconds=1))
        sick = again
    assert waits == [60, 100, 100, 100]
    nothing = after_probe(POLICY, replace(sick, probe_id=7), Probe.NOTHING, NOW)
    assert nothing is not None
    assert nothing.is_probe_due(NOW)
    assert after_probe(POLICY, replace(sick, probe_id=7), Probe.PASSED, NOW) is None
