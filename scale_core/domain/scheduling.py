"""Which waiting executions run where: a pure decision over the queue, the offers of Mesos, and the limits."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from scale_core.domain.job import Resources

NAMES = {"cpus": "cpus", "mem": "MiB of memory", "disk": "MiB of disk", "gpus": "GPUs"}
FORGIVEN = 0.001  # Mesos counts in thousandths


@dataclass(frozen=True)
class Offer:
    """What Mesos offers on one agent. `attributes` are as Mesos spells them; `entries` its resource objects."""

    id: str
    agent_id: str
    hostname: str
    port: int
    resources: Resources
    executor_ids: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)
    entries: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True)
class NodeState:
    """A node as the scheduler sees it. `refuses` says why it takes no new work (paused, …), empty: it does."""

    node_id: int
    agent_id: str
    hostname: str
    total: Resources = field(default_factory=Resources)  # zero: the master did not say yet
    refuses: str = ""


@dataclass(frozen=True)
class QueueEntry:
    """One execution that waits. `needs` is cpus, memory, GPUs, and the disk of inputs and outputs together."""

    job_exe_id: int
    job_id: int
    job_type_id: int
    priority: int
    queued: datetime
    needs: Resources
    node_required_id: int | None = None

    @property
    def key(self) -> tuple[int, datetime, int]:
        """The queue's order: lower priority first, then who came first."""
        return self.priority, self.queued, self.job_exe_id

    @property
    def shape(self) -> tuple[int, Resources, int | None]:
        """Entries of one shape fit in the same places."""
        return self.job_type_id, self.needs, self.node_required_id


@dataclass(frozen=True)
class JobTypeLimits:
    """A job type's switches: `max_scheduled` None or 0 means no limit; `running` counts its jobs at work now."""

    is_paused: bool = False
    max_scheduled: int | None = None
    running: int = 0

    def headroom(self) -> int | None:
        """How many more may start; None: any number."""
        return max(0, self.max_scheduled - self.running) if self.max_scheduled else None

    def refusal(self) -> str:
        """Why no job of this type may start now; empty: it may."""
        if self.is_paused:
            return "paused"
        return f"limit of {self.max_scheduled} reached" if self.headroom() == 0 else ""


@dataclass(frozen=True)
class Launch:
    """This execution starts on that agent."""

    entry: QueueEntry
    node_id: int
    agent_id: str


@dataclass(frozen=True)
class Matching:
    """The decision: what starts, why the others wait (by job type), and which nodes are kept free for whom."""

    launches: tuple[Launch, ...]
    waiting: Mapping[int, str]
    reservations: Mapping[int, int]  # node id -> job_exe id


@dataclass(slots=True)
class _Place:
    """A node in mid-decision: what is still free there, after our executor's own share where it does not run yet."""

    state: NodeState
    room: Resources
    has_executor: bool
    reserved_for: int | None = None

    def rank(self, name: str) -> tuple[float, bool, str, int]:
        """Orders places from the fullest to the emptiest by one resource."""
        return getattr(self.room, name), not self.has_executor, self.state.hostname, self.state.node_id


class _Ranking:
    """The places that take work, sorted by what is free of each resource; kept in order while they fill up.

    Entries need not be alike for it to be fast: whatever one needs, the fullest place that holds it is found by
    bisection. Places that were used are put into their new order only when somebody looks.
    """

    def __init__(self, places: Iterable[_Place]) -> None:
        self._places = {place.state.node_id: place for place in places}
        self._sorted = {name: sorted(place.rank(name) for place in self._places.values()) for name in NAMES}
        self._moved: dict[int, list[tuple[float, bool, str, int]]] = {}

    def moving(self, place: _Place) -> None:
        """To be called before the place changes."""
        if place.state.node_id not in self._moved and place.state.node_id in self._places:
            self._moved[place.state.node_id] = [place.rank(name) for name in NAMES]

    def largest(self) -> Resources:
        self._settle()
        return Resources(**{name: (ranks[-1][0] if ranks else 0.0) for name, ranks in self._sorted.items()})

    def from_fullest(self, name: str, least: float) -> Iterator[_Place]:
        """The places with at least so much of a resource, the fullest first."""
        self._settle()
        ranks = self._sorted[name]
        for index in range(bisect_left(ranks, (least - FORGIVEN,)), len(ranks)):
            yield self._places[ranks[index][3]]

    def _settle(self) -> None:
        for node_id, before in self._moved.items():
            place = self._places[node_id]
            for name, rank in zip(NAMES, before, strict=True):
                ranks = self._sorted[name]
                del ranks[bisect_left(ranks, rank)]
                insort(ranks, place.rank(name))
        self._moved.clear()


