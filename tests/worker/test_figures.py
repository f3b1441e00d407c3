from __future__ import annotations

from scale_worker.mesos.figures import Figures


def test_counts_and_the_times_of_rounds_that_did_something() -> None:
    now = [0.0]
    figures = Figures(lambda: now[0])
    for seconds in (0.1, 0.2, 0.3):
        with figures.round():
            figures.add("launches", 5)
            now[0] += seconds
    with figures.round():
        now[0] += 60  # nothing to do
    shown = figures.show(offers_held=2)
    assert (shown["rounds"], shown["launches"], shown["offers_held"], shown["updates"]) == (3, 15, 2, 0)
    assert shown["round_s"] == {"p50": 0.2, "p99": 0.3, "max": 0.3}


def test_nothing_done_yet() -> None:
    assert Figures(lambda: 0.0).show(offers_held=0)["round_s"] == {}
