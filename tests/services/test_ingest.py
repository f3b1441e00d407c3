"""Strike: listings become ingests, ingests become sources, sources fire rules. Real PostgreSQL, no directory."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile
from scale_core.db.ingest import Ingest, Strike
from scale_core.db.job import Job, JobExecution
from scale_core.db.queue import Queue
from scale_core.db.trigger import TriggerEvent
from scale_core.domain.execution import IngestOutcome
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import JobStatus
from scale_core.errors import Conflict, Invalid
from scale_core.services import arrival, execution, execution_spec, ingest, queue
from scale_core.services import strike as strikes
from scale_core.services.arrival import Listed, ScanResult
from tests import factories as make
from tests.conftest import NOW

CHECKSUM = "c" * 64


def listed(name: str, size: int = 10, age_s: float = 5.0) -> Listed:
    when = NOW - timedelta(seconds=age_s)
    return Listed(name, size, when, when)


def look(session: Session, strike: Strike, *listing: Listed, vanished: frozenset[str] = frozenset()) -> ScanResult:
    return arrival.record_listing(session, strike.id, strike.configuration, listing, vanished, NOW)


def ingests(session: Session, strike: Strike) -> list[tuple[str, IngestStatus]]:
    session.expire_all()
    rows = session.scalars(select(Ingest).where(Ingest.strike_id == strike.id).order_by(Ingest.id))
    return [(each.file_name, each.status) for each in rows]


def only(session: Session, strike: Strike) -> Ingest:
    session.expire_all()
    return session.scalars(select(Ingest).where(Ingest.strike_id == strike.id).order_by(Ingest.id.desc())).first()


def finish(session: Session, row: Ingest, **outcome: object) -> None:
    """Run the ingest's job to its end with this outcome of the one file."""
    job = session.get_one(Job, row.job_id)
    given = {"ingest_id": row.id, "result": "stored", "file_size": 10, "checksum": CHECKSUM, **outcome}
    ended = make.end(session, make.run(session, job), ingests=(IngestOutcome(**given),))
    execution.finish(session, [ended.id], NOW)
    session.expire_all()


@pytest.fixture
def strike(session: Session) -> Strike:
    return make.make_strike(session, make.make_workspace(session))


def test_a_strike_has_a_job_that_waits_for_no_node(session: Session, strike: Strike) -> None:
    job = session.get_one(Job, strike.job_id)
    assert job.status is JobStatus.QUEUED
    assert session.scalars(select(Queue).where(Queue.job_id == job.id)).all() == []
    assert [each.id for each in strikes.active(session, NOW)] == [strike.id]
    session.expire_all()
    assert (job.status, job.job_exes[0].status, job.started) == (JobStatus.RUNNING, "RUNNING", NOW)
    queue.cancel(session, job.id, NOW)
    assert strikes.active(session, NOW) == []
    queue.requeue(session, [job.id], None, NOW)
    assert [each.id for each in strikes.active(session, NOW)] == [strike.id]


def test_a_file_grows_and_is_queued_when_its_suffix_goes(session: Session, strike: Strike) -> None:
    look(session, strike, listed("stamp_tmp", 5))
    look(session, strike, listed("stamp_tmp", 7))
    assert ingests(session, strike) == [("stamp", IngestStatus.TRANSFERRING)]
    assert only(session, strike).bytes_transferred == 7

    assert look(session, strike, listed("stamp", 9)).queued == 1
    row = only(session, strike)
    assert (row.status, row.file_size, row.file_path) == (IngestStatus.QUEUED, 9, "raw/2026/05/04/stamp")
    assert row.transfer_path == "/incoming/stamp"
    assert row.ingest_path == f"/incoming/ingesting/{row.id}/stamp"
    assert look(session, strike, listed("stamp", 9)).queued == 0
    assert len(ingests(session, strike)) == 1


def test_rules_are_tried_in_order_and_the_rest_is_deferred(session: Session) -> None:
    store = make.make_workspace(session)
    strike = make.make_strike(session, store, filename_regex=r".*\.png", data_types=["picture"])
    result = look(session, strike, listed("a.png"), listed("b.txt"))
    assert (result.queued, result.deferred) == (1, ("b.txt",))
    assert dict(ingests(session, strike)) == {"a.png": IngestStatus.QUEUED, "b.txt": IngestStatus.DEFERRED}
    again = look(session, strike, listed("b.txt"))
    assert again.deferred == ("b.txt",)
    assert len(ingests(session, strike)) == 2


