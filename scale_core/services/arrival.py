"""Arrivals: what lies in a Strike's directory becomes ingests, and what has arrived is queued to be moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from scale_core import tracing
from scale_core.db.file import ScaleFile, Workspace
from scale_core.db.ingest import Ingest
from scale_core.documents import strike_configuration
from scale_core.domain.ingest import INGEST_JOB_TYPE, INGEST_MOVES, OPEN_STATUSES, IngestStatus, StrikeConfig, batches
from scale_core.domain.media_type import guess
from scale_core.errors import Conflict
from scale_core.services import event, job, workspace

UNREADABLE_NAME = "its name is not UTF-8 and cannot be catalogued; rename the file in the Strike's directory"


@dataclass(frozen=True)
class Listed:
    """A regular file at the top of a Strike's directory; size in bytes, times as the file system has them (UTC).

    A name that is not UTF-8 can be shown only, with its odd bytes escaped: `is_text` is False then.
    """

    name: str
    size: int
    accessed: datetime
    modified: datetime
    is_text: bool = True


@dataclass(frozen=True)
class ScanResult:
    """What the shell does after the commit: names to move into deferred/, and names that nobody can read to log."""

    deferred: tuple[str, ...] = ()
    queued: int = 0
    unreadable: tuple[str, ...] = ()


def clock(session: Session) -> datetime:
    """The database's time, by which ingests are stamped."""
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now


def names_in_transfer(session: Session, strike_id: int) -> frozenset[str]:
    """Names, without the suffix, of files that are still to arrive whole: if they are gone, they have vanished."""
    rows = session.scalars(
        select(Ingest.file_name).where(
            Ingest.strike_id == strike_id,
            Ingest.status.in_((IngestStatus.TRANSFERRING, IngestStatus.TRANSFERRED)),
        )
    )
    return frozenset(rows)


def record_listing(
    session: Session,
    strike_id: int,
    configuration: Mapping[str, Any],
    listing: Sequence[Listed],
    vanished: frozenset[str],
    now: datetime,
    began: datetime | None = None,
) -> ScanResult:
    """Compare a listing, or a part of one, with the ingests: new names, growing files, finished transfers.

    `vanished` are names that are gone. Finished transfers that match a rule are queued to be ingested. Doing it twice
    changes nothing. The caller holds the Strike's advisory lock.

    `began` is the `clock` before the listing. An ingest that has changed since then is left to the next listing: its
    file may have been ingested meanwhile, and be taken for a new one of its name.
    """
    config = strike_configuration.parse(configuration)
    unreadable = _record_unreadable(session, strike_id, config, [each for each in listing if not each.is_text], now)
    listing = [each for each in listing if each.is_text]
    names = [config.final_name(listed.name) for listed in listing]
    latest = _latest_ingests(session, strike_id, names)
    fresh: list[dict[str, Any]] = []
    arrived: list[tuple[Ingest, Listed]] = []
    deferred: list[str] = []
    for listed in sorted(listing, key=lambda each: each.modified):
        name = config.final_name(listed.name)
        known = latest.get(name)
        if known is not None and began is not None and known.last_modified >= began:
            continue
        in_transfer = config.is_transferring(listed.name)
        if known is None or _is_new_arrival(known, listed, in_transfer):
            fresh.append(_ingest_row(strike_id, config, name, listed, now))
        elif known.status in (IngestStatus.TRANSFERRING, IngestStatus.TRANSFERRED):
            known.bytes_transferred = listed.size
            if not in_transfer:
                arrived.append((known, listed))
        elif known.status is IngestStatus.DEFERRED:
            deferred.append(name)
    ended = {n: each for n, each in zip(names, listing, strict=True) if not config.is_transferring(each.name)}
    for ingest in _insert(session, fresh):
        if ingest.file_name in ended:
            arrived.append((ingest, ended[ingest.file_name]))
    queued = _plan(session, config, arrived, deferred, now)
    _mark_vanished(session, strike_id, vanished)
    session.flush()
    return ScanResult(tuple(deferred), queued, unreadable)


