"""Catalogued files: sources, products, and any file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import shapely
from geoalchemy2.elements import WKBElement
from geoalchemy2.shape import to_shape
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased, joinedload, raiseload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from scale_core.db.file import FileAncestryLink, FileType, ScaleFile
from scale_core.db.job import JobType
from scale_core.errors import NotFound
from scale_core.queries.job_type import without_documents
from scale_core.queries.listing import ALWAYS, Order, Page, Period, Query, With, has_part, read_page
from scale_core.queries.shape import Json, Shape, by_id, rows

FILE_ORDER = Order(ScaleFile, default=["last_modified"], related=["workspace"])
PRODUCT_ORDER = Order(ScaleFile, default=["last_modified"], related=["workspace", "job_type", "job", "job_exe"])


@dataclass(frozen=True)
class FileFilters:
    period: Period = ALWAYS
    file_names: tuple[str, ...] = ()
    file_name_part: str | None = None


@dataclass(frozen=True)
class SourceFilters(FileFilters):
    is_parsed: bool | None = None


@dataclass(frozen=True)
class ProductFilters(FileFilters):
    job_type_ids: tuple[int, ...] = ()
    job_type_names: tuple[str, ...] = ()
    job_type_categories: tuple[str, ...] = ()
    is_operational: bool | None = None
    is_published: bool | None = None
    is_superseded: bool | None = None


@dataclass(frozen=True)
class Update:
    """The last thing that happened to a file."""

    action: str
    when: datetime | None


@dataclass(frozen=True)
class Family:
    """Files that a product was made from, nearest or farthest, and files that were made from it."""

    sources: list[ScaleFile] = field(default_factory=list)
    ancestors: list[ScaleFile] = field(default_factory=list)
    descendants: list[ScaleFile] = field(default_factory=list)


def wkt(geometry: WKBElement) -> str:
    """The well-known text of an object's geometry, with every digit."""
    return str(shapely.to_wkt(to_shape(geometry), rounding_precision=-1))


def all_wkt(geometries: list[str]) -> list[str]:
    """The same of many, as PostGIS prints them: one by one shapely takes twenty times as long."""
    texts: list[str] = shapely.to_wkt(shapely.from_wkb(geometries), rounding_precision=-1).tolist()
    return texts


def file_options(path: Any = None) -> list[ORMOption]:
    """Eager loads of what every file shows: its workspace and its countries."""
    if path is None:
        return [joinedload(ScaleFile.workspace), selectinload(ScaleFile.countries)]
    return [path.joinedload(ScaleFile.workspace), path.selectinload(ScaleFile.countries)]


def product_options() -> list[ORMOption]:
    return [*file_options(), without_documents(joinedload(ScaleFile.job_type)), raiseload("*")]