def test_a_file_that_vanishes_in_transfer_is_errored(session: Session, strike: Strike) -> None:
    look(session, strike, listed("a_tmp"))
    look(session, strike, vanished=frozenset({"a"}))
    row = only(session, strike)
    assert (row.status, row.reason) == (IngestStatus.ERRORED, "the file vanished while it was being transferred")


def test_an_ingested_file_is_catalogued_and_fires_its_rules_once(session: Session) -> None:
    store = make.make_workspace(session)
    rule = {
        "type": "INGEST",
        "configuration": {
            "version": "1.0",
            "condition": {"media_type": "image/png", "data_types": ["picture"]},
            "data": {"input_data_name": "in", "workspace_name": store.name},
        },
    }
    type_ = make.make_job_type(session, trigger_rule=rule)
    strike = make.make_strike(session, store, data_types=["picture", "other"])
    look(session, strike, listed("a.png"))
    row = only(session, strike)

    finish(session, row, media_type="image/png")

    assert row.status is IngestStatus.INGESTED
    source = row.source_file
    assert source is not None
    assert (source.checksum, source.file_path, sorted(source.data_type)) == (
        CHECKSUM,
        row.file_path,
        ["other", "picture"],
    )
    started = session.scalars(select(Job).where(Job.job_type_id == type_.id)).one()
    assert started.data["input_data"] == [{"name": "in", "file_id": source.id}]
    assert started.event.description["file_id"] == source.id
    assert ingest.trigger.fire(session, "INGEST", [source], NOW, NOW) == 0
    assert len(session.scalars(select(Job).where(Job.job_type_id == type_.id)).all()) == 1


def test_a_rule_that_can_start_nothing_says_so_and_the_file_stays_ingested(session: Session) -> None:
    store = make.make_workspace(session)
    rule = {
        "type": "INGEST",
        "configuration": {"version": "1.0", "data": {"input_data_name": "in", "workspace_name": store.name}},
    }
    inputs = [{"name": "in", "type": "file", "media_types": ["image/png"]}]
    make.make_job_type(session, interface=make.interface(inputs), trigger_rule=rule)
    strike = make.make_strike(session, store)
    look(session, strike, listed("a.txt"))
    finish(session, only(session, strike), media_type="text/plain")
    assert only(session, strike).status is IngestStatus.INGESTED
    event = session.scalars(select(TriggerEvent).where(TriggerEvent.type == "INGEST")).one()
    assert "this input takes only image/png" in (event.error or "")


def test_the_same_name_and_content_is_a_duplicate_and_other_content_is_not(session: Session, strike: Strike) -> None:
    for checksum in (CHECKSUM, CHECKSUM, "d" * 64):
        look(session, strike, listed("a.txt"))
        finish(session, only(session, strike), checksum=checksum)
    statuses = [status for _, status in ingests(session, strike)]
    assert statuses == [IngestStatus.INGESTED, IngestStatus.DUPLICATE, IngestStatus.INGESTED]
    paths = set(session.scalars(select(ScaleFile.file_path)))
    assert len(paths) == 2, "a second file of the same name and day must not take the first one's place"


def test_a_failed_ingest_says_why_and_can_be_tried_again(session: Session, strike: Strike) -> None:
    look(session, strike, listed("a.txt"))
    row = only(session, strike)
    job = session.get_one(Job, row.job_id)
    for _ in range(3):
        ended = make.end(session, make.run(session, job), succeeded=False, error="filesystem-io", message="disk full")
        execution.finish(session, [ended.id], NOW)
        session.expire_all()
    assert (job.status, row.status, row.reason) == (JobStatus.FAILED, IngestStatus.ERRORED, "disk full")
    assert look(session, strike, listed("a.txt")).queued == 0, "the same file is not taken for a new one"
    queue.requeue(session, [job.id], None, NOW)
    finish(session, row)
    assert row.status is IngestStatus.INGESTED


