"""What a job found out about its source inputs, on real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile
from scale_core.db.job import Job, JobExecution
from scale_core.domain.job import JobStatus
from scale_core.services import execution, parse, queue
from scale_core.timestamps import parse_datetime
from tests import factories as make
from tests.conftest import NOW

POINT = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [7, 8, 9]}, "properties": {"sensor": "x"}}
GEO = {"data_started": "2026-01-01T00:00:00Z", "data_ended": "2026-01-02T00:00:00Z", "geo_json": POINT}


def parsed_by(session: Session, source: ScaleFile, **result: Any) -> tuple[Job, execution.Finished]:
    """Run a job on the source whose manifest has this parse result."""
    store = make.make_workspace(session)
    type_ = make.make_job_type(session, interface=make.interface(outputs=()))
    data = {"version": "1.0", "input_data": [{"name": "in", "file_id": source.id}]}
    job = queue.queue_new_job(session, type_.id, data, NOW)
    given = {"filename": source.file_name, "data_types": [], "geo_metadata": None, "new_workspace_path": None, **result}
    ended = make.end(session, make.run(session, job), parse_results=(given,))
    finished = execution.finish(session, [ended.id], NOW)
    session.expire_all()
    assert store.is_active
    return job, finished


def rule_for(session: Session) -> int:
    """A job type that every parsed file starts; returns its id."""
    store = make.make_workspace(session)
    configuration = {"version": "1.0", "data": {"input_data_name": "in", "workspace_name": store.name}}
    return make.make_job_type(session, trigger_rule={"type": "PARSE", "configuration": configuration}).id


def started(session: Session, type_id: int) -> int:
    return session.scalar(select(func.count()).select_from(Job).where(Job.job_type_id == type_id)) or 0


@pytest.fixture
def source(session: Session) -> ScaleFile:
    return make.make_source(session, make.make_workspace(session), data_type=["raw"], meta_data={"kept": True})


def test_times_tags_footprint_and_properties_are_recorded_and_rules_fire(session: Session, source: ScaleFile) -> None:
    type_id = rule_for(session)
    job, _ = parsed_by(session, source, data_types=["fine"], geo_metadata=GEO)
    assert job.status is JobStatus.COMPLETED
    assert (source.is_parsed, source.parsed) == (True, NOW)
    assert source.data_started == parse_datetime(GEO["data_started"])
    assert source.data_type == ["fine", "raw"]
    assert source.meta_data == {"kept": True, "sensor": "x"}
    assert session.scalar(select(func.ST_AsText(source.geometry))) == "POINT(7 8)"
    assert started(session, type_id) == 1


def test_an_absent_time_does_not_wipe_out_what_is_known(session: Session, source: ScaleFile) -> None:
    parsed_by(session, source, geo_metadata=GEO)
    parsed_by(session, source)
    assert source.data_started == parse_datetime(GEO["data_started"])


def test_results_for_other_files_are_ignored(session: Session, source: ScaleFile) -> None:
    job, _ = parsed_by(session, source, filename="somebody.else")
    assert job.status is JobStatus.COMPLETED
    assert not source.is_parsed


def test_a_file_that_shall_move_fires_its_rules_once_it_lies_there(session: Session, source: ScaleFile) -> None:
    type_id = rule_for(session)
    old = source.file_path
    _, finished = parsed_by(session, source, new_workspace_path="/sorted/by/sensor")
    assert finished.moving == (source.id,)
    assert (source.file_path, source.moving_to) == (old, f"sorted/by/sensor/{source.file_name}")
    assert started(session, type_id) == 0
    assert parse.overdue_moves(session, 30.0, 10, NOW) == []
    assert parse.overdue_moves(session, 30.0, 10, NOW + timedelta(minutes=1)) == [source.id]

    (move,) = parse.moves(session, [source.id])
    for _ in range(2):
        parse.moved(session, move, NOW)
    session.expire_all()
    assert (source.file_path, source.moving_to) == (f"sorted/by/sensor/{source.file_name}", None)
    assert started(session, type_id) == 1
    assert parse.moves(session, [source.id]) == []


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"new_workspace_path": "../elsewhere"}, "new_workspace_path: must stay inside the workspace"),
        ({"geo_metadata": {"geo_json": {"type": "Point"}}}, "geo_json.coordinates: is not a GeoJSON geometry"),
        ({"geo_metadata": {"data_started": "yesterday"}}, "data_started: 'yesterday' is not an ISO 8601 time"),
    ],
)
def test_what_cannot_be_used_fails_the_execution_by_name(
    session: Session, source: ScaleFile, result: dict, message: str
) -> None:
    job, _ = parsed_by(session, source, **result)
    ended = session.scalars(select(JobExecution).where(JobExecution.job_id == job.id)).one()
    assert job.status is JobStatus.FAILED
    assert message in ended.message
    assert not source.is_parsed
