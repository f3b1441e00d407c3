from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_core.domain.job import Resources
from scale_core.domain.places import NodeState, Offer
from scale_core.domain.scheduling import JobTypeLimits, Matcher, QueueEntry
from tests.domain.matching import match, places_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BIG = Resources(8, 8000, 8000)


def entry(
    number: int,
    cpus: float = 1,
    mem: float = 100,
    *,
    kind: int = 1,
    priority: int = 100,
    age: float = 1,
    node: int | None = None,
) -> QueueEntry:
    queued = NOW - timedelta(seconds=age)
    return QueueEntry(number, number, kind, priority, queued, Resources(cpus, mem, 10), node)


def offer(agent: str, cpus: float, mem: float = 8000, executors: tuple[str, ...] = ("ours",), name: str = "") -> Offer:
    return Offer(name or f"offer-{agent}", agent, agent, 5051, Resources(cpus, mem, 8000), frozenset(executors))


def node(number: int, agent: str, total: Resources = BIG, refuses: str = "") -> NodeState:
    return NodeState(number, agent, agent, total, refuses)


NODES = [node(1, "a"), node(2, "b")]
OFFERS = [offer("a", 4), offer("b", 8)]


def placed(matching: object) -> list[tuple[int, str]]:
    return [(launch.entry.job_exe_id, launch.agent_id) for launch in matching.launches]  # type: ignore[attr-defined]


def test_lower_priority_number_goes_first_then_who_queued_first() -> None:
    entries = [entry(1, 4, age=9), entry(2, 4, priority=5, age=1), entry(3, 4, age=20), entry(4, 4, priority=5, age=2)]
    matching = match(entries, [offer("a", 8)], NODES, {}, now=NOW, executor_id="ours")
    assert [number for number, _ in placed(matching)] == [4, 2]


def test_the_fullest_node_that_holds_it_is_taken() -> None:
    entries = [entry(1, 3, mem=100), entry(2, 8, mem=100)]
    assert placed(match(entries, OFFERS, NODES, {}, now=NOW, executor_id="ours")) == [(1, "a"), (2, "b")]


def test_fullest_is_measured_by_the_scarcest_resource() -> None:
    offers = [offer("a", 4, mem=8000), offer("b", 8, mem=1000)]
    assert placed(match([entry(1, 0.1, mem=900)], offers, NODES, {}, now=NOW, executor_id="ours")) == [(1, "b")]


def test_all_offers_of_an_agent_count_together() -> None:
    offers = [offer("a", 1, name="o1"), offer("a", 2, name="o2")]
    assert placed(match([entry(1, 3)], offers, NODES, {}, now=NOW, executor_id="ours")) == [(1, "a")]


def test_our_executor_is_charged_once_where_it_does_not_run() -> None:
    new = [offer("a", 2, executors=())]
    overhead = Resources(0.5, 10, 0)
    assert placed(match([entry(1, 2)], new, NODES, {}, now=NOW, executor_id="ours", overhead=overhead)) == []
    fits = match(
        [entry(1, 1), entry(2, 0.5), entry(3, 0.5)], new, NODES, {}, now=NOW, executor_id="ours", overhead=overhead
    )
    assert [number for number, _ in placed(fits)] == [1, 2]
    there = match([entry(1, 2)], [offer("a", 2)], NODES, {}, now=NOW, executor_id="ours", overhead=overhead)
    assert placed(there) == [(1, "a")]


def test_paused_and_full_types_wait_with_their_reason() -> None:
    limits = {
        1: JobTypeLimits(is_paused=True),
        2: JobTypeLimits(max_scheduled=2, running=2),
        3: JobTypeLimits(max_scheduled=2, running=1),
        4: JobTypeLimits(max_scheduled=0, running=7),
    }
    entries = [entry(number, 0.1, kind=kind) for number, kind in enumerate([1, 2, 3, 3, 4, 4], start=1)]
    matching = match(entries, OFFERS, NODES, limits, now=NOW, executor_id="ours")
    assert [number for number, _ in placed(matching)] == [3, 5, 6]
    assert matching.waiting == {1: "paused", 2: "limit of 2 reached", 3: "limit of 2 reached"}


def test_blocked_types_are_those_that_may_start_nothing_more() -> None:
    limits = {1: JobTypeLimits(is_paused=True), 3: JobTypeLimits(max_scheduled=1)}
    matcher = Matcher(places_of(OFFERS, NODES, "ours"), limits, now=NOW)
    assert matcher.blocked_types == [1]
    matcher.add([entry(1, kind=3)])
    assert matcher.blocked_types == [1, 3]


def test_nodes_that_refuse_get_nothing() -> None:
    nodes = [node(1, "a", refuses="paused"), node(2, "b", refuses="not active")]
    matching = match([entry(1)], OFFERS, nodes, {}, now=NOW, executor_id="ours")
    assert placed(matching) == []
    assert matching.waiting == {1: "every node is paused"}


@pytest.mark.parametrize(
    ("wanted", "nodes", "expected"),
    [
        (1, NODES, []),
        (2, NODES, [(1, "b")]),
        (9, NODES, []),
        (2, [NODES[0], node(2, "b", refuses="paused (disk)")], []),
    ],
)
def test_an_entry_may_require_its_node(wanted: int, nodes: list[NodeState], expected: list[tuple[int, str]]) -> None:
    matching = match([entry(1, 6, node=wanted)], OFFERS, nodes, {}, now=NOW, executor_id="ours")
    assert placed(matching) == expected
    assert bool(matching.waiting) != bool(expected)


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        ((8, 100), "needs 8 cpus, best node has 4 free"),
        ((16, 100), "needs 16 cpus, the largest node has 8"),
        ((1, 7000), "needs 7000 MiB of memory, best node has 500 free"),
        ((4, 500), "needs 4 cpus, 500 MiB of memory, 10 MiB of disk at one node; no node has all of it free"),
    ],
)
def test_reasons_are_for_people(needs: tuple[float, float], reason: str) -> None:
    offers = [offer("a", 4, mem=400), offer("b", 2, mem=500)]
    assert match([entry(1, *needs)], offers, NODES, {}, now=NOW, executor_id="ours").waiting == {1: reason}


