"""The catalogue: sources that were ingested, products that jobs made, and ancestry."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from geoalchemy2.shape import from_shape
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from scale_core import timestamps
from scale_core.db.file import FileAncestryLink, FileType, ScaleFile
from scale_core.db.ingest import Ingest
from scale_core.db.job import Job
from scale_core.db.sql import load
from scale_core.documents.geometry import footprint
from scale_core.domain.execution import IngestOutcome, StoredFile
from scale_core.errors import Invalid, Problem
from scale_core.services import country

SRID = 4326


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


def register_products(
    session: Session,
    job_exe_id: int,
    job: Job,
    files: Sequence[StoredFile],
    recipe_id: int | None,
    now: datetime,
) -> dict[str, list[int]]:
    """Catalogue an execution's outputs and link them with their ancestors; returns output name -> file ids.

    Raises Invalid when a footprint or time is not usable.
    """
    if not files:
        return {}
    parents = _inputs(session, job)
    is_operational = job.job_type.is_operational and all(p.is_operational for p in parents)
    rows = [_product_row(job_exe_id, job, file, parents, is_operational, now) for file in files]
    ids = list(session.scalars(insert(ScaleFile).returning(ScaleFile.id, sort_by_parameter_order=True), rows))
    _link(session, job_exe_id, job, [parent.id for parent in parents], ids, recipe_id)
    country.assign(session, ids)
    outputs: dict[str, list[int]] = {}
    for file, id_ in zip(files, ids, strict=True):
        outputs.setdefault(file.output, []).append(id_)
    return outputs


def publish(session: Session, job_exe_id: int, when: datetime) -> None:
    """The products of a completed execution become visible."""
    session.execute(
        update(ScaleFile)
        .where(ScaleFile.job_exe_id == job_exe_id)
        .values(has_been_published=True, is_published=True, published=when)
        .execution_options(synchronize_session=False)
    )


def _product_row(
    job_exe_id: int,
    job: Job,
    file: StoredFile,
    parents: Sequence[Any],
    is_operational: bool,
    now: datetime,
) -> dict[str, Any]:
    where = f"output_data[{file.output}]"
    geo = file.geo_metadata or {}
    shape = footprint(geo["geo_json"], f"{where}.geo_json") if geo.get("geo_json") else None
    started, ended = times(geo, where)
    identity = f"{job.job_type_id}{file.file_name}{''.join(sorted(parent.uuid for parent in parents))}"
    return {
        "file_type": FileType.PRODUCT,
        "file_name": file.file_name,
        "media_type": file.media_type,
        "file_size": file.file_size,
        "data_type": [],
        "file_path": file.file_path,
        "workspace_id": file.workspace_id,
        "uuid": hashlib.md5(identity.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest(),
        "data_started": started,
        "data_ended": ended,
        "geometry": shape and placed(shape.geometry),
        "center_point": shape and placed(shape.center),
        "meta_data": shape.properties if shape else {},
        "job_exe_id": job_exe_id,
        "job_id": job.id,
        "job_type_id": job.job_type_id,
        "job_output": file.output,
        "is_operational": is_operational,
        "created": now,
    }


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


def _inputs(session: Session, job: Job) -> Sequence[Any]:
    columns = (ScaleFile.id, ScaleFile.uuid, ScaleFile.is_operational)
    return session.execute(select(*columns).where(ScaleFile.id.in_(input_ids(job))).order_by(ScaleFile.id)).all()


def _link(
    session: Session,
    job_exe_id: int,
    job: Job,
    parents: Sequence[int],
    products: Sequence[int],
    recipe_id: int | None,
) -> None:
    """Link each parent with each product, and so each ancestor of a parent, with the job that lies in between."""
    if not parents:
        return
    inherited = session.execute(load("job")["inherited_links"], {"parents": list(parents)}).all()
    session.execute(delete(FileAncestryLink).where(FileAncestryLink.job_exe_id == job_exe_id))
    common = {"job_id": job.id, "job_exe_id": job_exe_id, "recipe_id": recipe_id}
    rows = [
        {"ancestor_id": parent, "descendant_id": product, "ancestor_job_id": None, "ancestor_job_exe_id": None}
        for parent in parents
        for product in products
    ]
    rows += [
        {
            "ancestor_id": link.ancestor_id,
            "descendant_id": product,
            "ancestor_job_id": link.ancestor_job_id,
            "ancestor_job_exe_id": link.ancestor_job_exe_id,
        }
        for link in inherited
        for product in products
    ]
    session.execute(insert(FileAncestryLink), [row | common for row in rows])