def _record_unreadable(
    session: Session, strike_id: int, config: StrikeConfig, listing: Sequence[Listed], now: datetime
) -> tuple[str, ...]:
    """An ERRORED ingest for each name that is not UTF-8, once; returns those that are new."""
    found = {each.name: each for each in listing if not config.is_transferring(each.name)}
    if not found:
        return ()
    query = select(Ingest.file_name).where(Ingest.strike_id == strike_id, Ingest.file_name == func.any(list(found)))
    known = set(session.scalars(query.where(Ingest.reason == UNREADABLE_NAME)))
    fresh = [name for name in found if name not in known]
    rows = [_ingest_row(strike_id, config, name, found[name], now) for name in fresh]
    for row, name in zip(rows, fresh, strict=True):
        row |= {"status": IngestStatus.ERRORED, "reason": UNREADABLE_NAME}
        row |= {"file_size": found[name].size, "transfer_ended": found[name].modified}
    _insert(session, rows)
    return tuple(fresh)


def move(ingest: Ingest, status: IngestStatus, reason: str | None) -> None:
    """Another status, and why. Raises Conflict where INGEST_MOVES does not allow it."""
    if status is not ingest.status and status not in INGEST_MOVES[ingest.status]:
        raise Conflict(f"ingest {ingest.id} is {ingest.status} and cannot become {status}")
    ingest.status, ingest.reason = status, reason


def _latest_ingests(session: Session, strike_id: int, names: Sequence[str]) -> dict[str, Ingest]:
    """The newest ingest of each name in this Strike."""
    if not names:
        return {}
    newest = (
        select(func.max(Ingest.id))
        .where(Ingest.strike_id == strike_id, Ingest.file_name == func.any(list(names)))
        .group_by(Ingest.file_name)
    )
    return {ingest.file_name: ingest for ingest in session.scalars(select(Ingest).where(Ingest.id.in_(newest)))}


def _is_new_arrival(known: Ingest, listed: Listed, in_transfer: bool) -> bool:
    """Whether a name that was seen before stands for another file now.

    A file that was set aside or could not be ingested may still lie there: the same size and time mean the same file.
    """
    if known.status in OPEN_STATUSES:
        return False
    if in_transfer or known.status in (IngestStatus.INGESTED, IngestStatus.DUPLICATE):
        return True
    return (known.file_size, known.transfer_ended) != (listed.size, listed.modified)


def _ingest_row(strike_id: int, config: StrikeConfig, name: str, listed: Listed, now: datetime) -> dict[str, Any]:
    directory = config.mount.partition(":")[2].rstrip("/")
    return {
        "file_name": name,
        "strike_id": strike_id,
        "status": IngestStatus.TRANSFERRING,
        "transfer_path": f"{directory}/{name}",
        "bytes_transferred": listed.size,
        "transfer_started": min(listed.accessed, listed.modified, now),
        "data_type": [],
        "created": now,
        "trace_id": tracing.new_id(),
    }


def _insert(session: Session, rows: list[dict[str, Any]]) -> list[Ingest]:
    unique = list({row["file_name"]: row for row in rows}.values())
    if not unique:
        return []
    return list(session.scalars(insert(Ingest).returning(Ingest, sort_by_parameter_order=True), unique))


def _plan(
    session: Session,
    config: StrikeConfig,
    arrived: Sequence[tuple[Ingest, Listed]],
    deferred: list[str],
    now: datetime,
) -> int:
    """Decide about files whose transfer is over; returns the number of ingest jobs that were queued."""
    stores = workspace.by_names(session, [rule.workspace_name for rule in config.rules])
    matched = []
    for ingest, listed in arrived:
        move(ingest, IngestStatus.TRANSFERRED, None)
        ingest.bytes_transferred = ingest.file_size = listed.size
        ingest.transfer_ended = listed.modified
        ingest.transfer_started = min(ingest.transfer_started, listed.modified)
        ingest.media_type = guess(ingest.file_name)
        problem = place(ingest, config, stores, now)
        if problem is None:
            matched.append(ingest)
            continue
        move(ingest, *problem)
        if ingest.status is IngestStatus.DEFERRED:
            deferred.append(ingest.file_name)
    avoid_taken_paths(session, matched)
    return _queue_ingests(session, config.mount, matched, now)


