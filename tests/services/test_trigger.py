"""Files meet rules: which fire, what they queue, and what becomes of rules that cannot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile, Workspace
from scale_core.db.job import Job, JobType
from scale_core.db.recipe import Recipe, RecipeType
from scale_core.db.trigger import RuleType, TriggerEvent, TriggerRule
from scale_core.domain.job import JobStatus
from scale_core.services import trigger
from tests import factories
from tests.conftest import NOW


@pytest.fixture
def store(session: Session) -> Workspace:
    return factories.make_workspace(session)


def rule(store: Workspace, type_: str = "INGEST", name: str = "in", **condition: Any) -> dict[str, Any]:
    data = {"input_data_name": name, "workspace_name": store.name}
    return {"type": type_, "configuration": {"version": "1.0", "condition": condition, "data": data}}


def make_type(session: Session, store: Workspace, **condition: Any) -> JobType:
    return factories.make_job_type(session, trigger_rule=rule(store, **condition))


def make_recipe_type(session: Session, store: Workspace, **condition: Any) -> RecipeType:
    inner = factories.make_job_type(session)
    place = factories.place("a", inner, recipe_inputs=[{"recipe_input": "image", "job_input": "in"}])
    document = factories.definition(place, inputs=[{"name": "image", "type": "file"}])
    return factories.make_recipe_type(session, document, trigger_rule=rule(store, name="image", **condition))


def fire(session: Session, *files: ScaleFile, type_: RuleType = RuleType.INGEST) -> int:
    return trigger.fire(session, type_, files, NOW - timedelta(minutes=1), NOW)


def events(session: Session, owner: JobType | RecipeType) -> list[TriggerEvent]:
    session.expire_all()
    query = select(TriggerEvent).where(TriggerEvent.rule_id == owner.trigger_rule_id)
    return list(session.scalars(query.order_by(TriggerEvent.id)))


def jobs(session: Session, type_: JobType) -> list[Job]:
    return list(session.scalars(select(Job).where(Job.job_type_id == type_.id).order_by(Job.id)))


@pytest.mark.parametrize("type_", [RuleType.INGEST, RuleType.PARSE])
@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ({}, True),
        ({"media_type": ""}, True),
        ({"media_type": "image/png"}, True),
        ({"media_type": "image/tiff"}, False),
        ({"data_types": ["a"]}, True),
        ({"data_types": ["b", "a"]}, True),
        ({"data_types": ["a", "c"]}, False),
        ({"media_type": "image/png", "data_types": ["a"]}, True),
        ({"media_type": "image/tiff", "data_types": ["a"]}, False),
        ({"media_type": "image/png", "data_types": []}, True),
    ],
)
def test_both_conditions_must_hold_and_every_tag_must_be_there(
    session: Session, store: Workspace, type_: RuleType, condition: dict[str, Any], matches: bool
) -> None:
    owner = make_type(session, store, type_=type_.value, **condition)
    file = factories.make_source(session, store, media_type="image/png", data_type=["a", "b"])
    other = RuleType.PARSE if type_ is RuleType.INGEST else RuleType.INGEST
    assert fire(session, file, type_=other) == 0
    assert fire(session, file, type_=type_) == matches
    assert len(jobs(session, owner)) == matches


def test_every_match_of_every_file_makes_one_event_with_its_job_or_recipe(session: Session, store: Workspace) -> None:
    first, second = make_type(session, store), make_type(session, store, data_types=["a"])
    graph = make_recipe_type(session, store)
    plain = factories.make_source(session, store)
    tagged = factories.make_source(session, store, data_type=["a"])
    assert fire(session, plain, tagged) == 5
    for owner, files in ((first, [plain, tagged]), (second, [tagged]), (graph, [plain, tagged])):
        found = events(session, owner)
        assert [each.description["file_id"] for each in found] == [file.id for file in files]
        assert {(each.type, each.occurred, each.error) for each in found} == {
            ("INGEST", NOW - timedelta(minutes=1), None)
        }
    assert [job.event_id for job in jobs(session, first)] == [each.id for each in events(session, first)]
    assert [job.data["output_data"] for job in jobs(session, second)] == [[{"name": "out", "workspace_id": store.id}]]
    recipes = session.scalars(select(Recipe).where(Recipe.recipe_type_id == graph.id).order_by(Recipe.id)).all()
    assert [each.event_id for each in recipes] == [each.id for each in events(session, graph)]
    assert recipes[0].data["workspace_id"] == store.id


def test_a_repeated_finish_fires_nothing_twice(session: Session, store: Workspace) -> None:
    owner, graph = make_type(session, store), make_recipe_type(session, store)
    file = factories.make_source(session, store)
    assert [fire(session, file, file), fire(session, file)] == [2, 0]
    assert (len(jobs(session, owner)), len(events(session, owner)), len(events(session, graph))) == (1, 1, 1)


def test_a_paused_type_is_queued_and_an_archived_one_is_not(session: Session, store: Workspace) -> None:
    paused, archived, off = (make_type(session, store) for _ in range(3))
    graph = make_recipe_type(session, store)
    paused.is_paused = True
    archived.is_active = graph.is_active = False
    session.get_one(TriggerRule, off.trigger_rule_id).is_active = False
    session.flush()
    assert fire(session, factories.make_source(session, store)) == 1
    assert [job.status for job in jobs(session, paused)] == [JobStatus.QUEUED]
    for owner in (archived, off, graph):
        assert events(session, owner) == []


def test_a_rule_that_can_start_nothing_says_why_and_holds_up_no_other(session: Session, store: Workspace) -> None:
    away = factories.make_workspace(session)
    no_place, gone, broken, nested = (
        make_type(session, away),
        make_type(session, away),
        make_type(session, store),
        make_recipe_type(session, store),
    )
    for owner, configuration in (
        (gone, rule(store)["configuration"] | {"data": {"input_data_name": "in", "workspace_name": "nowhere"}}),
        (broken, {"version": "9.9", "data": {}}),
    ):
        session.get_one(TriggerRule, owner.trigger_rule_id).configuration = configuration
    inner = nested.definition["jobs"][0]["job_type"]["name"]
    session.execute(update(JobType).where(JobType.name == inner).values(is_active=False))
    away.is_active = False
    session.flush()
    good = make_type(session, store)
    file = factories.make_source(session, store)
    assert fire(session, file) == 5
    assert len(jobs(session, good)) == 1
    reasons = {
        no_place: "is archived",
        gone: "there is no workspace called 'nowhere'",
        broken: "version",
        nested: "is archived",
    }
    for owner, reason in reasons.items():
        (found,) = events(session, owner)
        assert reason in (found.error or "")
        assert found.description["file_id"] == file.id
    assert all(not jobs(session, owner) for owner in (no_place, gone, broken))
    assert fire(session, file) == 0
