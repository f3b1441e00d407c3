"""What the handler knows of Mesos' agents, and what of it the node table does not say yet.

News of thousands of agents come at once, when the framework subscribes and whenever the master lists them. They are
written a batch at a time, so that no round of the offer handler lasts longer in a large cluster than in a small one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice

from sqlalchemy.orm import Session

from scale_core.domain.places import Cluster, NodeState, Offer
from scale_core.services import node
from scale_core.services.node import LIST_AGE, Agent

BATCH = 250  # agents written in one round
LAST_OFFER_EVERY_S = 10.0


@dataclass(frozen=True)
class _Batch:
    """`registered`: seen through an offer; `listed`: by the master; `unlisted`: online for us, but not for it."""

    lost: Sequence[str] = ()
    registered: Sequence[Agent] = ()
    listed: Sequence[Agent] = ()
    unlisted: Sequence[str] = ()


@dataclass
class Agents:
    """`cluster` is what the node table said when it was last read. Loop times are seconds of the monotonic clock."""

    cluster: Cluster = field(default_factory=Cluster)
    _new: dict[str, Agent] = field(default_factory=dict)  # that are no nodes yet
    _seen: dict[str, Agent] = field(default_factory=dict)  # whose last offer is to be noted
    _listed: dict[str, Agent] = field(default_factory=dict)
    _lost: dict[str, None] = field(default_factory=dict)
    _unlisted: list[str] = field(default_factory=list)
    _said: dict[str, Agent] = field(default_factory=dict)  # what the master listed, as it is written
    _offered_at: dict[str, float] = field(default_factory=dict)
    _noted_at: dict[str, float] = field(default_factory=dict)
    _versions: dict[int, str] = field(default_factory=dict)
    _batch: _Batch = field(default_factory=_Batch)

    def offered(self, offers: Iterable[Offer], now: float) -> None:
        for offer in offers:
            agent_id, is_new = offer.agent_id, offer.agent_id not in self.cluster.by_agent
            self._offered_at[agent_id] = now
            if is_new or now - self._noted_at.get(agent_id, -LAST_OFFER_EVERY_S) >= LAST_OFFER_EVERY_S:
                self._noted_at[agent_id] = now
                news = self._new if is_new else self._seen
                news[agent_id] = Agent(agent_id, offer.hostname, offer.port, offer.attributes, has_offered=True)

    def listed(self, agents: Sequence[Agent], now: float) -> None:
        """All agents, as the master knows them. Who made an offer while the list was on its way is there as well."""
        known = self.cluster.by_agent
        self._listed |= {
            agent.agent_id: agent
            for agent in agents
            if agent.agent_id not in known or self._said.get(agent.agent_id) != agent
        }
        listed = {agent.agent_id for agent in agents}
        before = now - LIST_AGE.total_seconds()
        self._unlisted = [
            agent_id
            for agent_id in known
            if agent_id not in listed and self._offered_at.get(agent_id, before) <= before
        ]

    def lost(self, agent_id: str) -> None:
        self._lost[agent_id] = None
        for known in (self._new, self._seen, self._listed, self._said, self._offered_at, self._noted_at):
            known.pop(agent_id, None)

    @property
    def has_news(self) -> bool:
        return bool(self._lost or self._new or self._seen or self._listed or self._unlisted)

    def write(self, session: Session, now: datetime) -> bool:
        """The next batch; `written` is to be called after the commit. Whether nodes came or went."""
        registered = list(islice(chain(self._new.values(), self._seen.values()), BATCH))
        listed = list(islice(self._listed.values(), BATCH - len(registered)))
        self._batch = batch = _Batch(list(self._lost), registered, listed, self._unlisted[:BATCH])
        node.set_offline(session, batch.lost)
        node.set_unlisted(session, batch.unlisted, now)
        unknown = [agent for agent in listed if agent.agent_id not in self.cluster.by_agent]
        node.register(session, [*unknown, *registered], now)
        node.set_totals(session, listed)
        return bool(batch.lost or batch.unlisted or unknown or self._new)

    def written(self) -> None:
        batch, self._batch = self._batch, _Batch()
        for agent_id in batch.lost:
            self._lost.pop(agent_id, None)
        for agent in batch.registered:
            self._new.pop(agent.agent_id, None)
            self._seen.pop(agent.agent_id, None)
        for agent in batch.listed:
            self._said[agent.agent_id] = self._listed.pop(agent.agent_id, agent)
        for agent_id in batch.unlisted:
            self._said.pop(agent_id, None)
        self._unlisted = self._unlisted[len(batch.unlisted) :]

    def read(self, session: Session, now: datetime) -> bool:
        """Look at the nodes; only what changed is read. Whether anything did."""
        versions = node.versions(session)
        changed = [node_id for node_id, version in versions.items() if self._versions.get(node_id) != version]
        if not changed and len(versions) == len(self._versions):
            return False
        fresh = {state.node_id: state for state in node.states(session, now, changed)}
        states: list[NodeState] = []
        for node_id in versions:
            state = fresh.get(node_id) or self.cluster.by_node.get(node_id)
            if state is not None:
                states.append(state)
        self.cluster = Cluster(states)
        self._versions = {node_id: version for node_id, version in versions.items() if version}
        return True
