"""The offers that we hold now. Whoever takes one must use it or decline it: Mesos never takes it back by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scale_core.domain.scheduling import Offer


@dataclass(frozen=True)
class _Held:
    offer: Offer
    since: float  # seconds of the monotonic clock


class OfferPool:
    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def offers(self) -> list[Offer]:
        return [held.offer for held in self._held.values()]

    def add(self, offers: Iterable[Offer], now: float) -> None:
        for offer in offers:
            self._held[offer.id] = _Held(offer, now)

    def rescind(self, offer_id: str) -> None:
        self._held.pop(offer_id, None)

    def remove_agent(self, agent_id: str) -> None:
        self.take(agent_id)

    def take(self, agent_id: str) -> list[Offer]:
        """All offers of one agent; they are no longer held."""
        return self._take(held for held in self._held.values() if held.offer.agent_id == agent_id)

    def take_expired(self, before: float) -> list[Offer]:
        """The offers held since before then; they are no longer held."""
        return self._take(held for held in self._held.values() if held.since <= before)

    def clear(self) -> list[Offer]:
        """All offers; none is held any more."""
        return self._take(self._held.values())

    def _take(self, chosen: Iterable[_Held]) -> list[Offer]:
        offers = [held.offer for held in chosen]
        for offer in offers:
            del self._held[offer.id]
        return offers
