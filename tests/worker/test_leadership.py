from __future__ import annotations

import threading

from scale_worker.mesos.leadership import Leadership, Standing


def test_one_leads_and_the_next_follows_when_it_resigns(database_url: str) -> None:
    first, second = Leadership(database_url), Leadership(database_url)
    assert first.check() is Standing.LEADER
    assert second.check() is Standing.LOST
    assert first.check() is Standing.LEADER
    first.resign()
    assert second.wait(threading.Event())
    assert first.check() is Standing.LOST
    second.resign()


def test_a_cut_connection_costs_the_lead_only_if_somebody_took_it(database_url: str) -> None:
    first, second = Leadership(database_url), Leadership(database_url)
    assert first.check() is Standing.LEADER
    assert first._connection is not None
    first._connection.close()
    assert first.check() is Standing.LEADER
    first._connection.close()
    assert second.check() is Standing.LEADER
    assert first.check() is Standing.LOST
    second.resign()


def test_without_postgresql_nobody_knows_and_waiting_can_be_stopped() -> None:
    nowhere = Leadership("postgresql://nobody@127.0.0.1:1/none")
    assert nowhere.check() is Standing.UNKNOWN
    stopping = threading.Event()
    stopping.set()
    assert not nowhere.wait(stopping)
