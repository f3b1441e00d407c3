"""The offers that we hold now. Whoever takes one must use it or decline it: Mesos never takes it back by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scale_core.domain.places import Offer, Places


@dataclass(frozen=True)
class _Held:
    offer: Offer
    since: float  # seconds of the monotonic clock


class OfferPool:
    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._by_agent: dict[str, dict[str, Offer]] = {}
        self._changed: set[str] = set()  # agents whose offers are not as they were when somebody last looked

    def __len__(self) -> int:
        return len(self._held)

    def add(self, offers: Iterable[Offer], now: float) -> None:
        for offer in offers:
            self._held[offer.id] = _Held(offer, now)
            self._by_agent.setdefault(offer.agent_id, {})[offer.id] = offer
            self._changed.add(offer.agent_id)

    def show(self, places: Places) -> None:
        """Tell what changed since it was last told."""
        for agent_id in self._changed:
            places.set_offers(agent_id, list(self._by_agent.get(agent_id, {}).values()))
        self._changed.clear()

    def rescind(self, offer_id: str) -> None:
        held = self._held.get(offer_id)
        if held is not None:
            self._take([held.offer])

    def remove_agent(self, agent_id: str) -> None:
        self.take(agent_id)

    def take(self, agent_id: str) -> list[Offer]:
        """All offers of one agent; they are no longer held."""
        return self._take(list(self._by_agent.get(agent_id, {}).values()))

    def take_expired(self, before: float) -> list[Offer]:
        """The offers held since before then; they are no longer held."""
        return self._take([held.offer for held in self._held.values() if held.since <= before])

    def clear(self) -> list[Offer]:
        """All offers; none is held any more."""
        return self._take([held.offer for held in self._held.values()])

    def _take(self, offers: list[Offer]) -> list[Offer]:
        for offer in offers:
            del self._held[offer.id]
            mine = self._by_agent[offer.agent_id]
            del mine[offer.id]
            if not mine:
                del self._by_agent[offer.agent_id]
            self._changed.add(offer.agent_id)
        return offers