def test_small_files_of_one_scan_share_a_job_and_each_has_its_own_end(session: Session, strike: Strike) -> None:
    assert look(session, strike, *(listed(f"{n}.txt", age_s=n) for n in (1, 2, 3)), listed("big", 2**30)).queued == 2
    small = session.scalars(select(Ingest).where(Ingest.file_name.like("%.txt")).order_by(Ingest.file_name)).all()
    (job_id,) = {row.job_id for row in small}
    ids = [row.id for row in small]
    for attempt in range(3):
        outcomes = [IngestOutcome(ids[0], "error", error="unreadable")]
        if attempt == 0:
            outcomes += [IngestOutcome(ids[1], "stored", 10, CHECKSUM), IngestOutcome(ids[2], "error", error="odd")]
        run = make.run(session, session.get_one(Job, job_id))
        make.end(session, run, succeeded=False, error="filesystem-io", message="bad", ingests=tuple(outcomes))
        done = execution.finish(session, [run.id], NOW)
        assert [each.ingest_id for each in done.removable] == (ids[1:2] if attempt == 0 else [])
        session.expire_all()
    assert [row.status for row in small] == [IngestStatus.ERRORED, IngestStatus.INGESTED, IngestStatus.ERRORED]
    assert [row.reason for row in small] == ["unreadable", None, "bad"]


def test_an_errored_ingest_is_tried_again_with_a_job_of_its_own(session: Session, strike: Strike) -> None:
    look(session, strike, listed("a.txt"), listed("b.txt"), listed("c_tmp"))
    first = session.scalars(select(Ingest).where(Ingest.file_name == "a.txt")).one()
    with pytest.raises(Conflict, match="is QUEUED; only an ERRORED one"):
        ingest.retry(session, first.id, NOW)
    old = first.job_id
    queue.cancel(session, old, NOW)
    session.expire_all()
    assert (first.status, first.reason) == (IngestStatus.ERRORED, "its job was canceled")
    ingest.retry(session, first.id, NOW)
    assert (first.status, first.reason) == (IngestStatus.QUEUED, None)
    assert first.job_id != old
    finish(session, first)
    assert first.status is IngestStatus.INGESTED
    assert session.scalars(select(Ingest).where(Ingest.job_id == old)).one().status is IngestStatus.ERRORED


def test_a_retry_places_the_file_by_the_rules_of_now(session: Session) -> None:
    store = make.make_workspace(session)
    strike = make.make_strike(session, store)
    store.is_active = False
    look(session, strike, listed("a.txt"))
    row = only(session, strike)
    assert (row.status, row.workspace_id) == (IngestStatus.ERRORED, None)
    with pytest.raises(Conflict, match="is archived"):
        ingest.retry(session, row.id, NOW)
    store.is_active = True
    ingest.retry(session, row.id, NOW)
    assert (row.status, row.workspace_id, row.file_path) == (IngestStatus.QUEUED, store.id, "raw/2026/05/04/a.txt")


def test_what_a_file_starts_goes_on_with_the_files_trace(session: Session) -> None:
    store = make.make_workspace(session)
    data = {"input_data_name": "in", "workspace_name": store.name}
    make.make_job_type(session, trigger_rule={"type": "INGEST", "configuration": {"version": "1.0", "data": data}})
    strike = make.make_strike(session, store)
    look(session, strike, listed("a.png"), listed("b.png"))
    rows = session.scalars(select(Ingest).where(Ingest.strike_id == strike.id)).all()
    run = make.run(session, session.get_one(Job, rows[0].job_id))
    outcomes = tuple(IngestOutcome(row.id, "stored", 10, f"{row.id:064x}") for row in rows)
    make.end(session, run, ingests=outcomes)
    execution.finish(session, [run.id], NOW)
    events = session.scalars(select(TriggerEvent).where(TriggerEvent.type == "INGEST")).all()
    found = {each.description["file_name"]: each.trace_id for each in events}
    assert found == {row.file_name: row.trace_id for row in rows}
    assert len(set(found.values())) == 2


def test_files_are_taken_from_where_they_were_seen_although_the_strike_watches_another_mount_now(
    session: Session, strike: Strike
) -> None:
    look(session, strike, listed("a.txt"))
    row = only(session, strike)
    changed = {**strike.configuration, "mount": "localhost:/elsewhere"}
    strikes.edit(session, strike.id, {"configuration": changed}, NOW)
    for again in (False, True):
        if again:
            queue.cancel(session, row.job_id, NOW)
            ingest.retry(session, row.id, NOW)
        run = make.run(session, session.get_one(Job, row.job_id))
        (item,) = execution_spec.build(session, [run.id], NOW).specs[0].ingests
        assert item.mount == "localhost:/incoming"
    make.end(session, run, ingests=(IngestOutcome(row.id, "stored", 10, CHECKSUM),))
    (original,) = execution.finish(session, [run.id], NOW).removable
    assert original.mount == "localhost:/incoming"


