"""When Mesos is asked about tasks."""

from __future__ import annotations

from scale_worker.mesos.reconciler import SETTLE_S, Reconciler


def test_a_subscription_is_followed_by_a_second_look_at_what_was_too_young() -> None:
    """A master that dies forgets what it was told to launch a moment before: nobody else would notice for a period."""
    reconciler = Reconciler(period_s=60.0)
    assert not reconciler.is_due(0.0)
    reconciler.subscribed(100.0)
    assert reconciler.is_due(100.0)
    assert reconciler.settle_s == 0.0
    reconciler.done(100.0)
    assert not reconciler.is_due(100.0 + SETTLE_S - 0.1)
    assert reconciler.is_due(100.0 + SETTLE_S)
    assert reconciler.settle_s == SETTLE_S
    reconciler.done(110.0)
    assert not reconciler.is_due(169.9)
    assert reconciler.is_due(170.0)


def test_nothing_is_asked_while_there_is_no_master() -> None:
    reconciler = Reconciler(period_s=60.0)
    reconciler.subscribed(0.0)
    reconciler.disconnected()
    assert not reconciler.is_due(1000.0)


def test_a_short_period_stays_short() -> None:
    reconciler = Reconciler(period_s=2.0)
    reconciler.subscribed(0.0)
    reconciler.done(0.0)
    assert reconciler.is_due(2.0)
