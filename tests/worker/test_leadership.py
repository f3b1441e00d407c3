from __future__ import annotations

import threading
import time

from scale_worker.mesos.leadership import WEDGED_S, Keeper, Leadership, Standing


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


def test_a_leader_that_shows_no_life_is_deposed(database_url: str) -> None:
    first, second = Leadership(database_url), Leadership(database_url, silence_s=0.5)
    assert first.check() is Standing.LEADER
    assert second.wait(threading.Event())
    assert first.check() is Standing.LOST
    second.resign()


def test_a_leader_that_shows_life_stays(database_url: str) -> None:
    first, second = Leadership(database_url), Leadership(database_url, silence_s=30)
    assert first.check() is Standing.LEADER
    stopping = threading.Event()
    threading.Timer(1.2, stopping.set).start()
    assert not second.wait(stopping)
    assert first.check() is Standing.LEADER
    first.resign()


def test_a_handler_whose_round_never_ends_shows_no_life(database_url: str) -> None:
    leadership, stopping = Leadership(database_url), threading.Event()
    assert leadership.check() is Standing.LEADER
    keeper = Keeper(leadership, stopping)
    keeper.round_began = lambda: time.monotonic() - WEDGED_S - 1
    keeper.start()
    follower = Leadership(database_url, silence_s=2.5)
    assert follower.wait(threading.Event())
    keeper.round_began = time.monotonic
    keeper.doubt()
    assert keeper.lost.wait(10)
    stopping.set()
    keeper.join()
    follower.resign()
