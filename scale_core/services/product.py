"""Products: catalogued with their ancestors, published, superseded by a newer execution's, taken back, deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from scale_core.db.file import FileAncestryLink, FileType, ScaleFile
from scale_core.db.job import Job
from scale_core.db.session import advisory_locks
from scale_core.db.sql import load
from scale_core.documents.geometry import footprint
from scale_core.domain.execution import StoredFile
from scale_core.errors import Conflict, NotFound
from scale_core.services import country, file

SQL = load("product")


def lock_inputs(session: Session, jobs: Iterable[Job]) -> None:
    """Of executions of one job type on the same inputs one publishes at a time, so that each sees what it supersedes.

    Call it once in a transaction, for all the jobs whose products it will publish.
    """
    inputs = {job.id: (job.job_type_id, file.input_ids(job)) for job in jobs}
    ids = {id_ for _, files in inputs.values() for id_ in files}
    uuids: dict[int, str] = {}
    if ids:
        uuids = dict(session.execute(select(ScaleFile.id, ScaleFile.uuid).where(ScaleFile.id.in_(ids))).all())
    advisory_locks(
        session,
        [
            f"products of {type_id} on {sorted(uuids[id_] for id_ in files if id_ in uuids)}"
            for type_id, files in inputs.values()
        ],
    )


def register(
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
    rows = [_row(job_exe_id, job, each, parents, is_operational, now) for each in files]
    ids = list(session.scalars(insert(ScaleFile).returning(ScaleFile.id, sort_by_parameter_order=True), rows))
    _link(session, job_exe_id, job, [parent.id for parent in parents], ids, recipe_id)
    country.assign(session, ids)
    outputs: dict[str, list[int]] = {}
    for each, id_ in zip(files, ids, strict=True):
        outputs.setdefault(each.output, []).append(id_)
    return outputs


def publish(session: Session, job_exe_id: int, when: datetime) -> None:
    """The products of a completed execution become visible, and supersede those of an older one on the same inputs.

    The newer execution is the one that was queued later. If its products are there already, these are superseded at
    once. The caller has locked the inputs (`lock_inputs`).
    """
    session.execute(SQL["publish"], {"job_exe_id": job_exe_id, "when": when})
    twins = session.execute(SQL["twins"], {"job_exe_id": job_exe_id}).all()
    old = [job_exe_id] if any(twin.is_newer for twin in twins) else [twin.id for twin in twins]
    if old:
        session.execute(SQL["supersede"], {"job_exe_ids": old, "when": when})


def edit(session: Session, product_id: int, fields: Mapping[str, Any], now: datetime) -> None:
    """Take a product back, or publish it again. Raises NotFound, Conflict."""
    product = _locked(session, product_id)
    wanted = fields.get("is_published")
    if wanted is None or wanted is product.is_published:
        return
    if wanted:
        _require_publishable(product)
        product.is_published = True  # `published` stays: when it was originally published
    else:
        product.is_published, product.unpublished = False, now
    session.flush()


def delete(session: Session, product_id: int, now: datetime) -> None:
    """The product leaves the catalogue; its row, and what was made from it, stay. Twice is harmless. Raises NotFound.

    The file is removed from its workspace afterwards (`file.removals`).
    """
    product = _locked(session, product_id)
    if product.is_deleted:
        return
    if product.is_published:
        product.is_published, product.unpublished = False, now
    product.is_deleted, product.deleted, product.removal_due = True, now, now
    session.flush()


def _locked(session: Session, product_id: int) -> ScaleFile:
    query = select(ScaleFile).where(ScaleFile.id == product_id, ScaleFile.file_type == FileType.PRODUCT)
    product = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if product is None:
        raise NotFound(f"There is no product with the id {product_id}.")
    return product


def _require_publishable(product: ScaleFile) -> None:
    reason = None
    if product.is_deleted:
        reason = "was deleted"
    elif product.is_superseded:
        reason = "was superseded by the product of a newer execution"
    elif not product.has_been_published:
        reason = "belongs to an execution that has not completed"
    if reason:
        raise Conflict(f"The product {product.file_name!r} {reason} and cannot be published.")


def _row(
    job_exe_id: int,
    job: Job,
    stored: StoredFile,
    parents: Sequence[Any],
    is_operational: bool,
    now: datetime,
) -> dict[str, Any]:
    where = f"output_data[{stored.output}]"
    geo = stored.geo_metadata or {}
    shape = footprint(geo["geo_json"], f"{where}.geo_json") if geo.get("geo_json") else None
    started, ended = file.times(geo, where)
    identity = f"{job.job_type_id}{stored.file_name}{''.join(sorted(parent.uuid for parent in parents))}"
    return {
        "file_type": FileType.PRODUCT,
        "file_name": stored.file_name,
        "media_type": stored.media_type,
        "file_size": stored.file_size,
        "data_type": [],
        "file_path": stored.file_path,
        "workspace_id": stored.workspace_id,
        "uuid": hashlib.md5(identity.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest(),
        "data_started": started,
        "data_ended": ended,
        "geometry": shape and file.placed(shape.geometry),
        "center_point": shape and file.placed(shape.center),
        "meta_data": shape.properties if shape else {},
        "job_exe_id": job_exe_id,
        "job_id": job.id,
        "job_type_id": job.job_type_id,
        "job_output": stored.output,
        "is_operational": is_operational,
        "created": now,
    }


def _inputs(session: Session, job: Job) -> Sequence[Any]:
    columns = (ScaleFile.id, ScaleFile.uuid, ScaleFile.is_operational)
    return session.execute(select(*columns).where(ScaleFile.id.in_(file.input_ids(job))).order_by(ScaleFile.id)).all()


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
    session.execute(delete_rows(FileAncestryLink).where(FileAncestryLink.job_exe_id == job_exe_id))
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