def test_no_node_at_all() -> None:
    assert match([entry(1)], [], [], {}, now=NOW).waiting == {1: "no node is online"}


def test_a_shape_that_fits_nowhere_does_not_hold_up_others() -> None:
    entries = [*(entry(number, 8, priority=1) for number in range(1, 400)), entry(400, 1, priority=2)]
    matching = match(entries, [offer("a", 4)], NODES, {}, now=NOW, executor_id="ours")
    assert placed(matching) == [(400, "a")]


def test_what_waited_too_long_keeps_a_node_free_of_later_jobs() -> None:
    entries = [entry(1, 8, age=100), entry(2, 1, age=90), entry(3, 1, age=80, priority=1)]
    nodes = [node(1, "a"), node(2, "b", Resources(4, 8000, 8000))]
    offers = [offer("a", 6), offer("b", 0.5)]
    reserving = match(entries, offers, nodes, {}, now=NOW, executor_id="ours", reserve_after=timedelta(seconds=60))
    assert placed(reserving) == [(3, "a")]  # ahead of it in the queue
    assert reserving.reservations == {1: 1}
    patient = match(entries, offers, nodes, {}, now=NOW, executor_id="ours", reserve_after=timedelta(seconds=200))
    assert placed(patient) == [(3, "a"), (2, "a")]


def test_a_reservation_takes_the_node_that_lacks_least_and_stays_there() -> None:
    offers = [offer("a", 2), offer("b", 6)]
    later = timedelta(seconds=60)
    first = match([entry(1, 8, age=100)], offers, NODES, {}, now=NOW, executor_id="ours", reserve_after=later)
    assert first.reservations == {2: 1}
    again = match(
        [entry(1, 8, age=100)],
        [offer("a", 7), offer("b", 6)],
        NODES,
        {},
        now=NOW,
        executor_id="ours",
        reserve_after=later,
        reservations=first.reservations,
    )
    assert again.reservations == {2: 1}


def test_nothing_is_reserved_for_what_no_node_could_ever_hold() -> None:
    entries = [entry(1, 99, age=1000), entry(2, 1)]
    matching = match(entries, OFFERS, NODES, {}, now=NOW, executor_id="ours", reserve_after=timedelta(seconds=60))
    assert matching.reservations == {}
    assert placed(matching) == [(2, "a")]


def test_pages_go_on_where_the_last_one_ended() -> None:
    matcher = Matcher(places_of([offer("a", 2)], NODES, "ours"), {}, now=NOW)
    assert len(matcher.add([entry(1)])) == 1
    assert len(matcher.add([entry(2), entry(3)])) == 1
    assert matcher.largest_free.cpus == 0
    assert [launch.entry.job_exe_id for launch in matcher.result().launches] == [1, 2]
    assert matcher.reason(entry(4)) == "needs 1 cpus, best node has 0 free"


@given(
    st.lists(st.tuples(st.floats(0.1, 9), st.floats(1, 9000), st.integers(1, 4), st.integers(0, 200)), max_size=40),
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9000)), min_size=1, max_size=5),
)
def test_no_node_is_ever_given_more_than_it_offered(
    wants: list[tuple[float, float, int, int]], has: list[tuple[float, float]]
) -> None:
    offers = [offer(f"n{i}", cpus, mem, executors=("ours",) if i % 2 else ()) for i, (cpus, mem) in enumerate(has)]
    nodes = [node(i, f"n{i}") for i in range(len(has))]
    entries = [entry(i, cpus, mem, kind=kind, age=age) for i, (cpus, mem, kind, age) in enumerate(wants, start=1)]
    overhead = Resources(0.1, 64, 0)
    matching = match(
        entries, offers, nodes, {}, now=NOW, executor_id="ours", overhead=overhead, reserve_after=timedelta(seconds=60)
    )
    assert len({launch.entry.job_exe_id for launch in matching.launches}) == len(matching.launches)
    for given_offer in offers:
        taken = [launch.entry.needs for launch in matching.launches if launch.agent_id == given_offer.agent_id]
        total = sum(taken, Resources() if given_offer.executor_ids or not taken else overhead)
        assert total.cpus <= given_offer.resources.cpus + 0.001 * (len(taken) + 1)
        assert total.mem <= given_offer.resources.mem + 0.001 * (len(taken) + 1)


def test_a_job_that_needs_gpus_waits_for_a_node_that_has_them() -> None:
    wants = replace(entry(1), needs=Resources(1, 100, 10, 2))
    offers = [offer("a", 4), replace(offer("b", 8), resources=Resources(8, 8000, 8000, 1))]
    matching = match([wants], offers, NODES, {}, now=NOW, executor_id="ours")
    assert matching.waiting == {1: "needs 2 GPUs, the largest node has 1"}
    offers[0] = replace(offers[0], resources=Resources(4, 8000, 8000, 2))
    assert placed(match([wants], offers, NODES, {}, now=NOW, executor_id="ours")) == [(1, "a")]
