"""What a job found out about its source inputs: times, tags, footprint, and where the source shall lie from now on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from scale_core.db.file import FileType, ScaleFile, Workspace
from scale_core.db.job import Job
from scale_core.db.trigger import RuleType
from scale_core.documents.geometry import footprint
from scale_core.errors import Invalid, Problem
from scale_core.services import country, file, trigger


@dataclass(frozen=True)
class Move:
    """A source that is to lie elsewhere in its workspace; paths are relative to the workspace's root."""

    file_id: int
    workspace_id: int
    broker: dict[str, Any]
    old_path: str
    new_path: str


def apply(session: Session, job: Job, results: Sequence[Mapping[str, Any]], now: datetime) -> list[int]:
    """Record parse_results (Results Manifest) and fire the PARSE rules; returns the ids of files that must move first.

    Entries that name no source input are ignored. A file with a new_workspace_path fires its rules once it lies there
    (`moved`), so that no job looks for it in its old place. Raises Invalid.
    """
    if not results:
        return []
    sources = _sources(session, job)
    parsed = [source for source in (_apply_one(sources, result, now) for result in results) if source]
    session.flush()
    country.assign(session, [source.id for source in parsed])
    settled = [source for source in parsed if source.moving_to is None]
    trigger.fire(session, RuleType.PARSE, settled, now, now)
    return [source.id for source in parsed if source.moving_to is not None]


def moves(session: Session, file_ids: Sequence[int]) -> list[Move]:
    """Those of the files that still have to move."""
    rows = session.execute(
        select(ScaleFile.id, Workspace.id, Workspace.json_config, ScaleFile.file_path, ScaleFile.moving_to)
        .join(Workspace, Workspace.id == ScaleFile.workspace_id)
        .where(ScaleFile.id.in_(file_ids), ScaleFile.moving_to.is_not(None))
        .order_by(ScaleFile.id)
    )
    return [Move(id_, store, config["broker"], old, new) for id_, store, config, old, new in rows if new]


def overdue_moves(session: Session, older_than_s: float, limit: int, now: datetime) -> list[int]:
    """Files whose move was tried a while ago and did not succeed, or was never tried because a worker died."""
    return list(
        session.scalars(
            select(ScaleFile.id)
            .where(ScaleFile.moving_to.is_not(None), ScaleFile.parsed < now - timedelta(seconds=older_than_s))
            .order_by(ScaleFile.id)
            .limit(limit)
        )
    )


def moved(session: Session, move: Move, now: datetime) -> None:
    """The file lies at its new path now: record it, and fire the PARSE rules that waited for it. Twice is harmless."""
    source = session.get(ScaleFile, move.file_id, with_for_update=True, populate_existing=True)
    if source is None or source.moving_to != move.new_path:
        return
    source.file_path, source.moving_to = move.new_path, None
    session.flush()
    trigger.fire(session, RuleType.PARSE, [source], source.parsed or now, now)


def _sources(session: Session, job: Job) -> dict[str, ScaleFile]:
    """The job's source inputs by name, locked."""
    query = (
        select(ScaleFile)
        .where(ScaleFile.id.in_(file.input_ids(job)), ScaleFile.file_type == FileType.SOURCE)
        .order_by(ScaleFile.id)
        .with_for_update(of=ScaleFile)
        .options(joinedload(ScaleFile.workspace))
    )
    sources: dict[str, ScaleFile] = {}
    for source in session.scalars(query):
        sources.setdefault(source.file_name, source)
    return sources


def _apply_one(sources: Mapping[str, ScaleFile], result: Mapping[str, Any], now: datetime) -> ScaleFile | None:
    source = sources.get(result["filename"])
    if source is None:
        return None
    where = f"parse_results[{source.file_name}]"
    geo = result.get("geo_metadata") or {}
    source.is_parsed, source.parsed = True, now
    started, ended = file.times(geo, where)
    source.data_started, source.data_ended = started or source.data_started, ended or source.data_ended
    source.data_type = sorted({*source.data_type, *(result.get("data_types") or ())})
    shape = footprint(geo["geo_json"], f"{where}.geo_json") if geo.get("geo_json") else None
    if shape is not None:
        source.geometry, source.center_point = file.placed(shape.geometry), file.placed(shape.center)
        source.meta_data = {**(source.meta_data or {}), **shape.properties}
    directory = result.get("new_workspace_path")
    if directory and source.workspace.is_move_enabled:
        source.moving_to = _new_path(source, directory, where)
    return source


def _new_path(source: ScaleFile, directory: str, where: str) -> str | None:
    """None when the file lies there already."""
    inside = PurePosixPath(directory.strip("/"))
    if ".." in inside.parts:
        raise Invalid(problems=[Problem(f"{where}.new_workspace_path", "must stay inside the workspace")])
    path = str(inside / source.file_name)
    return None if path == source.file_path else path
