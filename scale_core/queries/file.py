"""Catalogued files: sources, products, and any file."""

from __future__ import annotations

from collections import defaultdict
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
from scale_core.db.session import paginate
from scale_core.errors import NotFound
from scale_core.queries.job_type import without_documents
from scale_core.queries.listing import ALWAYS, Order, Page, Period, Query, With

FILE_ORDER = Order(ScaleFile, default=["last_modified"], related={"workspace": [ScaleFile.workspace]})
PRODUCT_ORDER = Order(
    ScaleFile,
    default=["last_modified"],
    related={
        "workspace": [ScaleFile.workspace],
        "job_type": [ScaleFile.job_type],
        "job": [ScaleFile.job],
        "job_exe": [ScaleFile.job_exe],
    },
)


@dataclass(frozen=True)
class FileFilters:
    period: Period = ALWAYS
    file_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceFilters(FileFilters):
    is_parsed: bool | None = None


@dataclass(frozen=True)
class ProductFilters(FileFilters):
    job_type_ids: tuple[int, ...] = ()
    job_type_names: tuple[str, ...] = ()
    job_type_categories: tuple[str, ...] = ()
    is_operational: bool | None = None


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


def wkt(element: WKBElement | None) -> str | None:
    """The well-known text of a geometry column, with every digit."""
    if element is None:
        return None
    return str(shapely.to_wkt(to_shape(element), rounding_precision=-1))


def file_options(path: Any = None) -> list[ORMOption]:
    """Eager loads of what every file shows: its workspace and its countries."""
    if path is None:
        return [joinedload(ScaleFile.workspace), selectinload(ScaleFile.countries)]
    return [path.joinedload(ScaleFile.workspace), path.selectinload(ScaleFile.countries)]


def product_options() -> list[ORMOption]:
    return [*file_options(), without_documents(joinedload(ScaleFile.job_type)), raiseload("*")]


def list_files(session: Session, filters: FileFilters, page: Page) -> tuple[Sequence[ScaleFile], int]:
    query = _filtered(select(ScaleFile), filters).options(*file_options())
    return paginate(session, FILE_ORDER.apply(query, page.order), page.offset, page.size)


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


def list_sources(session: Session, filters: SourceFilters, page: Page) -> tuple[Sequence[ScaleFile], int]:
    query = _filtered(select(ScaleFile).where(ScaleFile.file_type == FileType.SOURCE), filters)
    if filters.is_parsed is not None:
        query = query.where(ScaleFile.is_parsed.is_(filters.is_parsed))
    query = query.options(*file_options())
    return paginate(session, FILE_ORDER.apply(query, page.order), page.offset, page.size)


def list_source_updates(session: Session, filters: SourceFilters, page: Page) -> tuple[list[With], int]:
    rows, total = list_sources(session, filters, page)
    return [With(row, update=source_update(row)) for row in rows], total


def source_update(file: ScaleFile) -> Update:
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


def list_products(session: Session, filters: ProductFilters, page: Page) -> tuple[Sequence[ScaleFile], int]:
    """Products that have been published at some time."""
    query = select(ScaleFile).where(ScaleFile.file_type == FileType.PRODUCT, ScaleFile.has_been_published)
    query = _filtered(query, filters)
    if filters.job_type_ids:
        query = query.where(ScaleFile.job_type_id.in_(filters.job_type_ids))
    types = select(JobType.id)
    if filters.job_type_names:
        query = query.where(ScaleFile.job_type_id.in_(types.where(JobType.name.in_(filters.job_type_names))))
    if filters.job_type_categories:
        query = query.where(ScaleFile.job_type_id.in_(types.where(JobType.category.in_(filters.job_type_categories))))
    if filters.is_operational is not None:
        query = query.where(ScaleFile.is_operational.is_(filters.is_operational))
    query = query.options(*product_options())
    return paginate(session, PRODUCT_ORDER.apply(query, page.order), page.offset, page.size)


def list_product_updates(session: Session, filters: ProductFilters, page: Page) -> tuple[list[With], int]:
    """Products with their last `update` and the `source_files` that they come from."""
    rows, total = list_products(session, filters, page)
    sources = _source_ancestors(session, [row.id for row in rows])
    return [With(row, update=product_update(row), source_files=sources[row.id]) for row in rows], total


def product_update(file: ScaleFile) -> Update:
    if file.is_deleted:
        return Update("DELETED", file.deleted)
    if file.is_published:
        return Update("PUBLISHED", file.published)
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


def _source_ancestors(session: Session, product_ids: Sequence[int]) -> Mapping[int, list[ScaleFile]]:
    sources: dict[int, list[ScaleFile]] = defaultdict(list)
    if not product_ids:
        return sources
    source = aliased(ScaleFile)
    pairs = session.execute(
        select(FileAncestryLink.descendant_id, func.array_agg(source.id.distinct()))
        .join(source, source.id == FileAncestryLink.ancestor_id)
        .where(FileAncestryLink.descendant_id.in_(product_ids), source.file_type == FileType.SOURCE)
        .group_by(FileAncestryLink.descendant_id)
    ).all()
    files = files_by_id(session, [file_id for _, ids in pairs for file_id in ids])
    for product_id, ids in pairs:
        assert product_id is not None
        sources[product_id] = [files[file_id] for file_id in sorted(ids)]
    return sources
