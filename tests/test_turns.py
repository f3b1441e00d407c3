"""Which file of tests comes next."""

from __future__ import annotations

from pathlib import Path

from tests.turns import WAITING, choose

FAULTS = ["tests/faults/test_clocks.py", "tests/faults/test_points.py"]
JOURNEYS = ["tests/journeys/test_backup.py", "tests/journeys/test_failures.py"]
API = ["tests/api/test_errors.py", "tests/api/test_lists.py"]
ALL = [*API, *FAULTS, *JOURNEYS]


def four(**begun: list[str]) -> dict[str, list[str]]:
    return {name: begun.get(name, []) for name in ("gw0", "gw1", "gw2", "gw3")}


def test_the_folders_are_there() -> None:
    assert [name for name in WAITING if not list((Path(__file__).parent / name).glob("test_*.py"))] == []


def test_one_of_four_computes_and_the_others_wait() -> None:
    begun = four()
    left = list(ALL)
    for process in begun:
        begun[process].append(choose(left, begun, process, 4))
        left.remove(begun[process][0])
    assert [begun[name][0] for name in ("gw0", "gw1", "gw2")] == [API[0], FAULTS[0], JOURNEYS[0]]


def test_a_process_stays_in_its_folder() -> None:
    begun = four(gw0=[API[0]], gw1=[JOURNEYS[0]], gw2=[FAULTS[0]])
    left = [API[1], FAULTS[1], JOURNEYS[1]]
    assert [choose(left, begun, process, 4) for process in ("gw0", "gw1", "gw2")] == [API[1], JOURNEYS[1], FAULTS[1]]


def test_nobody_is_idle_while_anything_is_left() -> None:
    assert choose([FAULTS[1]], four(gw2=[FAULTS[0]]), "gw0", 4) == FAULTS[1], "one that computes helps the others"
    assert choose([API[1]], four(gw0=[API[0]]), "gw3", 4) == API[1], "and is helped"
    assert choose([FAULTS[1]], four(gw2=[FAULTS[0]], gw1=[JOURNEYS[0]]), "gw1", 4) == FAULTS[1]


def test_alone_there_is_nothing_to_share_out() -> None:
    left, order = list(ALL), []
    while left:
        order.append(choose(left, {"gw0": order}, "gw0", 1))
        left.remove(order[-1])
    assert order == [*FAULTS, *JOURNEYS, *API]
