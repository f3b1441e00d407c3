from __future__ import annotations

import pytest

from scale_worker.mesos.pace import Pace


@pytest.mark.parametrize(("each_s", "size"), [(0.001, 100), (0.0001, 500), (1.0, 10)])
def test_batches_become_as_large_as_the_time_allows(each_s: float, size: int) -> None:
    now = 0.0
    pace = Pace(0.1, 10, 500, clock=lambda: now)
    assert pace.size == 500
    for _ in range(50):
        pace.begin()
        now += pace.size * each_s
        pace.done(pace.size)
    assert pace.size == pytest.approx(size, abs=1)


def test_what_small_batches_take_says_nothing() -> None:
    now = 0.0
    pace = Pace(0.1, 10, 500, clock=lambda: now)
    pace.begin()
    now += 60
    pace.done(9)
    assert pace.size == 500
