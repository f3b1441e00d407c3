"""Matching of one page of the queue at once, where tests need no more: production goes on from page to page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from scale_core.domain.job import Resources
from scale_core.domain.places import Cluster, NodeState, Offer, Places
from scale_core.domain.scheduling import JobTypeLimits, Matcher, Matching, QueueEntry


def places_of(
    offers: Iterable[Offer], nodes: Iterable[NodeState], executor_id: str = "", overhead: Resources | None = None
) -> Places:
    """All offers at once."""
    places, by_agent = Places(executor_id, overhead), defaultdict[str, list[Offer]](list)
    for offer in offers:
        by_agent[offer.agent_id].append(offer)
    for agent_id, mine in by_agent.items():
        places.set_offers(agent_id, mine)
    places.set_cluster(Cluster(nodes))
    return places


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
    places = places_of(offers, nodes, executor_id, overhead)
    matcher = Matcher(places, limits, now=now, reserve_after=reserve_after, reservations=reservations)
    matcher.add(entries)
    return matcher.result()