def list_files(session: Session, filters: FileFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = _filtered(select(ScaleFile.id), filters)
    return read_page(session, query, FILE_ORDER, page, filters, rows(ScaleFile, shape).read)


def get_file(session: Session, file_id: int) -> ScaleFile:
    """Any file, with its workspace. Raises NotFound."""
    return _one(session, select(ScaleFile).where(ScaleFile.id == file_id).options(*file_options()), f"id {file_id}")


def files_by_id(session: Session, ids: Iterable[int]) -> dict[int, ScaleFile]:
    """Those of the files that exist, as any file shows."""
    wanted = tuple(set(ids))
    if not wanted:
        return {}
    query = select(ScaleFile).where(ScaleFile.id.in_(wanted)).options(*file_options())
    return {file.id: file for file in session.scalars(query)}


def list_sources(session: Session, filters: SourceFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    return read_page(session, _sources(filters), FILE_ORDER, page, filters, rows(ScaleFile, shape).read)


def list_source_updates(session: Session, filters: SourceFilters, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """Sources with their last `update`."""
    read = rows(ScaleFile, shape, ("is_deleted", "deleted", "is_parsed", "parsed", "created")).read_with_extra
    found, total = read_page(session, _sources(filters), FILE_ORDER, page, filters, read)
    return [{**source, "update": source_update(state)} for source, state in found], total


def _sources(filters: SourceFilters) -> Query:
    query = _filtered(select(ScaleFile.id).where(ScaleFile.file_type == FileType.SOURCE), filters)
    return query if filters.is_parsed is None else query.where(ScaleFile.is_parsed.is_(filters.is_parsed))


def source_update(file: Any) -> Update:
    if file.is_deleted:
        return Update("DELETED", file.deleted)
    if file.is_parsed:
        return Update("PARSED", file.parsed)
    return Update("CREATED", file.created)


def get_source(session: Session, key: int | str) -> With:
    """A source by id, or the newest of a name, with its `ingests` and the `products` made from it. Raises NotFound."""
    query = select(ScaleFile).where(ScaleFile.file_type == FileType.SOURCE)
    query = query.options(*file_options(), selectinload(ScaleFile.ingests))
    file = _by_key(session, query, key, "source")
    return With(file, products=_related(session, file.id).descendants)


def list_products(session: Session, filters: ProductFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    return read_page(session, _products(filters), PRODUCT_ORDER, page, filters, rows(ScaleFile, shape).read)


def list_product_updates(session: Session, filters: ProductFilters, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """Products with their last `update` and the `source_files` that they come from."""
    extra = ("id", "is_deleted", "deleted", "is_published", "published", "unpublished", "last_modified")
    read = rows(ScaleFile, shape, extra).read_with_extra
    found, total = read_page(session, _products(filters), PRODUCT_ORDER, page, filters, read)
    sources = _source_ancestors(session, [state.id for _, state in found], shape["source_files"])
    return [
        {**product, "update": product_update(state), "source_files": sources.get(state.id, [])}
        for product, state in found
    ], total


def _products(filters: ProductFilters) -> Query:
    """Products that have been published at some time."""
    query = select(ScaleFile.id).where(ScaleFile.file_type == FileType.PRODUCT, ScaleFile.has_been_published)
    query = _filtered(query, filters)
    if filters.job_type_ids:
        query = query.where(ScaleFile.job_type_id.in_(filters.job_type_ids))
    types = select(JobType.id)
    if filters.job_type_names:
        query = query.where(ScaleFile.job_type_id.in_(types.where(JobType.name.in_(filters.job_type_names))))
    if filters.job_type_categories:
        query = query.where(ScaleFile.job_type_id.in_(types.where(JobType.category.in_(filters.job_type_categories))))
    for name in ("is_operational", "is_published", "is_superseded"):
        wanted = getattr(filters, name)
        if wanted is not None:
            query = query.where(getattr(ScaleFile, name).is_(wanted))
    return query


def product_update(file: Any) -> Update:
    if file.is_deleted:
        return Update("DELETED", file.deleted)
    if file.is_published:
        # published again, after it had been taken back: `published` says when it was originally published
        return Update("PUBLISHED", file.last_modified if file.unpublished else file.published)
    return Update("UNPUBLISHED", file.unpublished)


def get_product(session: Session, key: int | str) -> With:
    """A product by id, or the newest of a name, with `sources`, `ancestors` and `descendants`. Raises NotFound."""
    query = select(ScaleFile).where(ScaleFile.file_type == FileType.PRODUCT).options(*product_options())
    file = _by_key(session, query, key, "product")
    family = _related(session, file.id)
    return With(file, sources=family.sources, ancestors=family.ancestors, descendants=family.descendants)


def products_of_job(session: Session, job_id: int) -> Sequence[ScaleFile]:
    query = select(ScaleFile).where(ScaleFile.job_id == job_id, ScaleFile.file_type == FileType.PRODUCT)
    return session.scalars(query.options(*product_options()).order_by(ScaleFile.id)).all()


def _filtered(query: Query, filters: FileFilters) -> Query:
    query = filters.period.limit(query, ScaleFile.last_modified)
    if filters.file_names:
        query = query.where(ScaleFile.file_name.in_(filters.file_names))
    if filters.file_name_part:
        query = query.where(has_part(ScaleFile.file_name, filters.file_name_part))
    return query


def _by_key(session: Session, query: Query, key: int | str, what: str) -> ScaleFile:
    if isinstance(key, int):
        return _one(session, query.where(ScaleFile.id == key), f"id {key}", what)
    newest = query.where(ScaleFile.file_name == key).order_by(
        ScaleFile.is_deleted, ScaleFile.created.desc(), ScaleFile.id.desc()
    )
    return _one(session, newest.limit(1), f"name {key!r}", what)


def _one(session: Session, query: Query, key: str, what: str = "file") -> ScaleFile:
    file: ScaleFile | None = session.scalar(query)
    if file is None:
        raise NotFound(f"There is no {what} with the {key}.")
    return file


def _related(session: Session, file_id: int) -> Family:
    """Direct and indirect relatives, oldest first, each once."""
    family = Family()
    ancestors = select(FileAncestryLink.ancestor_id).where(FileAncestryLink.descendant_id == file_id)
    descendants = select(FileAncestryLink.descendant_id).where(FileAncestryLink.ancestor_id == file_id)
    for file in _ordered_files(session, ancestors):
        (family.sources if file.file_type is FileType.SOURCE else family.ancestors).append(file)
    family.descendants.extend(_ordered_files(session, descendants))
    return family


def _ordered_files(session: Session, ids: Query) -> Sequence[ScaleFile]:
    query = select(ScaleFile).where(ScaleFile.id.in_(ids)).order_by(ScaleFile.created, ScaleFile.id)
    return session.scalars(query.options(*product_options())).all()


def _source_ancestors(session: Session, product_ids: Sequence[int], shape: Shape) -> Mapping[int, list[Json]]:
    if not product_ids:
        return {}
    source = aliased(ScaleFile)
    pairs = session.execute(
        select(FileAncestryLink.descendant_id, func.array_agg(source.id.distinct()))
        .join(source, source.id == FileAncestryLink.ancestor_id)
        .where(FileAncestryLink.descendant_id.in_(product_ids), source.file_type == FileType.SOURCE)
        .group_by(FileAncestryLink.descendant_id)
    ).all()
    files = by_id(session, ScaleFile, (file_id for _, ids in pairs for file_id in ids), shape)
    return {product_id: [files[file_id] for file_id in sorted(ids)] for product_id, ids in pairs if product_id}
