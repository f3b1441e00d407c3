"""Provenance: what a file was made from and what was made from it, with the jobs in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile
from scale_core.db.job import JobType
from scale_core.db.sql import load
from scale_core.errors import NotFound
from scale_core.queries.listing import ALWAYS, Page, Period
from scale_core.queries.shape import Json, Shape, by_id

SQL = load("provenance")
DEFAULT_DEPTH = 10
MAX_DEPTH = 100
MAX_LINKS = 100  # that are shown of one file


@dataclass(frozen=True)
class Reach:
    """How many jobs may lie between a file and what is found."""

    period: Period = ALWAYS
    depth: int = DEFAULT_DEPTH


def list_ancestors(
    session: Session, file_id: int, reach: Reach, page: Page, shape: Shape
) -> tuple[Sequence[Json], int]:
    """What a file was made from, nearest first. Raises NotFound."""
    return _list(session, "ancestors", file_id, reach, page, shape)


def list_descendants(
    session: Session, file_id: int, reach: Reach, page: Page, shape: Shape
) -> tuple[Sequence[Json], int]:
    """What was made from a file, nearest first. Raises NotFound."""
    return _list(session, "descendants", file_id, reach, page, shape)


def _list(
    session: Session, direction: str, file_id: int, reach: Reach, page: Page, shape: Shape
) -> tuple[Sequence[Json], int]:
    """Each has its `depth`, the length of the shortest way, and the `links` at its end that is nearer to the file."""
    if session.scalar(select(ScaleFile.id).where(ScaleFile.id == file_id)) is None:
        raise NotFound(f"There is no file with the id {file_id}.")
    values = {"file_id": file_id, "depth": reach.depth, "offset": page.offset, "limit": page.size}
    found = session.execute(SQL[direction], {**values, "max_links": MAX_LINKS}).all()
    files = by_id(session, ScaleFile, (row.file_id for row in found), shape["file"])
    types = by_id(session, JobType, (row.job_type_id for row in found), shape["links"]["job"]["job_type"])
    shown = []
    for id_, group in groupby(found, key=lambda row: row.file_id):
        links = list(group)
        shown.append(
            {
                "depth": links[0].depth,
                "file": files[id_],
                "num_links": links[0].num_links,
                "links": [_link(link, types) for link in links],
            }
        )
    return shown, found[0].total if found else 0


def _link(row: Any, types: dict[int, Json]) -> Json:
    return {
        "file": {"id": row.other_id},
        "job": {"id": row.job_id, "status": row.status, "job_type": types[row.job_type_id]},
        "job_exe": {"id": row.job_exe_id},
        "recipe": None if row.recipe_id is None else {"id": row.recipe_id},
    }
