"""What must hold of every decision, whatever waits and whatever is offered."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scale_core.domain.job import Resources
from scale_core.domain.places import NodeState, Offer
from scale_core.domain.scheduling import JobTypeLimits, Matcher, QueueEntry
from tests.domain.matching import match, places_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOTAL = Resources(8, 8000, 8000)
AMOUNT = st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 9.0])  # sums of these are exact

Want = tuple[float, float, int, int, int]
WANTS = st.lists(st.tuples(AMOUNT, AMOUNT, st.integers(1, 3), st.integers(1, 3), st.integers(0, 200)), max_size=30)
FREE = st.lists(st.tuples(AMOUNT, AMOUNT), min_size=1, max_size=5)


def entries_of(wants: list[Want]) -> list[QueueEntry]:
    return [
        QueueEntry(
            number, number, kind, priority, NOW - timedelta(seconds=age), Resources(cpus, 1000 * mem, 0)
        )
        for number, (cpus, mem, kind, priority, age) in enumerate(wants, start=1)
    ]  # fmt: skip


def node(number: int, total: Resources = TOTAL) -> NodeState:
    return NodeState(number, f"a{number}", f"n{number}", total)


def offer(number: int, free: Resources) -> Offer:
    return Offer(f"o{number}", f"a{number}", f"n{number}", 5051, free, frozenset({"ours"}))


def offers_of(has: list[tuple[float, float]]) -> list[Offer]:
    return [offer(number, Resources(min(cpus, 8), 1000 * min(mem, 8), 8000)) for number, (cpus, mem) in enumerate(has)]


@given(WANTS, FREE, st.integers(1, 4))
def test_no_type_starts_more_jobs_than_its_limit_and_none_while_it_is_paused(
    wants: list[Want], has: list[tuple[float, float]], limit: int
) -> None:
    limits = {1: JobTypeLimits(max_scheduled=limit, running=1), 2: JobTypeLimits(is_paused=True)}
    nodes = [node(number) for number in range(len(has))]
    matching = match(entries_of(wants), offers_of(has), nodes, limits, now=NOW, executor_id="ours")
    started = Counter(launch.entry.job_type_id for launch in matching.launches)
    assert started[1] <= limit - 1
    assert started[2] == 0


@given(WANTS, FREE, st.integers(1, 7))
def test_nobody_waits_while_a_later_one_that_needs_as_much_starts(
    wants: list[Want], has: list[tuple[float, float]], page: int
) -> None:
    """Priority is inverted only by fit: whoever started behind a waiting entry needed less of something."""
    waiting = sorted(entries_of(wants), key=lambda entry: entry.key)
    nodes = [node(number) for number in range(len(has))]
    matcher = Matcher(places_of(offers_of(has), nodes, "ours"), {}, now=NOW)
    for start in range(0, len(waiting), page):
        matcher.add(waiting[start : start + page])
    launches = matcher.result().launches
    started = {launch.entry.job_exe_id for launch in launches}
    for entry in waiting:
        if entry.job_exe_id not in started:
            later = [launch.entry for launch in launches if launch.entry.key > entry.key]
            assert not [each for each in later if each.needs.holds(entry.needs)]


@given(WANTS, FREE)
def test_whoever_waits_could_not_have_started_on_what_is_left(
    wants: list[Want], has: list[tuple[float, float]]
) -> None:
    offers, nodes = offers_of(has), [node(number) for number in range(len(has))]
    matching = match(entries_of(wants), offers, nodes, {}, now=NOW, executor_id="ours")
    left = {each.agent_id: each.resources for each in offers}
    for launch in matching.launches:
        left[launch.agent_id] = left[launch.agent_id] - launch.entry.needs
    started = {launch.entry.job_exe_id for launch in matching.launches}
    for entry in entries_of(wants):
        assert entry.job_exe_id in started or not any(free.holds(entry.needs) for free in left.values())


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=20), st.integers(1, 4))
def test_a_reservation_always_ends_with_its_job_running(stream: list[tuple[int, int]], nodes: int) -> None:
    """Small jobs never stop coming, all of them before the large one; each runs for some rounds."""
    large = QueueEntry(1, 1, 1, 100, NOW - timedelta(seconds=61), Resources(8, 8000, 0))
    states = [node(number) for number in range(nodes)]
    running: list[tuple[int, str, Resources]] = []  # until which round, where, what
    reservations: dict[int, int] = {}
    for round_ in range(200):
        running = [task for task in running if task[0] > round_]
        free = {state.agent_id: state.total for state in states}
        for _, agent_id, needs in running:
            free[agent_id] = free[agent_id] - needs
        cpus, rounds = stream[round_ % len(stream)]
        small = [
            QueueEntry(1000 * round_ + n + 2, n, 2, 1, NOW, Resources(cpus, 100, 0)) for n in range(8 * nodes)
        ]  # fmt: skip
        offers = [offer(state.node_id, free[state.agent_id]) for state in states]
        now = NOW + timedelta(seconds=round_)
        later = timedelta(seconds=60)
        matcher = Matcher(
            places_of(offers, states, "ours"), {}, now=now, reserve_after=later, reservations=reservations
        )
        if reservations:
            matcher.add([large])
        matcher.add(small if reservations else [large, *small])
        matching = matcher.result()
        reservations = dict(matching.reservations)
        started = {launch.entry.job_exe_id: launch for launch in matching.launches}
        if large.job_exe_id in started:
            return
        running += [(round_ + rounds, launch.agent_id, launch.entry.needs) for launch in started.values()]
    raise AssertionError("the large job never started")
