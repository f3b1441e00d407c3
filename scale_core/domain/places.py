"""Where executions may run: the nodes, what Mesos offers on them, and the fullest of those that hold something."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from scale_core.domain.job import Resources

NAMES = {"cpus": "cpus", "mem": "MiB of memory", "disk": "MiB of disk", "gpus": "GPUs"}
FORGIVEN = 0.001  # Mesos counts in thousandths
FEW = 8  # of so many places one changed: it is moved alone; when more did, all are sorted anew

Rank = tuple[float, bool, str, int]


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
    is_probed: bool = False  # errors paused it; one execution may try (domain.node_health)


class Cluster:
    """The nodes that are online. `largest`: the most of each resource that any node has that takes work."""

    def __init__(self, states: Iterable[NodeState] = ()) -> None:
        self.by_node = {state.node_id: state for state in states}
        self.by_agent = {state.agent_id: state for state in self.by_node.values()}
        self.taking = [state for state in self.by_node.values() if not state.refuses]
        self.largest = Resources(
            **{name: max((getattr(state.total, name) for state in self.taking), default=0.0) for name in NAMES}
        )
        self.probed = {state.node_id for state in self.by_node.values() if state.is_probed}


@dataclass(slots=True)
class Place:
    """A node in mid-decision: what is still free there, after our executor's own share where it does not run yet."""

    state: NodeState
    room: Resources
    has_executor: bool

    def rank(self, name: str) -> Rank:
        """Orders places from the fullest to the emptiest by one resource."""
        return getattr(self.room, name), not self.has_executor, self.state.hostname, self.state.node_id


class Places:
    """What is offered on each node, kept from round to round, sorted by what is free of each resource.

    A round costs what changed since the last one, however large the cluster. Entries need not be alike for it to be
    fast: whatever one needs, the fullest place that holds it is found by bisection. `overhead` is what our executor
    itself needs, charged once on each agent that does not run it yet.
    """

    def __init__(self, executor_id: str = "", overhead: Resources | None = None) -> None:
        self.cluster = Cluster()
        self.overhead = overhead or Resources()
        self._executor_id = executor_id
        self._offered: dict[str, tuple[Resources, bool]] = {}  # by agent: all that is offered, whether we run there
        self._places: dict[int, Place] = {}
        self._known: dict[int, NodeState] = {}  # of each place, as the cluster had it then
        self._raised: dict[int, Resources] = {}  # totals of nodes that are offered more than the master said they have
        self._sorted: dict[str, list[Rank]] = {name: [] for name in NAMES}
        self._moved: dict[int, list[Rank]] = {}  # how those ranked that changed since; no ranks: they were not there
        self._used: set[int] = set()

    def set_cluster(self, cluster: Cluster) -> None:
        """The nodes as they are now; offers of agents that are no node yet wait until they are."""
        self.cluster = cluster
        for node_id in [node_id for node_id, state in self._known.items() if cluster.by_node.get(node_id) is not state]:
            self._remove(node_id)
        for agent_id in self._offered:
            state = cluster.by_agent.get(agent_id)
            if state is not None and state.node_id not in self._places:
                self._put(state)

    def set_offers(self, agent_id: str, offers: Sequence[Offer]) -> None:
        """All offers of an agent that are held now; none: nothing can run there."""
        state = self.cluster.by_agent.get(agent_id)
        if not offers:
            self._offered.pop(agent_id, None)
            if state is not None:
                self._remove(state.node_id)
            return
        free = offers[0].resources
        for offer in offers[1:]:
            free = free + offer.resources
        self._offered[agent_id] = free, any(self._executor_id in offer.executor_ids for offer in offers)
        if state is not None:
            self._put(state)

    def begin(self) -> None:
        """Forget what the last round took from offers that were then not used."""
        for node_id in self._used:
            state = self._known.get(node_id)
            if state is not None:
                self._put(state)
        self._used.clear()

    def take(self, place: Place, needs: Resources) -> None:
        """Something will run there; our executor with it."""
        self._moving(place)
        self._used.add(place.state.node_id)
        place.has_executor = True
        place.room = place.room - needs

    def get(self, node_id: int) -> Place | None:
        """The place of a node that is online; a full one where nothing is offered."""
        place = self._places.get(node_id)
        state = self.cluster.by_node.get(node_id)
        if place is None and state is not None:
            place = Place(state, Resources() - self.overhead, has_executor=False)
        return place

    def all_taking(self) -> Iterator[Place]:
        """A place for each node that takes work, offered or not."""
        return (place for state in self.cluster.taking if (place := self.get(state.node_id)) is not None)

    def largest_node(self) -> Resources:
        """The most of each resource that any node has that takes work, free or not."""
        return reduce(_larger, self._raised.values(), self.cluster.largest)

    def largest(self) -> Resources:
        """The most of each resource that is free at any one node that takes work."""
        self._settle()
        return Resources(**{name: (ranks[-1][0] if ranks else 0.0) for name, ranks in self._sorted.items()})

    def free(self) -> dict[str, float]:
        """All that is free, by resource."""
        self._settle()
        return {name: sum(rank[0] for rank in ranks) for name, ranks in self._sorted.items()}

    def from_fullest(self, name: str, least: float) -> Iterator[Place]:
        """The places that take work with at least so much of a resource, the fullest first."""
        self._settle()
        ranks = self._sorted[name]
        for index in range(bisect_left(ranks, (least - FORGIVEN,)), len(ranks)):
            yield self._places[ranks[index][3]]

    def from_emptiest(self, name: str) -> Iterator[Place]:
        """The places that take work, that with most of a resource first."""
        self._settle()
        return (self._places[rank[3]] for rank in reversed(self._sorted[name]))

    def _put(self, state: NodeState) -> None:
        free, has_executor = self._offered[state.agent_id]
        self._remove(state.node_id)
        self._known[state.node_id] = state
        if not state.total.holds(free):
            state = replace(state, total=_larger(state.total, free))
            self._raised[state.node_id] = state.total
        place = Place(state, free if has_executor else free - self.overhead, has_executor)
        self._places[state.node_id] = place
        self._moved.setdefault(state.node_id, [])

    def _remove(self, node_id: int) -> None:
        place = self._places.get(node_id)
        if place is not None:
            self._moving(place)
            del self._places[node_id], self._known[node_id]
            self._raised.pop(node_id, None)

    def _moving(self, place: Place) -> None:
        """To be called before the place changes."""
        if place.state.node_id not in self._moved:
            ranks = [] if place.state.refuses else [place.rank(name) for name in NAMES]
            self._moved[place.state.node_id] = ranks

    def _settle(self) -> None:
        if len(self._moved) * FEW > len(self._places):
            taking = [place for place in self._places.values() if not place.state.refuses]
            self._sorted = {name: sorted(place.rank(name) for place in taking) for name in NAMES}
        else:
            for node_id, before in self._moved.items():
                self._move(self._places.get(node_id), before)
        self._moved.clear()

    def _move(self, place: Place | None, before: Sequence[Rank]) -> None:
        for name, rank in zip(NAMES, before, strict=False):
            ranks = self._sorted[name]
            del ranks[bisect_left(ranks, rank)]
        if place is not None and not place.state.refuses:
            for name in NAMES:
                insort(self._sorted[name], place.rank(name))


def _larger(one: Resources, other: Resources) -> Resources:
    return Resources(*(max(getattr(one, name), getattr(other, name)) for name in NAMES))
