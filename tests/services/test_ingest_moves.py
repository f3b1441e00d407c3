"""The statuses of an ingest: which may follow which, and what each thing that happens makes of each status."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile
from scale_core.db.ingest import Ingest, Strike
from scale_core.db.job import Job
from scale_core.domain.execution import IngestOutcome
from scale_core.domain.ingest import INGEST_MOVES, IngestStatus
from scale_core.errors import Conflict
from scale_core.services import arrival, execution_spec, ingest, queue
from scale_core.services.arrival import Listed
from tests import factories as make
from tests.conftest import NOW

S = IngestStatus
CHECKSUM = "c" * 64
ALLOWED = {
    (S.TRANSFERRING, S.TRANSFERRED),  # its suffix is gone
    (S.TRANSFERRING, S.ERRORED),  # it vanished
    (S.TRANSFERRED, S.DEFERRED),  # no rule wants it
    (S.TRANSFERRED, S.QUEUED),
    (S.TRANSFERRED, S.ERRORED),  # its workspace is archived; it vanished
    (S.QUEUED, S.INGESTING),  # its execution starts
    (S.QUEUED, S.INGESTED),  # the outcome of an execution that was taken for lost
    (S.QUEUED, S.DUPLICATE),
    (S.QUEUED, S.ERRORED),  # its job was canceled
    (S.INGESTING, S.INGESTED),
    (S.INGESTING, S.DUPLICATE),
    (S.INGESTING, S.ERRORED),
    (S.INGESTING, S.QUEUED),  # its execution failed, another follows
    (S.ERRORED, S.QUEUED),  # tried again
    (S.ERRORED, S.INGESTING),  # its job was put back on the queue and starts
    (S.ERRORED, S.INGESTED),
    (S.ERRORED, S.DUPLICATE),
}


@pytest.mark.parametrize(("start", "end"), list(product(S, S)))
def test_every_pair(start: IngestStatus, end: IngestStatus) -> None:
    assert (end in INGEST_MOVES[start]) is ((start, end) in ALLOWED)
    row = Ingest(id=1, status=start)
    if start is end or (start, end) in ALLOWED:
        arrival.move(row, end, None)
        assert row.status is end
    else:
        with pytest.raises(Conflict, match=f"ingest 1 is {start} and cannot become {end}"):
            arrival.move(row, end, None)
        assert row.status is start


# what happens → in the order of the statuses below, what the ingest is then; a + is another ingest of that name
STARTS = (S.TRANSFERRING, S.TRANSFERRED, S.DEFERRED, S.QUEUED, S.INGESTING, S.INGESTED, S.ERRORED, S.DUPLICATE)
WHAT_HAPPENS = {
    "is seen with its suffix": "TRANSFERRING TRANSFERRED DEFERRED+ QUEUED INGESTING INGESTED+ ERRORED+ DUPLICATE+",
    "is seen again": "QUEUED QUEUED DEFERRED QUEUED INGESTING INGESTED+ ERRORED DUPLICATE+",
    "is another file": "QUEUED QUEUED DEFERRED+ QUEUED INGESTING INGESTED+ ERRORED+ DUPLICATE+",
    "vanishes": "ERRORED ERRORED DEFERRED QUEUED INGESTING INGESTED ERRORED DUPLICATE",
    "starts": "- - - INGESTING INGESTING INGESTED INGESTING DUPLICATE",
    "is stored": "- - - INGESTED INGESTED INGESTED INGESTED DUPLICATE",
    "is found to be a duplicate": "- - - DUPLICATE DUPLICATE INGESTED DUPLICATE DUPLICATE",
    "cannot be stored": "- - - ERRORED ERRORED INGESTED ERRORED DUPLICATE",
    "fails for good": "- - - ERRORED ERRORED INGESTED ERRORED DUPLICATE",
    "fails and is tried again": "- - - QUEUED QUEUED INGESTED QUEUED DUPLICATE",
    "is canceled": "- - - ERRORED ERRORED INGESTED ERRORED DUPLICATE",
    "is tried again by a person": "! ! ! ! ! ! QUEUED !",
}
CASES = [
    (happens, start, then)
    for happens, line in WHAT_HAPPENS.items()
    for start, then in zip(STARTS, line.split(), strict=True)
    if then != "-"
]


@pytest.mark.parametrize(("happens", "start", "then"), CASES)
def test_what_happens_in_each_status(session: Session, happens: str, start: IngestStatus, then: str) -> None:
    strike = make.make_strike(session, make.make_workspace(session))
    row = made(session, strike, start)
    before = row.reason
    if then == "!":
        with pytest.raises(Conflict, match=f"ingest {row.id} is {start}; only an ERRORED one can be tried again"):
            happen(session, strike, row, happens)
        then = start.value
    else:
        happen(session, strike, row, happens)
    session.expire_all()
    known = session.scalars(select(Ingest).order_by(Ingest.id)).all()
    assert (known[0].status.value, len(known)) == (then.rstrip("+"), 2 if then.endswith("+") else 1)
    if row.status is start:
        assert row.reason in (before, "it is canceled", "disk full", "unreadable", "its job was canceled")
    assert (row.reason is not None) or row.status is not S.ERRORED, "ERRORED says why"
    sources = session.scalars(select(ScaleFile)).all()
    assert [each.id for each in sources] == ([row.source_file_id] if row.source_file_id else [])
    assert (row.status is S.INGESTED and start is not S.INGESTED) is bool(sources)


def listed(name: str, size: int = 10) -> Listed:
    when = NOW - timedelta(seconds=5)
    return Listed(name, size, when, when)


def look(session: Session, strike: Strike, *listing: Listed, vanished: frozenset[str] = frozenset()) -> None:
    arrival.record_listing(session, strike.id, strike.configuration, listing, vanished, NOW)


def made(session: Session, strike: Strike, status: IngestStatus) -> Ingest:
    """An ingest in that status, with its job if it has come that far."""
    look(session, strike, listed("a_tmp" if status in (S.TRANSFERRING, S.TRANSFERRED) else "a"))
    (row,) = session.scalars(select(Ingest))
    if status is S.DEFERRED:
        row.job_id = None
    session.execute(update(Ingest).values(status=status, reason="for a reason", job_id=row.job_id))
    session.expire_all()
    return row


def happen(session: Session, strike: Strike, row: Ingest, happens: str) -> None:
    def outcome(result: str, **more: object) -> None:
        given = {"ingest_id": row.id, "result": result, "file_size": 10, "checksum": CHECKSUM, **more}
        ingest.complete(session, row.job_id or 0, [IngestOutcome(**given)], NOW)  # type: ignore[arg-type]

    match happens:
        case "is seen with its suffix":
            look(session, strike, listed("a_tmp", 3))
        case "is seen again":
            look(session, strike, listed("a"))
        case "is another file":
            look(session, strike, listed("a", 11))
        case "vanishes":
            look(session, strike, vanished=frozenset({"a"}))
        case "starts":
            run = make.run(session, session.get_one(Job, row.job_id))
            execution_spec.build(session, [run.id], NOW)
        case "is stored":
            outcome("stored")
        case "is found to be a duplicate":
            outcome("duplicate")
        case "cannot be stored":
            outcome("error", error="unreadable")
        case "fails for good":
            ingest.fail(session, row.job_id or 0, "disk full", again=False)
        case "fails and is tried again":
            ingest.fail(session, row.job_id or 0, "disk full", again=True)
        case "is canceled":
            queue.cancel(session, row.job_id or 0, NOW)
        case "is tried again by a person":
            ingest.retry(session, row.id, NOW)
        case _:
            raise AssertionError(happens)


def test_the_statuses_are_the_documented_ones_and_queued() -> None:
    documented = {"TRANSFERRING", "TRANSFERRED", "DEFERRED", "INGESTING", "INGESTED", "ERRORED", "DUPLICATE"}
    assert {status.value for status in S} == documented | {"QUEUED"}


def test_statuses_on_the_way_of_a_whole_transfer(session: Session) -> None:
    """A scan may see a file after its transfer: it is TRANSFERRED on its way to QUEUED all the same, by its times."""
    strike = make.make_strike(session, make.make_workspace(session))
    look(session, strike, listed("a_tmp", 3))
    (row,) = session.scalars(select(Ingest))
    assert (row.status, row.bytes_transferred, row.transfer_ended, row.file_size) == (S.TRANSFERRING, 3, None, None)
    look(session, strike, listed("a"))
    assert (row.status, row.bytes_transferred, row.file_size) == (S.QUEUED, 10, 10)
    assert row.transfer_started <= (row.transfer_ended or NOW) < NOW
    run = make.run(session, session.get_one(Job, row.job_id))
    execution_spec.build(session, [run.id], NOW + timedelta(seconds=1))
    session.expire_all()
    assert (row.status, row.ingest_started, row.ingest_ended) == (S.INGESTING, NOW + timedelta(seconds=1), None)
    ended = NOW + timedelta(seconds=2)
    ingest.complete(session, row.job_id or 0, [IngestOutcome(row.id, "stored", 10, CHECKSUM)], ended)
    assert (row.status, row.ingest_ended, row.checksum) == (S.INGESTED, ended, CHECKSUM)
