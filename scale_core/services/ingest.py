"""Ingests: how each ends: catalogued, a duplicate, failed, tried again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core import tracing
from scale_core.db.file import ScaleFile
from scale_core.db.ingest import Ingest
from scale_core.db.job import Job
from scale_core.db.trigger import RuleType
from scale_core.documents import strike_configuration
from scale_core.domain.execution import IngestOutcome
from scale_core.domain.ingest import OPEN_STATUSES, Duplicates, IngestStatus
from scale_core.errors import Conflict
from scale_core.services import arrival, event, file, get, job, trigger, workspace

logger = logging.getLogger(__name__)

# what an outcome can still change: the outcome of an execution may be seen twice
_UNDER_WAY = (IngestStatus.QUEUED, IngestStatus.INGESTING, IngestStatus.ERRORED)


@dataclass(frozen=True)
class StoredIngest:
    """An original that may go, because its ingest is over: under ingesting/<ingest_id>/ in the Strike's directory.

    `file_size` bytes of it are in the workspace; if it has grown since, it is another file.
    """

    ingest_id: int
    mount: str
    file_name: str
    file_size: int | None = None


def finished_ingests(session: Session, ingest_ids: Sequence[int]) -> dict[int, int | None]:
    """Those of the ingests whose originals may be removed, and how many bytes of each were ingested."""
    done = (IngestStatus.INGESTED, IngestStatus.DUPLICATE)
    query = select(Ingest.id, Ingest.file_size).where(Ingest.id.in_(ingest_ids), Ingest.status.in_(done))
    return {row.id: row.file_size for row in session.execute(query)}


def complete(session: Session, job_id: int, outcomes: Sequence[IngestOutcome], now: datetime) -> list[StoredIngest]:
    """Record what a scale-ingest execution did: sources catalogued, INGEST rules fired. Returns originals to remove."""
    by_id = {outcome.ingest_id: outcome for outcome in outcomes}
    query = select(Ingest).where(Ingest.job_id == job_id, Ingest.id.in_(by_id)).order_by(Ingest.id)
    ingests = [each for each in session.scalars(query.with_for_update(of=Ingest)) if each.status in _UNDER_WAY]
    known = file.same_contents(session, [(each.file_name, by_id[each.id].checksum) for each in ingests])
    mount = _mount(session, job_id)
    removable, sources, traces = [], [], list[str]()
    for ingest in ingests:
        outcome = by_id[ingest.id]
        if outcome.result == "error":
            arrival.move(ingest, IngestStatus.ERRORED, outcome.error)
            continue
        source = _record_outcome(session, ingest, outcome, known.get((ingest.file_name, outcome.checksum)), now)
        if source is not None:
            sources.append(source)
            traces.append(ingest.trace_id)
        with tracing.continued(ingest.trace_id):
            logger.info("ingest %d of %r is %s", ingest.id, ingest.file_name, ingest.status)
        place = mount or ingest.strike.configuration["mount"]
        removable.append(StoredIngest(ingest.id, place, ingest.file_name, ingest.file_size))
    session.flush()
    by_file = {source.id: trace_id for source, trace_id in zip(sources, traces, strict=True)}
    trigger.fire(session, RuleType.INGEST, sources, now, now, by_file)
    return removable


def retry(session: Session, ingest_id: int, now: datetime) -> Ingest:
    """Try an ERRORED ingest again, with a job of its own. Raises NotFound, Conflict when that cannot be.

    One whose workspace could not be used then is given the place that its Strike's rules name now.
    """
    ingest = get(session, Ingest, ingest_id, "ingest", lock=True)
    if ingest.status is not IngestStatus.ERRORED:
        raise Conflict(f"ingest {ingest.id} is {ingest.status}; only an ERRORED one can be tried again")
    if ingest.reason == arrival.UNREADABLE_NAME:
        raise Conflict(
            f"ingest {ingest.id} cannot be tried again: {arrival.UNREADABLE_NAME}, and it is seen under its new name"
        )
    if ingest.transfer_ended is None:
        raise Conflict(f"ingest {ingest.id} never arrived whole; send {ingest.file_name!r} again")
    _require_no_other(session, ingest)
    config = strike_configuration.parse(ingest.strike.configuration)
    if ingest.workspace_id is None:
        problem = arrival.place(
            ingest, config, workspace.by_names(session, [r.workspace_name for r in config.rules]), now
        )
        if problem:
            raise Conflict(f"ingest {ingest.id} cannot be tried again: {problem[1]}")
        arrival.avoid_taken_paths(session, [ingest])
    elif not workspace.activity(session, [ingest.workspace_id])[ingest.workspace_id]:
        raise Conflict(f"ingest {ingest.id} cannot be tried again: its workspace is archived")
    mount = _mount(session, ingest.job_id) or config.mount
    request = arrival.make_job(session, event.user_event(session, now), mount, [ingest], now)
    job.enqueue(session, [request], now)
    session.flush()
    return ingest


def _mount(session: Session, job_id: int | None) -> str | None:
    """Where the files of a job lie: where their Strike saw them, whatever it watches now. None: it does not say."""
    data = session.scalar(select(Job.data).where(Job.id == job_id)) or {}
    return next((each["value"] for each in data.get("input_data", ()) if each["name"] == "Mount"), None)


def _require_no_other(session: Session, ingest: Ingest) -> None:
    """A name belongs to one open ingest of its Strike."""
    other = session.scalar(
        select(Ingest.id).where(
            Ingest.strike_id == ingest.strike_id,
            Ingest.file_name == ingest.file_name,
            Ingest.status.in_(OPEN_STATUSES),
        )
    )
    if other is not None:
        raise Conflict(f"ingest {other} is at work on {ingest.file_name!r}; wait for its end")


def fail(session: Session, job_id: int, reason: str, *, again: bool, outcomes: Sequence[IngestOutcome] = ()) -> None:
    """Its job failed: for good (ERRORED, each with its own reason), or what is not done is tried again (QUEUED)."""
    reasons = {outcome.ingest_id: outcome.error for outcome in outcomes if outcome.error}
    query = select(Ingest).where(
        Ingest.job_id == job_id,
        Ingest.status.in_((IngestStatus.QUEUED, IngestStatus.INGESTING, IngestStatus.ERRORED)),
    )
    for ingest in session.scalars(query.order_by(Ingest.id).with_for_update(of=Ingest)):
        if ingest.status is not IngestStatus.ERRORED or again:
            if ingest.status is not IngestStatus.QUEUED or not again:
                status = IngestStatus.QUEUED if again else IngestStatus.ERRORED
                arrival.move(ingest, status, reasons.get(ingest.id, reason))
        elif not ingest.reason:
            ingest.reason = reasons.get(ingest.id, reason)
    session.flush()


def _record_outcome(
    session: Session, ingest: Ingest, outcome: IngestOutcome, known: ScaleFile | None, now: datetime
) -> ScaleFile | None:
    """The new source file, or None for a duplicate; `known` is a source of the same name and content."""
    ingest.file_size, ingest.checksum, ingest.ingest_ended = outcome.file_size, outcome.checksum, now
    ingest.media_type = outcome.media_type or ingest.media_type
    is_wanted = ingest.duplicates in (Duplicates.KEEP, Duplicates.REPLACE)
    if outcome.result == "duplicate" or (known is not None and not is_wanted):
        which = f"source file {known.id}" if known is not None else "a source file"
        arrival.move(ingest, IngestStatus.DUPLICATE, f"{which} has the same name and content")
        return None
    if known is not None and ingest.duplicates is Duplicates.REPLACE:
        file.replace_sources(session, ingest.file_name, outcome.checksum, now)
    source = file.register_source(session, ingest, outcome, now)
    arrival.move(ingest, IngestStatus.INGESTED, None)
    ingest.source_file = source
    return source