def test_a_retry_waits_for_another_file_of_its_name(session: Session, strike: Strike) -> None:
    look(session, strike, listed("a.txt"))
    row = only(session, strike)
    queue.cancel(session, row.job_id, NOW)
    look(session, strike, listed("a.txt", size=11))
    with pytest.raises(Conflict, match="is at work on"):
        ingest.retry(session, row.id, NOW)


@pytest.mark.parametrize(
    ("policy", "status", "catalogued"),
    [
        ("set_aside", IngestStatus.DUPLICATE, [False]),
        ("discard", IngestStatus.DUPLICATE, [False]),
        ("keep", IngestStatus.INGESTED, [False, False]),
        ("replace", IngestStatus.INGESTED, [True, False]),
    ],
)
def test_what_becomes_of_duplicates(
    session: Session, policy: str, status: IngestStatus, catalogued: list[bool]
) -> None:
    strike = make.make_strike(session, make.make_workspace(session), duplicates=policy)
    for _ in range(2):
        look(session, strike, listed("a.txt"))
        row = only(session, strike)
        run = make.run(session, session.get_one(Job, row.job_id))
        (item,) = execution_spec.build(session, [run.id], NOW).specs[0].ingests
        make.end(session, run, ingests=(IngestOutcome(row.id, "stored", 10, CHECKSUM),))
        done = execution.finish(session, [run.id], NOW)
        assert [each.ingest_id for each in done.removable] == [row.id]
        session.expire_all()
    assert item.discard_duplicate is (policy == "discard")
    assert item.known_checksums == (() if policy in ("keep", "replace") else (CHECKSUM,))
    assert only(session, strike).status is status
    assert list(session.scalars(select(ScaleFile.is_deleted).order_by(ScaleFile.id))) == catalogued


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mount": "no-colon"}, "configuration.mount: must have the form host:/path"),
        ({"transfer_suffix": ""}, "configuration.transfer_suffix"),
        ({"files_to_ingest": []}, "must contain at least one rule"),
        ({"version": "9"}, "the only valid versions"),
    ],
)
def test_strike_configurations_are_checked_field_by_field(session: Session, change: dict, message: str) -> None:
    configuration = make.strike_configuration(make.make_workspace(session)) | change
    with pytest.raises(Invalid) as caught:
        strikes.create(session, {"name": "s", "configuration": configuration}, NOW)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"filename_regex": "(a"}, "files_to_ingest[0].filename_regex: '(a' is not a regular expression"),
        ({"workspace_name": "nowhere"}, "there is no workspace called 'nowhere'"),
        ({"workspace_path": "../x"}, "must stay inside the workspace"),
        ({"duplicates": "burn"}, "files_to_ingest[0].duplicates: must be one of set_aside, discard, keep, replace"),
        ({"data_types": ["a,b"]}, "a data type consists of"),
    ],
)
def test_strike_rules_are_checked_field_by_field(session: Session, rule: dict, message: str) -> None:
    configuration = make.strike_configuration(make.make_workspace(session), **rule)
    with pytest.raises(Invalid) as caught:
        strikes.create(session, {"name": "s", "configuration": configuration}, NOW)
    assert message in str(caught.value)


def test_a_second_strike_of_the_same_name_is_a_conflict(session: Session) -> None:
    store = make.make_workspace(session)
    first = make.make_strike(session, store)
    with pytest.raises(Conflict, match="already a Strike called"):
        strikes.create(session, {"name": first.name, "configuration": first.configuration}, NOW)


def test_executions_that_nobody_finished_are_found_by_the_sweep(session: Session, strike: Strike) -> None:
    look(session, strike, listed("a.txt"))
    row = only(session, strike)
    ended = make.end(session, make.run(session, session.get_one(Job, row.job_id)))
    assert execution.unfinished(session, 10, 2.0, NOW) == []
    assert execution.unfinished(session, 10, 2.0, NOW + timedelta(seconds=3)) == [ended.id]
    assert isinstance(session.get(JobExecution, ended.id), JobExecution)
