"""Ingests: from a name in a Strike's directory to a catalogued source file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile
from scale_core.db.ingest import Ingest
from scale_core.db.trigger import RuleType
from scale_core.documents import strike_configuration
from scale_core.domain.execution import IngestOutcome
from scale_core.domain.ingest import INGEST_MOVES, OPEN_STATUSES, IngestStatus, StrikeConfig
from scale_core.domain.media_type import guess
from scale_core.errors import Conflict
from scale_core.services import event, file, job, trigger, workspace

INGEST_TYPE = "scale-ingest"


@dataclass(frozen=True)
class Listed:
    """A regular file at the top of a Strike's directory; size in bytes, times as the file system has them (UTC)."""

    name: str
    size: int
    accessed: datetime
    modified: datetime


@dataclass(frozen=True)
class StoredIngest:
    """An original that may go, because its ingest is over: under ingesting/<ingest_id>/ in the Strike's directory."""

    ingest_id: int
    mount: str
    file_name: str


@dataclass(frozen=True)
class ScanResult:
    """What the shell does after the commit: names to move into deferred/."""

    deferred: tuple[str, ...] = ()
    queued: int = 0


def names_in_transfer(session: Session, strike_id: int) -> frozenset[str]:
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
) -> ScanResult:
    """Compare a listing with the ingests: new names, growing files, finished transfers, vanished files.

    Finished transfers that match a rule get a scale-ingest job each. Doing it twice changes nothing. The caller holds
    the Strike's advisory lock.
    """
    config = strike_configuration.parse(configuration)
    names = [config.final_name(listed.name) for listed in listing]
    latest = _latest_ingests(session, strike_id, names)
    fresh: list[dict[str, Any]] = []
    arrived: list[tuple[Ingest, Listed]] = []
    deferred: list[str] = []
    for listed in sorted(listing, key=lambda each: each.modified):
        name = config.final_name(listed.name)
        known = latest.get(name)
        in_transfer = config.is_transferring(listed.name)
        if known is None or _is_new_arrival(known, listed, in_transfer):
            fresh.append(_ingest_row(strike_id, config, name, listed, now))
        elif known.status is IngestStatus.TRANSFERRING:
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
    return ScanResult(tuple(deferred), queued)


def finished_ingests(session: Session, ingest_ids: Sequence[int]) -> set[int]:
    """Those of the ingests whose originals may be removed."""
    done = (IngestStatus.INGESTED, IngestStatus.DUPLICATE)
    return set(session.scalars(select(Ingest.id).where(Ingest.id.in_(ingest_ids), Ingest.status.in_(done))))


def complete(session: Session, job_id: int, outcomes: Sequence[IngestOutcome], now: datetime) -> list[StoredIngest]:
    """Record what a scale-ingest execution did: sources catalogued, INGEST rules fired. Returns originals to remove."""
    by_id = {outcome.ingest_id: outcome for outcome in outcomes}
    query = select(Ingest).where(Ingest.job_id == job_id, Ingest.id.in_(by_id)).order_by(Ingest.id)
    removable = []
    for ingest in session.scalars(query.with_for_update(of=Ingest)):
        outcome = by_id[ingest.id]
        if outcome.result == "error":
            _move(ingest, IngestStatus.ERRORED, outcome.error)
            continue
        _record_outcome(session, ingest, outcome, now)
        removable.append(StoredIngest(ingest.id, ingest.strike.configuration["mount"], ingest.file_name))
    session.flush()
    return removable


def fail(session: Session, job_id: int, reason: str, *, again: bool) -> None:
    """Its job failed: for good (ERRORED, with the reason), or it is tried again (QUEUED)."""
    query = select(Ingest).where(
        Ingest.job_id == job_id,
        Ingest.status.in_((IngestStatus.QUEUED, IngestStatus.INGESTING, IngestStatus.ERRORED)),
    )
    for ingest in session.scalars(query.order_by(Ingest.id).with_for_update(of=Ingest)):
        if ingest.status is not IngestStatus.ERRORED or again:
            if ingest.status is not IngestStatus.QUEUED or not again:
                _move(ingest, IngestStatus.QUEUED if again else IngestStatus.ERRORED, reason)
        elif not ingest.reason:
            ingest.reason = reason
    session.flush()


def _record_outcome(session: Session, ingest: Ingest, outcome: IngestOutcome, now: datetime) -> None:
    ingest.file_size, ingest.checksum, ingest.ingest_ended = outcome.file_size, outcome.checksum, now
    ingest.media_type = outcome.media_type or ingest.media_type
    known = file.same_content(session, ingest.file_name, outcome.checksum)
    if outcome.result == "duplicate" or known is not None:
        which = f"source file {known.id}" if known is not None else "a source file"
        _move(ingest, IngestStatus.DUPLICATE, f"{which} has the same name and content")
        return
    source = file.register_source(session, ingest, outcome, now)
    _move(ingest, IngestStatus.INGESTED, None)
    ingest.source_file = source
    session.flush()
    trigger.fire(session, RuleType.INGEST, [source], now, now)


def _move(ingest: Ingest, status: IngestStatus, reason: str | None) -> None:
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
        ingest.status = IngestStatus.TRANSFERRED
        ingest.bytes_transferred = ingest.file_size = listed.size
        ingest.transfer_ended = listed.modified
        ingest.transfer_started = min(ingest.transfer_started, listed.modified)
        ingest.media_type = guess(ingest.file_name)
        rule = config.rule_for(ingest.file_name)
        store = stores.get(rule.workspace_name) if rule else None
        if rule is None:
            _move(ingest, IngestStatus.DEFERRED, "no rule of its Strike matches its name")
            deferred.append(ingest.file_name)
        elif store is None or not store.is_active:
            problem = "is archived" if store else "does not exist"
            _move(ingest, IngestStatus.ERRORED, f"the workspace {rule.workspace_name!r} {problem}")
        else:
            ingest.workspace_id, ingest.data_type = store.id, list(rule.data_types)
            ingest.file_path = rule.file_path(ingest.file_name, now.date())
            ingest.ingest_path = f"{ingest.transfer_path.rpartition('/')[0]}/ingesting/{ingest.id}/{ingest.file_name}"
            matched.append(ingest)
    _avoid_taken_paths(session, matched)
    return _queue_ingests(session, config.mount, matched, now)


def _avoid_taken_paths(session: Session, ingests: Sequence[Ingest]) -> None:
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
    if not ingests:
        return 0
    ingest_type = job.system_type(session, INGEST_TYPE)
    requests = []
    for ingest in ingests:
        event_id = event.record(
            session,
            "STRIKE_TRANSFER",
            now,
            description={"version": "1.0", "ingest_id": ingest.id, "file_name": ingest.file_name},
            firing=f"STRIKE_TRANSFER:{ingest.id}",
            occurred=ingest.transfer_ended,
        )
        assert event_id is not None
        (ingest.job_id,) = job.create(session, [ingest_type], event_id, now)
        _move(ingest, IngestStatus.QUEUED, None)
        data = {
            "version": "1.0",
            "input_data": [
                {"name": "Ingest ID", "value": str(ingest.id)},
                {"name": "Mount", "value": mount},
            ],
            "output_data": [],
        }
        disk_in = float(-(-(ingest.file_size or 0) // 2**20))
        requests.append(job.QueueRequest(ingest.job_id, data, disk_in, 0.0))
    return len(job.enqueue(session, requests, now))


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