def place(
    ingest: Ingest, config: StrikeConfig, stores: Mapping[str, Workspace], now: datetime
) -> tuple[IngestStatus, str] | None:
    """Where the first rule that matches wants the file; or which status it has instead, and why."""
    rule = config.rule_for(ingest.file_name)
    if rule is None:
        return IngestStatus.DEFERRED, "no rule of its Strike matches its name"
    store = stores.get(rule.workspace_name)
    if store is None or not store.is_active:
        problem = "is archived" if store else "does not exist"
        return IngestStatus.ERRORED, f"the workspace {rule.workspace_name!r} {problem}"
    ingest.workspace_id, ingest.data_type, ingest.duplicates = store.id, list(rule.data_types), rule.duplicates
    ingest.file_path = rule.file_path(ingest.file_name, now.date())
    ingest.ingest_path = f"{ingest.transfer_path.rpartition('/')[0]}/ingesting/{ingest.id}/{ingest.file_name}"
    return None


def avoid_taken_paths(session: Session, ingests: Sequence[Ingest]) -> None:
    """Another file of this name may lie there already: then a directory of its own keeps both."""
    if not ingests:
        return
    paths = [ingest.file_path for ingest in ingests]
    taken = {
        (row.workspace_id, row.file_path)
        for row in session.execute(
            select(ScaleFile.workspace_id, ScaleFile.file_path).where(
                ScaleFile.file_path == func.any(paths), ScaleFile.is_deleted.is_(False)
            )
        )
    }
    for ingest in ingests:
        if (ingest.workspace_id, ingest.file_path) in taken:
            directory, _, name = ingest.file_path.rpartition("/")
            ingest.file_path = f"{directory}/ingest_{ingest.id}/{name}"


def _queue_ingests(session: Session, mount: str, ingests: Sequence[Ingest], now: datetime) -> int:
    """Small files of one workspace share a job, so that one workspace's trouble is not another's; returns the jobs."""
    ordered = sorted(ingests, key=lambda ingest: (ingest.workspace_id, ingest.id))
    requests = []
    for _, group in groupby(ordered, key=lambda ingest: ingest.workspace_id):
        same = list(group)
        for batch in batches([ingest.file_size or 0 for ingest in same]):
            event_id = _transfer_event(session, same[batch], now)
            requests.append(make_job(session, event_id, mount, same[batch], now))
    return len(job.enqueue(session, requests, now))


def _transfer_event(session: Session, ingests: Sequence[Ingest], now: datetime) -> int:
    first = ingests[0]
    description: dict[str, Any] = {"version": "1.0", "ingest_id": first.id, "file_name": first.file_name}
    if len(ingests) > 1:
        description["ingest_ids"] = [ingest.id for ingest in ingests]
    event_id = event.record(
        session,
        "STRIKE_TRANSFER",
        now,
        description=description,
        firing=f"STRIKE_TRANSFER:{first.id}",
        trace_id=first.trace_id,
        occurred=max((ingest.transfer_ended for ingest in ingests if ingest.transfer_ended), default=now),
    )
    assert event_id is not None
    return event_id


def make_job(session: Session, event_id: int, mount: str, ingests: Sequence[Ingest], now: datetime) -> job.QueueRequest:
    """One scale-ingest job for these files, and what puts it on the queue."""
    (job_id,) = job.create(session, [job.system_type(session, INGEST_JOB_TYPE)], event_id, now)
    for ingest in ingests:
        ingest.job_id = job_id
        move(ingest, IngestStatus.QUEUED, None)
    data = {
        "version": "1.0",
        "input_data": [
            {"name": "Ingest ID", "value": ",".join(str(ingest.id) for ingest in ingests)},
            {"name": "Mount", "value": mount},
        ],
        "output_data": [],
    }
    disk_in = float(-(-sum(ingest.file_size or 0 for ingest in ingests) // 2**20))
    return job.QueueRequest(job_id, data, disk_in, 0.0)


def _mark_vanished(session: Session, strike_id: int, names: frozenset[str]) -> None:
    if names:
        session.execute(
            update(Ingest)
            .where(
                Ingest.strike_id == strike_id,
                Ingest.file_name.in_(names),
                Ingest.status.in_((IngestStatus.TRANSFERRING, IngestStatus.TRANSFERRED)),
            )
            .values(status=IngestStatus.ERRORED, reason="the file vanished while it was being transferred")
            .execution_options(synchronize_session=False)
        )
