"""Sizes of workspaces, and what an archived one refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.file import Workspace
from scale_core.db.ingest import Ingest
from scale_core.db.job import Job, JobExecution
from scale_core.db.trigger import RuleType, TriggerEvent
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import JobStatus, Resources
from scale_core.domain.scheduling import Launch
from scale_core.errors import Conflict, Invalid
from scale_core.services import arrival, execution, ingest, queue, scheduling, strike, trigger, workspace
from tests import factories
from tests.conftest import NOW


def sizes(session: Session, store: Workspace) -> tuple[int | None, int | None]:
    session.expire_all()
    return store.used_size, store.total_size


def test_used_size_is_what_is_catalogued_and_not_deleted(session: Session) -> None:
    full, empty = factories.make_workspace(session), factories.make_workspace(session)
    factories.make_source(session, full, file_size=10)
    factories.make_source(session, full, file_size=2**40)
    factories.make_source(session, full, file_size=5, is_deleted=True, deleted=NOW)
    workspace.record_sizes(session, {})
    assert sizes(session, full) == (10 + 2**40, None)
    assert sizes(session, empty) == (0, None)


def test_total_size_is_measured_or_configured_or_unknown(session: Session) -> None:
    remote = {"type": "ftp", "host": "ftp.example.org"}
    stores = [factories.make_workspace(session) for _ in range(3)]
    for store, more in ((stores[1], {}), (stores[2], {"total_size": 77})):
        document = {"version": "1.0", "broker": {**remote, **more}}
        workspace.edit(session, store.id, {"json_config": document}, NOW)
    workspace.record_sizes(session, {stores[0].id: 100})
    assert [sizes(session, store) for store in stores] == [(0, 100), (0, None), (0, 77)]
    workspace.record_sizes(session, {})
    assert sizes(session, stores[0]) == (0, 100), "a mount that could not be measured keeps its size"


def test_measuring_is_no_edit(session: Session) -> None:
    store = factories.make_workspace(session)
    before = NOW - timedelta(days=3)
    store.last_modified = before
    session.flush()
    workspace.record_sizes(session, {store.id: 100})
    assert sizes(session, store) == (0, 100)
    assert store.last_modified == before


@pytest.fixture
def archived(session: Session) -> Workspace:
    return workspace.edit(session, factories.make_workspace(session).id, {"is_active": False}, NOW)


def archive(session: Session, store: Workspace, is_active: bool = False) -> None:
    workspace.edit(session, store.id, {"is_active": is_active}, NOW)


def rule_for(store: Workspace) -> dict[str, Any]:
    data = {"input_data_name": "in", "workspace_name": store.name}
    return {"type": "INGEST", "configuration": {"version": "1.0", "data": data}}


def refusals_of(session: Session, store: Workspace) -> dict[str, Callable[[], object]]:
    """Everything that a person may try with an archived workspace, by what must be refused."""
    active = factories.make_workspace(session)
    type_ = factories.make_job_type(session)
    source = factories.make_source(session, active)
    no_op = factories.make_no_op_type(session)
    fed = factories.place("a", type_, recipe_inputs=[{"recipe_input": "in", "job_input": "in"}])
    recipe_type = factories.make_recipe_type(
        session, factories.definition(fed, inputs=[{"name": "in", "type": "file"}])
    )
    strike_ = factories.make_strike(session, active)
    other = {"configuration": factories.strike_configuration(store)}
    recipe_data = {"input_data": [{"name": "in", "file_id": source.id}], "workspace_id": store.id}
    return {
        "configuration.files_to_ingest[0].workspace_name": lambda: factories.make_strike(session, store),
        "configuration.files_to_ingest[0].workspace_name ": lambda: strike.edit(session, strike_.id, other, NOW),
        "workspace_name": lambda: factories.make_job_type(session, trigger_rule=rule_for(store)),
        "workspace_name ": lambda: factories.make_recipe_type(
            session,
            factories.definition(factories.place("b", no_op), inputs=[{"name": "in", "type": "file"}]),
            trigger_rule=rule_for(store),
        ),
        "output_data": lambda: queue.queue_new_job(session, type_.id, factories.job_data(source, store), NOW),
        "workspace_id": lambda: queue.queue_new_recipe(session, recipe_type.id, recipe_data, NOW),
    }


def test_an_archived_workspace_refuses_what_would_write_there(session: Session, archived: Workspace) -> None:
    for field, act in refusals_of(session, archived).items():
        with pytest.raises(Invalid, match="archived") as caught, session.begin_nested():
            act()
        assert any(field.strip() in problem.path for problem in caught.value.problems), (field, str(caught.value))


def test_a_rule_whose_workspace_was_archived_starts_nothing(session: Session) -> None:
    store, feed = factories.make_workspace(session), factories.make_workspace(session)
    type_ = factories.make_job_type(session, trigger_rule=rule_for(store))
    archive(session, store)
    source = factories.make_source(session, feed)
    assert trigger.fire(session, RuleType.INGEST, [source], NOW, NOW) == 1
    event = session.scalars(select(TriggerEvent).where(TriggerEvent.type == "INGEST")).one()
    assert f"workspace {store.id} is archived" in (event.error or "")
    assert session.scalars(select(Job).where(Job.job_type_id == type_.id)).all() == []


def launch(session: Session) -> scheduling.Started:
    """All that waits, on one node."""
    node = factories.make_node(session)
    entries = scheduling.claim(session, 100, Resources(8, 8000, 8000))
    return scheduling.start(session, [Launch(entry, node.id, node.agent_id) for entry in entries], NOW)


def test_a_job_that_waited_while_its_workspace_was_archived_fails_before_it_starts(session: Session) -> None:
    store, feed = factories.make_workspace(session), factories.make_workspace(session)
    type_ = factories.make_job_type(session)
    job = queue.queue_new_job(session, type_.id, factories.job_data(factories.make_source(session, feed), store), NOW)
    archive(session, store)
    started = launch(session)
    assert (len(started.specs), len(started.broken)) == (0, 1)
    execution.finish(session, started.broken, NOW)
    session.expire_all()
    assert job.status is JobStatus.FAILED
    assert job.error.name == "invalid-job-data"
    message = f"output out: the workspace {store.name!r} is archived and takes no new files"
    assert message in (session.scalars(select(JobExecution.message)).one() or "")

    archive(session, store, is_active=True)
    queue.requeue(session, [job.id], None, NOW)
    assert len(launch(session).specs) == 1, "and runs when it is active again"


def test_files_in_an_archived_workspace_can_still_be_read(session: Session) -> None:
    store, feed = factories.make_workspace(session), factories.make_workspace(session)
    source = factories.make_source(session, feed)
    archive(session, feed)
    queue.queue_new_job(session, factories.make_job_type(session).id, factories.job_data(source, store), NOW)
    (spec,) = launch(session).specs
    assert spec.inputs[0].files[0].workspace_id == feed.id


def test_ingests_into_an_archived_workspace_end_as_errored_and_can_be_tried_again(session: Session) -> None:
    """A file that is seen when it is archived already, and one that waited meanwhile."""
    store = factories.make_workspace(session)
    strike_ = factories.make_strike(session, store)

    def look(name: str) -> Ingest:
        listing = [arrival.Listed(name, 10, NOW - timedelta(seconds=9), NOW - timedelta(seconds=9))]
        arrival.record_listing(session, strike_.id, strike_.configuration, listing, frozenset(), NOW)
        return session.scalars(select(Ingest).where(Ingest.file_name == name)).one()

    waited = look("a.txt")
    archive(session, store)
    execution.finish(session, launch(session).broken, NOW)
    seen = look("b.txt")
    session.expire_all()
    for ingest_, reason in (
        (waited, f"a.txt: the workspace {store.name!r} is archived and takes no new files"),
        (seen, f"the workspace {store.name!r} is archived"),
    ):
        assert (ingest_.status, ingest_.reason) == (IngestStatus.ERRORED, reason)
        with pytest.raises(Conflict, match="archived"), session.begin_nested():
            ingest.retry(session, ingest_.id, NOW)
    archive(session, store, is_active=True)
    for ingest_ in (waited, seen):
        assert ingest.retry(session, ingest_.id, NOW).status is IngestStatus.QUEUED
    assert len(launch(session).specs) == 2
