"""Who is offered what: free resources of each agent, offers that are out, and fair shares among frameworks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scale_worker.devcluster.framework import Framework, Refusal
from scale_worker.devcluster.resources import Resources

DEFAULT_REFUSE_S = 5.0


@dataclass(frozen=True)
class Offer:
    id: str
    framework_id: str
    agent_id: str
    resources: Resources


class Allocator:
    """The books of all agents. What is free on an agent goes into one offer, to the framework with the least share."""

    def __init__(self, master_id: str, interval_s: float) -> None:
        self.interval_s = interval_s
        self.offers: dict[str, Offer] = {}
        self._master_id = master_id
        self._count = 0
        self._totals: dict[str, Resources] = {}
        self._free: dict[str, Resources] = {}
        self._offerable: dict[str, None] = {}  # agents with enough free for an offer: few of many in a busy cluster
        self._inactive: set[str] = set()

    def add_agent(self, agent_id: str, total: Resources) -> None:
        self._totals[agent_id] = total
        self._set_free(agent_id, total)

    def deactivate(self, agent_id: str) -> None:
        """Offer nothing of an agent that is away."""
        self._inactive.add(agent_id)

    def activate(self, agent_id: str) -> None:
        self._inactive.discard(agent_id)

    def remove_agent(self, agent_id: str) -> None:
        """Forget an agent on which nothing is charged or offered any more."""
        self._inactive.discard(agent_id)
        del self._totals[agent_id], self._free[agent_id]
        self._offerable.pop(agent_id, None)

    def offers_of(self, agent_id: str) -> list[Offer]:
        return [offer for offer in self.offers.values() if offer.agent_id == agent_id]

    def total(self, agent_id: str) -> Resources:
        return self._totals[agent_id]

    def charge(self, agent_id: str, resources: Resources) -> None:
        self._set_free(agent_id, self._free[agent_id] - resources)

    def release(self, agent_id: str, resources: Resources) -> None:
        self._set_free(agent_id, self._free[agent_id] + resources)

    def _set_free(self, agent_id: str, free: Resources) -> None:
        self._free[agent_id] = free
        if free.is_offerable:
            self._offerable[agent_id] = None
        else:
            self._offerable.pop(agent_id, None)

    def allocate(self, frameworks: Iterable[Framework], now: float) -> dict[str, list[Offer]]:
        """Make offers of all that is free and wanted; returned by framework id, one per agent."""
        candidates = [f for f in frameworks if f.wants_offers]
        made: dict[str, list[Offer]] = {}
        if not candidates:
            return made
        for agent_id in [agent_id for agent_id in self._offerable if agent_id not in self._inactive]:
            free = self._free[agent_id]
            if len(candidates) > 1:
                candidates.sort(key=self._share)
            for taker in candidates:
                offered = free.offered_to(taker.role)
                if offered.is_offerable and not taker.refuses(agent_id, offered, now):
                    made.setdefault(taker.id, []).append(self._offer(taker, agent_id, offered))
                    break
        return made

    def _offer(self, framework: Framework, agent_id: str, free: Resources) -> Offer:
        offer = Offer(f"{self._master_id}-O{self._count}", framework.id, agent_id, free)
        self._count += 1
        self.offers[offer.id] = offer
        self._set_free(agent_id, Resources() if free is self._free[agent_id] else self._free[agent_id] - free)
        return offer

    def _share(self, framework: Framework) -> float:
        held = framework.used()
        for offer in self.offers_to(framework.id):
            held += offer.resources
        total = Resources()
        for agent_total in self._totals.values():
            total += agent_total
        return held.share_of(total)

    def offers_to(self, framework_id: str) -> list[Offer]:
        return [offer for offer in self.offers.values() if offer.framework_id == framework_id]

    def take(self, offer_id: str, framework_id: str) -> Offer | None:
        """Use an offer up; None when it is no longer valid. Its resources are the caller's to charge or give back."""
        offer = self.offers.get(offer_id)
        if offer is None or offer.framework_id != framework_id:
            return None
        return self.offers.pop(offer_id)

    def give_back(self, framework: Framework, agent_id: str, rest: Resources, refuse_s: float, now: float) -> None:
        """Resources that the framework did not use are free again, and not for it for `refuse_s` seconds."""
        self.release(agent_id, rest)
        if refuse_s > 0 and not rest.is_empty:
            until = now + max(self.interval_s, refuse_s)
            framework.refusals.setdefault(agent_id, []).append(Refusal(rest, until))

    def drop_offers(self, framework_id: str) -> None:
        """Offers to a framework that went away or came back die silently."""
        for offer in self.offers_to(framework_id):
            del self.offers[offer.id]
            self.release(offer.agent_id, offer.resources)
