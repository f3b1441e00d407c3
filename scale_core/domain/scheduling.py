"""Which waiting executions run where: a pure decision over the queue, the offers of Mesos, and the limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from scale_core.domain.job import Resources
from scale_core.domain.places import FORGIVEN, NAMES, Place, Places

KEPT_FREE = "nodes are kept free for jobs that have waited longer"


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
    not_before: datetime | None = None  # of samples only: the claim passes over what must wait

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


class Matcher:
    """Decides page by page; what one page used is gone for the next. Pages come in the queue's order.

    `places` are used up while it decides; one Matcher at a time. An entry that fits nowhere although it has waited for
    `reserve_after` keeps one node free of all others until it fits: give the `reservations` of one round to the next,
    for those that still wait, and add these entries first.
    """

    def __init__(
        self,
        places: Places,
        limits: Mapping[int, JobTypeLimits],
        *,
        now: datetime,
        reserve_after: timedelta | None = None,
        reservations: Mapping[int, int] | None = None,
    ) -> None:
        places.begin()
        self._now, self._reserve_after = now, reserve_after
        self._places = places
        self._headroom = {kind: limit.headroom() for kind, limit in limits.items()}
        self._limits = dict(limits)
        self._hopeless: dict[tuple[int, Resources, int | None], str] = {}
        self._last_place: dict[tuple[int, Resources, int | None], Place] = {}
        self._launches: list[Launch] = []
        self._waiting: dict[int, str] = {}
        self._free = places.free()
        self._max_reserved = max(1, len(places.cluster.by_node) // 4)
        self._kept: dict[int, int] = {}  # job_exe id by node id
        self._reserved: dict[int, Place] = {}  # by job_exe id
        for node_id, job_exe_id in (reservations or {}).items():
            place = places.get(node_id)
            if place is not None and not place.state.refuses:
                self._keep(place, job_exe_id)

    @property
    def largest_free(self) -> Resources:
        """The most cpus, memory, disk and GPUs free at any one node that takes work: no entry above it can fit."""
        return self._places.largest()

    @property
    def blocked_types(self) -> list[int]:
        """Job types of which nothing may start any more."""
        return [kind for kind in self._limits if self._refusal(kind)]

    @property
    def hopeless(self) -> list[tuple[int, Resources]]:
        """(job type, resources) that fit nowhere now: nor does what needs as much or more of everything."""
        return [(kind, needs) for kind, needs, node_required in self._hopeless if node_required is None]

    @property
    def is_short(self) -> bool:
        """Whether something waits that more offers could start."""
        return bool(self._hopeless)

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
        reserved = {place.state.node_id: job_exe_id for job_exe_id, place in self._reserved.items()}
        return Matching(tuple(self._launches), dict(self._waiting), reserved)

    def _place(self, entry: QueueEntry) -> None:
        refusal = self._refusal(entry.job_type_id)
        if refusal:
            self._release(entry.job_exe_id)
        elif entry.job_exe_id not in self._reserved:
            refusal = self._hopeless.get(entry.shape, "")
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

    def _start(self, entry: QueueEntry, place: Place) -> None:
        self._places.take(place, entry.needs)
        self._release(entry.job_exe_id)
        self._last_place[entry.shape] = place
        headroom = self._headroom.get(entry.job_type_id)
        if headroom is not None:
            self._headroom[entry.job_type_id] = headroom - 1
        self._launches.append(Launch(entry, place.state.node_id, place.state.agent_id))

    def _find(self, entry: QueueEntry) -> Place | None:
        """The fullest node that holds the entry, by the resource that is scarcest for it in the whole cluster."""
        kept = self._reserved.get(entry.job_exe_id)
        if kept is not None and self._takes(kept, entry):
            return kept
        last = self._last_place.get(entry.shape)
        if last is not None and self._takes(last, entry):
            return last  # taking from the best fit left it the best fit
        if entry.node_required_id is not None:
            place = self._places.get(entry.node_required_id)
            return place if place is not None and self._takes(place, entry) else None
        scarcest = self._scarcest(entry.needs)
        places = self._places.from_fullest(scarcest, getattr(entry.needs, scarcest))
        return next((place for place in places if self._takes(place, entry)), None)

    def _takes(self, place: Place, entry: QueueEntry) -> bool:
        return (
            not place.state.refuses
            and self._kept.get(place.state.node_id, entry.job_exe_id) == entry.job_exe_id
            and place.room.holds(entry.needs)
        )

    def _scarcest(self, needs: Resources) -> str:
        def share(name: str) -> float:
            return float(getattr(needs, name)) / max(self._free[name], 0.001)

        return max(NAMES, key=share)

    def _reserve(self, entry: QueueEntry) -> None:
        if self._reserve_after is None or self._now - entry.queued < self._reserve_after:
            return
        if entry.job_exe_id in self._reserved or len(self._reserved) >= self._max_reserved:
            return
        needs = entry.needs + self._places.overhead
        able = (place for place in self._candidates(entry) if self._could_ever_take(place, needs))
        best = min(able, key=lambda place: (self._shortage(place, entry), place.state.hostname), default=None)
        if best is not None:
            self._keep(best, entry.job_exe_id)

    def _candidates(self, entry: QueueEntry) -> Iterable[Place]:
        if entry.node_required_id is None:
            return self._places.all_taking()
        place = self._places.get(entry.node_required_id)
        return [place] if place else []

    def _keep(self, place: Place, job_exe_id: int) -> None:
        self._kept[place.state.node_id] = job_exe_id
        self._reserved[job_exe_id] = place

    def _release(self, job_exe_id: int) -> None:
        place = self._reserved.pop(job_exe_id, None)
        if place is not None:
            del self._kept[place.state.node_id]

    def _could_ever_take(self, place: Place, needs: Resources) -> bool:
        return not place.state.refuses and place.state.node_id not in self._kept and place.state.total.holds(needs)

    def _shortage(self, place: Place, entry: QueueEntry) -> float:
        """How far the node is from holding the entry, as a share of all that it has."""
        room = place.room
        return max(
            (getattr(entry.needs, name) - getattr(room, name)) / max(getattr(place.state.total, name), 0.001)
            for name in NAMES
        )

    def _why(self, entry: QueueEntry) -> str:
        if entry.node_required_id is not None:
            return self._why_not_on(entry.node_required_id, entry)
        cluster = self._places.cluster
        if not cluster.taking:
            return "every node is paused" if cluster.by_node else "no node is online"
        others = [place for job_exe_id, place in self._reserved.items() if job_exe_id != entry.job_exe_id]
        if len(others) == len(cluster.taking) or any(place.room.holds(entry.needs) for place in others):
            return KEPT_FREE
        best = {name: self._most_free(name, entry) for name in NAMES}
        return _shortfall(entry.needs, best, self._places.largest_node(), self._scarcest(entry.needs))

    def _why_not_on(self, node_id: int, entry: QueueEntry) -> str:
        place = self._places.get(node_id)
        if place is None:
            return f"node {node_id}, which it must run on, is not online"
        if place.state.refuses:
            return f"{place.state.hostname}, which it must run on, is {place.state.refuses}"
        if self._kept.get(node_id, entry.job_exe_id) != entry.job_exe_id:
            return KEPT_FREE
        best = {name: float(getattr(place.room, name)) for name in NAMES}
        return _shortfall(entry.needs, best, place.state.total, self._scarcest(entry.needs))

    def _most_free(self, name: str, entry: QueueEntry) -> float:
        """The most of a resource at a node that is not kept for another."""
        for place in self._places.from_emptiest(name):
            if self._kept.get(place.state.node_id, entry.job_exe_id) == entry.job_exe_id:
                return float(getattr(place.room, name))
        return 0.0


def _shortfall(needs: Resources, best: Mapping[str, float], largest: Resources, scarcest: str) -> str:
    """What is lacking, if `best` is the most that is free of each resource and `largest` the most that a node has."""
    lacking = [name for name in NAMES if getattr(needs, name) > max(0.0, best[name]) + FORGIVEN]
    name = lacking[0] if lacking else scarcest
    need = getattr(needs, name)
    if getattr(largest, name) and need > getattr(largest, name):
        return f"needs {need:g} {NAMES[name]}, the largest node has {getattr(largest, name):g}"
    if lacking:
        return f"needs {need:g} {NAMES[name]}, best node has {max(0.0, best[name]):g} free"
    together = ", ".join(f"{getattr(needs, each):g} {NAMES[each]}" for each in NAMES if getattr(needs, each))
    return f"needs {together} at one node; no node has all of it free"