class Matcher:
    """Decides page by page; what one page used is gone for the next. Pages come in the queue's order.

    `overhead` is what our executor itself needs, charged once on each agent that does not run it yet. An entry that
    fits nowhere although it has waited for `reserve_after` keeps one node free of later entries until it fits.
    """

    def __init__(
        self,
        offers: Iterable[Offer],
        nodes: Iterable[NodeState],
        limits: Mapping[int, JobTypeLimits],
        *,
        now: datetime,
        executor_id: str = "",
        overhead: Resources | None = None,
        reserve_after: timedelta | None = None,
        reservations: Mapping[int, int] | None = None,
    ) -> None:
        self._now = now
        self._overhead = overhead or Resources()
        self._reserve_after = reserve_after
        self._wishes = dict(reservations or {})
        self._places = _merge(offers, nodes, executor_id, self._overhead)
        self._by_node = {place.state.node_id: place for place in self._places}
        self._ranking = _Ranking(place for place in self._places if not place.state.refuses and place.room.mem > 0)
        self._headroom = {kind: limit.headroom() for kind, limit in limits.items()}
        self._limits = dict(limits)
        self._hopeless: dict[tuple[int, Resources, int | None], str] = {}
        self._last_place: dict[tuple[int, Resources, int | None], _Place] = {}
        self._launches: list[Launch] = []
        self._waiting: dict[int, str] = {}
        self._total = {name: sum(getattr(place.room, name) for place in self._places) for name in NAMES}
        self._max_reserved = max(1, len(self._places) // 4)

    @property
    def largest_free(self) -> Resources:
        """The most cpus, memory, disk and GPUs free at any one node that takes work: no entry above it can fit."""
        return self._ranking.largest()

    @property
    def blocked_types(self) -> list[int]:
        """Job types of which nothing may start any more."""
        return [kind for kind in self._limits if self._refusal(kind)]

    @property
    def hopeless(self) -> list[tuple[int, Resources]]:
        """(job type, resources) that fit nowhere now: nor does what needs as much or more of everything."""
        return [(kind, needs) for kind, needs, node_required in self._hopeless if node_required is None]

    def add(self, entries: Iterable[QueueEntry]) -> list[Launch]:
        """Place another page; returns what starts."""
        before = len(self._launches)
        for entry in sorted(entries, key=lambda entry: entry.key):
            self._place(entry)
        return self._launches[before:]

    def reason(self, entry: QueueEntry) -> str:
        """Why an entry like this one would not start now; empty: it would."""
        return self._refusal(entry.job_type_id) or ("" if self._find(entry) else self._why(entry))

    def result(self) -> Matching:
        reserved = {p.state.node_id: p.reserved_for for p in self._places if p.reserved_for is not None}
        return Matching(tuple(self._launches), dict(self._waiting), reserved)

    def _place(self, entry: QueueEntry) -> None:
        refusal = self._refusal(entry.job_type_id) or self._hopeless.get(entry.shape, "")
        if refusal:
            self._waiting.setdefault(entry.job_type_id, refusal)
            return
        place = self._find(entry)
        if place is None:
            self._hopeless[entry.shape] = reason = self._why(entry)
            self._waiting.setdefault(entry.job_type_id, reason)
            self._reserve(entry)
            return
        self._start(entry, place)

    def _refusal(self, kind: int) -> str:
        limit = self._limits.get(kind)
        if limit is None or limit.is_paused:
            return "paused" if limit else ""
        return f"limit of {limit.max_scheduled} reached" if self._headroom[kind] == 0 else ""

    def _start(self, entry: QueueEntry, place: _Place) -> None:
        self._ranking.moving(place)
        place.has_executor = True
        place.room = place.room - entry.needs
        if place.reserved_for == entry.job_exe_id:
            place.reserved_for = None
        self._last_place[entry.shape] = place
        headroom = self._headroom.get(entry.job_type_id)
        if headroom is not None:
            self._headroom[entry.job_type_id] = headroom - 1
        self._launches.append(Launch(entry, place.state.node_id, place.state.agent_id))

    def _find(self, entry: QueueEntry) -> _Place | None:
        """The fullest node that holds the entry, by the resource that is scarcest for it in the whole cluster."""
        last = self._last_place.get(entry.shape)
        if last is not None and self._takes(last, entry):
            return last  # taking from the best fit left it the best fit
        if entry.node_required_id is not None:
            place = self._by_node.get(entry.node_required_id)
            return place if place is not None and self._takes(place, entry) else None
        scarcest = self._scarcest(entry.needs)
        places = self._ranking.from_fullest(scarcest, getattr(entry.needs, scarcest))
        return next((place for place in places if self._takes(place, entry)), None)

    def _candidates(self, entry: QueueEntry) -> Sequence[_Place]:
        if entry.node_required_id is None:
            return self._places
        place = self._by_node.get(entry.node_required_id)
        return [place] if place else []

    def _takes(self, place: _Place, entry: QueueEntry) -> bool:
        return (
            not place.state.refuses
            and (place.reserved_for is None or place.reserved_for == entry.job_exe_id)
            and place.room.holds(entry.needs)
        )

    def _scarcest(self, needs: Resources) -> str:
        def share(name: str) -> float:
            return float(getattr(needs, name)) / max(self._total[name], 0.001)

        return max(NAMES, key=share)

    def _reserve(self, entry: QueueEntry) -> None:
        if self._reserve_after is None or self._now - entry.queued < self._reserve_after:
            return
        if sum(place.reserved_for is not None for place in self._places) >= self._max_reserved:
            return
        able = [place for place in self._candidates(entry) if self._could_ever_take(place, entry)]
        best = min(able, key=lambda place: (*self._shortage(place, entry), place.state.hostname), default=None)
        if best is not None:
            best.reserved_for = entry.job_exe_id

    def _could_ever_take(self, place: _Place, entry: QueueEntry) -> bool:
        total = place.state.total
        return not place.state.refuses and place.reserved_for is None and (total - self._overhead).holds(entry.needs)

    def _shortage(self, place: _Place, entry: QueueEntry) -> tuple[bool, float]:
        """How far the node is from holding the entry; the node that was kept for it before comes first."""
        room = place.room
        missing = max(
            (getattr(entry.needs, name) - getattr(room, name)) / max(getattr(place.state.total, name), 0.001)
            for name in NAMES
        )
        return self._wishes.get(place.state.node_id) != entry.job_exe_id, missing

    def _why(self, entry: QueueEntry) -> str:
        if entry.node_required_id is not None:
            required = self._by_node.get(entry.node_required_id)
            if required is None:
                return f"node {entry.node_required_id}, which it must run on, is not online"
            if required.state.refuses:
                return f"{required.state.hostname}, which it must run on, is {required.state.refuses}"
        places = [place for place in self._candidates(entry) if not place.state.refuses]
        if not places:
            return "every node is paused" if self._places else "no node is online"
        free = [place for place in places if place.reserved_for in (None, entry.job_exe_id)]
        if not free or any(place.room.holds(entry.needs) for place in places if place not in free):
            return "nodes are kept free for jobs that have waited longer"
        return self._shortfall(entry, free)

    def _shortfall(self, entry: QueueEntry, places: Sequence[_Place]) -> str:
        scarcest = self._scarcest(entry.needs)
        lacking = [
            name
            for name in NAMES
            if getattr(entry.needs, name) > max(getattr(place.room, name) for place in places) + 0.001
        ]
        name = lacking[0] if lacking else scarcest
        biggest = max((place.state.total for place in places), key=lambda total: float(getattr(total, name)))
        need = getattr(entry.needs, name)
        if getattr(biggest, name) and need > getattr(biggest, name):
            return f"needs {need:g} {NAMES[name]}, the largest node has {getattr(biggest, name):g}"
        best = max(0.0, max(float(getattr(place.room, name)) for place in places))
        if lacking:
            return f"needs {need:g} {NAMES[name]}, best node has {best:g} free"
        needs = ", ".join(
            f"{getattr(entry.needs, each):g} {NAMES[each]}" for each in NAMES if getattr(entry.needs, each)
        )
        return f"needs {needs} at one node; no node has all of it free"


def match(
    entries: Iterable[QueueEntry],
    offers: Iterable[Offer],
    nodes: Iterable[NodeState],
    limits: Mapping[int, JobTypeLimits],
    *,
    now: datetime,
    executor_id: str = "",
    overhead: Resources | None = None,
    reserve_after: timedelta | None = None,
    reservations: Mapping[int, int] | None = None,
) -> Matching:
    """Decide for one page of the queue; see Matcher."""
    matcher = Matcher(
        offers,
        nodes,
        limits,
        now=now,
        executor_id=executor_id,
        overhead=overhead,
        reserve_after=reserve_after,
        reservations=reservations,
    )
    matcher.add(entries)
    return matcher.result()


def _merge(offers: Iterable[Offer], nodes: Iterable[NodeState], executor_id: str, overhead: Resources) -> list[_Place]:
    """One place for each node, with all that its agent offers; offers of agents that are no node yet are left out."""
    offered: dict[str, tuple[Resources, bool]] = {}
    for offer in offers:
        free, has_executor = offered.get(offer.agent_id, (Resources(), False))
        has_executor = has_executor or executor_id in offer.executor_ids
        offered[offer.agent_id] = (free + offer.resources, has_executor)
    places = []
    for state in sorted(nodes, key=lambda state: state.agent_id):
        free, has_executor = offered.get(state.agent_id, (Resources(), False))
        if not state.total.holds(free):
            state = replace(state, total=_larger(state.total, free))
        places.append(_Place(state, free if has_executor else free - overhead, has_executor))
    return places


def _larger(one: Resources, other: Resources) -> Resources:
    return Resources(max(one.cpus, other.cpus), max(one.mem, other.mem), max(one.disk, other.disk))
