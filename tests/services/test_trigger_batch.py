"""Many files that fire rules at once: queued together, each with its own event, job and, if need be, error."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile, Workspace
from scale_core.db.job import Job, JobExecution, JobType
from scale_core.db.queue import Queue
from scale_core.db.trigger import RuleType, TriggerEvent
from scale_core.services import trigger
from tests import factories as make
from tests.conftest import NOW


def rule(store: Workspace, **condition: Any) -> dict[str, Any]:
    data = {"input_data_name": "in", "workspace_name": store.name}
    return {"type": "INGEST", "configuration": {"version": "1.0", "condition": condition, "data": data}}


def sources(session: Session, store: Workspace, count: int, **more: Any) -> list[ScaleFile]:
    return [make.make_source(session, store, **more) for _ in range(count)]


def fire(session: Session, files: list[ScaleFile]) -> int:
    return trigger.fire(session, RuleType.INGEST, files, NOW, NOW)


def started(session: Session, type_: JobType) -> dict[int, Job]:
    """The job of each file."""
    session.expire_all()
    jobs = session.scalars(select(Job).where(Job.job_type_id == type_.id)).all()
    return {job.data["input_data"][0]["file_id"]: job for job in jobs}


@pytest.fixture
def store(session: Session) -> Workspace:
    return make.make_workspace(session)


def test_each_file_has_an_event_and_a_job_of_its_own(session: Session, store: Workspace) -> None:
    type_ = make.make_job_type(session, trigger_rule=rule(store))
    files = sources(session, store, 5)
    ids = [each.id for each in files]
    assert fire(session, files) == 5
    jobs = started(session, type_)
    assert sorted(jobs) == sorted(ids)
    for file_id, job in jobs.items():
        assert job.status == "QUEUED"
        assert (job.event.type, job.event.description["file_id"], job.event.error) == ("INGEST", file_id, None)
        assert job.event.firing == f"INGEST:{job.event.rule_id}:{file_id}"
        assert [each["workspace_id"] for each in job.data["output_data"]] == [store.id]
        (execution,) = session.scalars(select(JobExecution).where(JobExecution.job_id == job.id))
        assert session.get(Queue, execution.id) is not None
    assert len({job.event_id for job in jobs.values()}) == 5


def test_a_file_fires_a_rule_once(session: Session, store: Workspace) -> None:
    type_ = make.make_job_type(session, trigger_rule=rule(store))
    files = sources(session, store, 4)
    assert [fire(session, files[:2]), fire(session, files), fire(session, files), fire(session, files[:1])] == [
        2,
        2,
        0,
        0,
    ]
    assert len(started(session, type_)) == 4


def test_what_cannot_start_leaves_its_own_error_and_the_others_start(session: Session, store: Workspace) -> None:
    inputs = [{"name": "in", "type": "file", "media_types": ["image/png"]}]
    type_ = make.make_job_type(session, interface=make.interface(inputs), trigger_rule=rule(store))
    good, bad = sources(session, store, 3, media_type="image/png"), sources(session, store, 2, media_type="text/plain")
    ids = [each.id for each in good]
    assert fire(session, [*good[:1], *bad, *good[1:]]) == 5
    assert sorted(started(session, type_)) == sorted(ids)
    events = session.scalars(select(TriggerEvent).where(TriggerEvent.type == "INGEST")).all()
    assert len(events) == 5
    failed = [each for each in events if each.error]
    assert {each.description["file_id"] for each in failed} == {each.id for each in bad}
    assert all("this input takes only image/png" in (each.error or "") for each in failed)


@pytest.mark.parametrize("missing", [True, False])
def test_a_workspace_that_is_of_no_use(session: Session, store: Workspace, missing: bool) -> None:
    target = make.make_workspace(session)
    type_ = make.make_job_type(session, trigger_rule=rule(target))
    target.name, target.is_active = ("another name" if missing else target.name), missing
    session.flush()
    assert fire(session, sources(session, store, 3)) == 3
    assert started(session, type_) == {}
    errors = set(session.scalars(select(TriggerEvent.error).where(TriggerEvent.type == "INGEST")))
    assert len(errors) == 1
    assert ("there is no workspace called" if missing else "is archived") in (errors.pop() or "")


def test_each_rule_takes_what_it_wants(session: Session, store: Workspace) -> None:
    one = make.make_job_type(session, trigger_rule=rule(store, data_types=["a"]))
    two = make.make_job_type(session, trigger_rule=rule(store, media_type="text/plain"))
    files = [
        *sources(session, store, 2, data_type=["a", "b"], media_type="image/png"),
        *sources(session, store, 2, data_type=["b"], media_type="text/plain"),
        *sources(session, store, 2, data_type=["a"], media_type="text/plain"),
        *sources(session, store, 2, data_type=[], media_type="image/png"),
    ]
    ids = [each.id for each in files]
    assert fire(session, files) == 8
    assert sorted(started(session, one)) == sorted(ids[:2] + ids[4:6])
    assert sorted(started(session, two)) == sorted(ids[2:6])


def test_the_number_of_statements_does_not_grow_with_the_files(
    session: Session, engine: Engine, store: Workspace
) -> None:
    make.make_job_type(session, trigger_rule=rule(store))
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    counts = []
    for number in (2, 50):
        files = sources(session, store, number)
        session.flush()
        statements.clear()
        assert fire(session, files) == number
        counts.append(len(statements))
    assert counts[0] == counts[1] < 25
