from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scale_core.domain.job import Resources
from scale_core.domain.places import NAMES, Cluster, NodeState, Offer, Places
from tests.domain.matching import places_of

AGENTS = [f"S{number}" for number in range(12)]
OVERHEAD = Resources(0.1, 64)

AMOUNTS = st.builds(Resources, st.sampled_from([0, 0.05, 1, 2, 4]), st.sampled_from([0, 50, 512, 4096]), st.just(10.0))
OFFERS = st.lists(st.tuples(AMOUNTS, st.booleans()), max_size=3)
STATES = st.tuples(st.sampled_from(["", "", "", "paused"]), AMOUNTS, st.integers(0, 1))
CHANGES = st.one_of(
    st.tuples(st.just("offers"), st.sampled_from(AGENTS), OFFERS),
    st.tuples(st.just("cluster"), st.dictionaries(st.sampled_from(AGENTS), STATES)),
    st.tuples(st.just("round"), st.lists(AMOUNTS, max_size=5)),
)


def offers_of(agent: str, has: list[tuple[Resources, bool]]) -> list[Offer]:
    return [
        Offer(f"{agent}-{number}", agent, agent, 5051, resources, frozenset(["ours"] if runs else []))
        for number, (resources, runs) in enumerate(has)
    ]


def shown(places: Places) -> dict[str, list[tuple[int, Resources]]]:
    return {
        name: [(place.state.node_id, place.room) for place in places.from_fullest(name, -(10**6))] for name in NAMES
    }


@given(st.lists(CHANGES, max_size=30))
def test_places_that_are_kept_are_as_if_they_were_made_anew(changes: list[tuple[str, ...]]) -> None:
    kept, offered, states = Places("ours", OVERHEAD), dict[str, list[Offer]](), list[NodeState]()
    for what, *values in changes:
        if what == "offers":
            agent, has = values
            offered[agent] = offers_of(agent, has)
            kept.set_offers(agent, offered[agent])
        elif what == "cluster":
            # a node may come back under another agent id
            states = [
                NodeState(100 + AGENTS.index(agent) // 2 * 2 + other, agent, agent, total, refuses)
                for agent, (refuses, total, other) in values[0].items()
            ]
            kept.set_cluster(Cluster(states))
        else:
            kept.begin()
            for needs in values[0]:
                place = next(iter(kept.from_fullest("cpus", needs.cpus)), None)
                if place is not None:
                    kept.take(place, needs)
    kept.begin()
    anew = places_of(
        (offer for mine in offered.values() for offer in mine), Cluster(states).by_node.values(), "ours", OVERHEAD
    )
    assert shown(kept) == shown(anew)
    assert kept.largest() == anew.largest()
    assert kept.largest_node() == anew.largest_node()
