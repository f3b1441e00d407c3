"""The catalogue: sources that were ingested, what all files have in common, and the removal of deleted ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from geoalchemy2.shape import from_shape
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from scale_core import timestamps
from scale_core.db.file import FileType, ScaleFile, Workspace
from scale_core.db.ingest import Ingest
from scale_core.db.job import Job
from scale_core.domain.execution import IngestOutcome
from scale_core.errors import Invalid, Problem

SRID = 4326
REMOVAL_RETRY = timedelta(minutes=5)


@dataclass(frozen=True)
class Removal:
    """A deleted file that may still lie in its workspace."""

    file_id: int
    workspace_id: int
    broker: dict[str, Any]
    file_path: str


def register_source(session: Session, ingest: Ingest, outcome: IngestOutcome, now: datetime) -> ScaleFile:
    """The catalogue entry of an ingested file. uuid: MD5 of the name, so that it is stable over ingests."""
    source = ScaleFile(
        file_type=FileType.SOURCE,
        file_name=ingest.file_name,
        media_type=outcome.media_type or ingest.media_type,
        file_size=outcome.file_size or 0,
        checksum=outcome.checksum,
        data_type=list(ingest.data_type),
        file_path=ingest.file_path,
        workspace_id=ingest.workspace_id,
        uuid=hashlib.md5(ingest.file_name.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest(),
        created=now,
    )
    session.add(source)
    return source


def same_contents(
    session: Session, contents: Sequence[tuple[str, str | None]]
) -> dict[tuple[str, str | None], ScaleFile]:
    """Catalogued sources of these names and SHA-256s, the oldest of each."""
    query = select(ScaleFile).where(
        ScaleFile.file_type == FileType.SOURCE,
        ScaleFile.file_name == func.any([name for name, _ in contents]),
        ScaleFile.is_deleted.is_(False),
    )
    wanted = set(contents)
    found: dict[tuple[str, str | None], ScaleFile] = {}
    for source in session.scalars(query.order_by(ScaleFile.id)):
        if (source.file_name, source.checksum) in wanted:
            found.setdefault((source.file_name, source.checksum), source)
    return found


def replace_sources(session: Session, file_name: str, checksum: str | None, now: datetime) -> None:
    """Sources of this name and content leave the catalogue; their files stay, because jobs may be reading them."""
    session.execute(
        update(ScaleFile)
        .where(
            ScaleFile.file_type == FileType.SOURCE,
            ScaleFile.file_name == file_name,
            ScaleFile.checksum == checksum,
            ScaleFile.is_deleted.is_(False),
        )
        .values(is_deleted=True, deleted=now)
    )


def placed(shape: Any) -> Any:
    """A geometry of `documents.geometry` as the value of a column."""
    return from_shape(shape, srid=SRID)


def times(geo: Mapping[str, Any], where: str) -> tuple[datetime | None, datetime | None]:
    """data_started and data_ended of a manifest's geo_metadata. Raises Invalid."""
    times = []
    for name in ("data_started", "data_ended"):
        try:
            times.append(timestamps.parse_datetime(geo[name]) if geo.get(name) else None)
        except Invalid as error:
            raise Invalid(problems=[Problem(f"{where}.{name}", str(error))]) from None
    return times[0], times[1]


def input_ids(job: Job) -> set[int]:
    """The ids of all files that a job's data name."""
    ids: set[int] = set()
    for entry in job.data.get("input_data", []):
        ids |= set(entry.get("file_ids") or ([entry["file_id"]] if entry.get("file_id") else []))
    return ids


def removals(session: Session, limit: int, now: datetime) -> list[Removal]:
    """Claim deleted files that are to be removed now. What is not reported as `removed` comes again after a while.

    A path that another file has by now is left alone.
    """
    due = (
        select(ScaleFile.id)
        .where(ScaleFile.removal_due <= now)
        .order_by(ScaleFile.removal_due)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(due))
    if not ids:
        return []
    session.execute(update(ScaleFile).where(ScaleFile.id.in_(ids)).values(removal_due=now + REMOVAL_RETRY))
    successor = aliased(ScaleFile)
    is_taken = (
        select(successor.id)
        .where(
            successor.workspace_id == ScaleFile.workspace_id,
            successor.file_path == ScaleFile.file_path,
            successor.is_deleted.is_(False),
        )
        .exists()
    )
    rows = session.execute(
        select(ScaleFile.id, ScaleFile.workspace_id, Workspace.json_config, ScaleFile.file_path, is_taken)
        .join(Workspace, Workspace.id == ScaleFile.workspace_id)
        .where(ScaleFile.id.in_(ids))
        .order_by(ScaleFile.id)
    ).all()
    removed(session, [row[0] for row in rows if row[4]])
    return [Removal(id_, place, config["broker"], path) for id_, place, config, path, taken in rows if not taken]


def removed(session: Session, file_ids: Sequence[int]) -> None:
    """These do not lie in their workspaces any more."""
    session.execute(update(ScaleFile).where(ScaleFile.id.in_(file_ids)).values(removal_due=None))
