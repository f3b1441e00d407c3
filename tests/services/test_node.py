from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.node import Node
from scale_core.domain.job import Resources
from scale_core.errors import Conflict, Invalid, NotFound
from scale_core.services import node
from scale_core.services.node import Agent
from tests.services.rows import NOW, make_node

LATER = NOW + timedelta(minutes=1)


def all_nodes(session: Session) -> list[Node]:
    session.expire_all()
    return list(session.scalars(select(Node).order_by(Node.id)))


def test_an_agent_becomes_a_node_once(session: Session) -> None:
    agent = Agent("S0", "alpha", 5051, {"rack": "7"}, has_offered=True)
    node.register(session, [agent], NOW)
    node.register(session, [agent], LATER)
    (row,) = all_nodes(session)
    assert (row.hostname, row.agent_id, row.attributes) == ("alpha", "S0", {"rack": "7"})
    assert (row.is_online, row.is_active, row.last_offer) == (True, True, LATER)


def test_a_new_agent_id_on_the_same_host_is_the_same_node(session: Session) -> None:
    node.register(session, [Agent("S0", "alpha", 5051)], NOW)
    node.register(session, [Agent("S1", "alpha", 5051)], NOW)
    (row,) = all_nodes(session)
    assert row.agent_id == "S1"


def test_two_agents_on_one_host_are_two_nodes(session: Session) -> None:
    both = [Agent("S0", "alpha", 5051), Agent("S1", "alpha", 5052)]
    node.register(session, both, NOW)
    node.register(session, [Agent("S2", "alpha", 5053)], NOW)
    node.register(session, both, NOW)
    assert {(row.hostname, row.agent_id) for row in all_nodes(session)} == {
        ("alpha", "S0"),
        ("alpha:5052", "S1"),
        ("alpha:5053", "S2"),
    }


def test_what_users_set_survives_offers(session: Session) -> None:
    row = make_node(session, agent_id="S0", hostname="renamed", is_paused=True, pause_reason="disk", is_active=False)
    node.register(session, [Agent("S0", "alpha", 5051)], NOW)
    (after,) = all_nodes(session)
    assert (after.id, after.hostname, after.is_paused, after.is_active) == (row.id, "renamed", True, False)


def test_the_master_says_totals_and_who_is_there(session: Session) -> None:
    make_node(session, agent_id="S0", is_online=False)
    make_node(session, agent_id="S1")
    make_node(session, agent_id="S2", is_paused=True, pause_reason="disk")
    node.set_totals(session, [Agent("S0", "x", 1, total=Resources(8, 100, 10), used=Resources(1))])
    node.set_unlisted(session, ["S1"], NOW)
    online = {row.agent_id: row.is_online for row in all_nodes(session)}
    assert online == {"S0": True, "S1": False, "S2": True}
    first, last = node.states(session)
    assert (first.total, first.refuses) == (Resources(8, 100, 10), "")
    assert last.refuses == "paused (disk)"
    node.set_offline(session, ["S0"])
    assert [state.agent_id for state in node.states(session)] == ["S2"]


def test_an_offer_outweighs_a_list_that_was_made_before_it(session: Session) -> None:
    make_node(session, agent_id="S0", last_offer=NOW)
    make_node(session, agent_id="S1", last_offer=NOW - timedelta(hours=1))
    node.set_unlisted(session, ["S0", "S1"], NOW)
    assert [state.agent_id for state in node.states(session)] == ["S0"]


def test_edit_follows_the_rules_of_pausing(session: Session) -> None:
    row = make_node(session, is_paused=True, is_paused_errors=True, pause_reason="rate too high")
    edited = node.edit(session, row.id, {"is_paused": False}, NOW)
    assert (edited.is_paused, edited.is_paused_errors, edited.pause_reason) == (False, False, None)
    edited = node.edit(session, row.id, {"is_paused": True, "pause_reason": "disk"}, NOW)
    assert (edited.is_paused, edited.pause_reason) == (True, "disk")
    edited = node.edit(session, row.id, {"pause_reason": None}, NOW)
    assert (edited.is_paused, edited.archived) == (True, None)
    assert node.edit(session, row.id, {"is_active": False}, NOW).archived == NOW
    assert node.edit(session, row.id, {"is_active": False}, LATER).archived == NOW
    assert node.edit(session, row.id, {"is_active": True}, LATER).archived is None


@pytest.mark.parametrize(
    "changes",
    [{}, {"slave_id": "x"}, {"port": "5051"}, {"port": 0}, {"port": True}, {"is_paused": "abc"}, {"hostname": ""}],
)
def test_edit_refuses_nonsense(session: Session, changes: dict[str, Any]) -> None:
    row = make_node(session)
    with pytest.raises(Invalid):
        node.edit(session, row.id, changes, NOW)


def test_edit_of_a_missing_node_or_a_taken_name(session: Session) -> None:
    one, other = make_node(session), make_node(session)
    with pytest.raises(NotFound):
        node.edit(session, 10**9, {"is_paused": True}, NOW)
    with pytest.raises(Conflict):
        node.edit(session, one.id, {"hostname": other.hostname}, NOW)


def test_the_scheduler_can_be_paused(session: Session) -> None:
    assert node.set_scheduler_paused(session, True).is_paused
    assert not node.set_scheduler_paused(session, False).is_paused
