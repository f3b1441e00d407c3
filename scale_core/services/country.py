"""Countries: their borders, and which of them a file's footprint touches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from geoalchemy2.elements import WKBElement
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from scale_core.db.file import CountryBorder, CountryData, ScaleFile, file_countries
from scale_core.db.session import advisory_lock
from scale_core.db.sql import load

SRID = 4326
SQL = load("country")
SINCE = datetime(1900, 1, 1, tzinfo=UTC)  # borders that come without a date count from here on


@dataclass(frozen=True)
class Country:
    """A country as a data set has it; `border` is well-known binary, valid, longitude and latitude of WGS 84."""

    name: str
    iso3: str
    border: bytes
    iso2: str = ""
    iso_num: int = 0
    fips: str = ""


def is_loaded(session: Session, source: str) -> bool:
    """Whether the countries are those of this data set, and files were told so."""
    return session.scalar(select(CountryData.id).where(CountryData.source == source).limit(1)) is not None


def store(session: Session, countries: Sequence[Country], now: datetime) -> None:
    """Make the borders since 1900 those of a data set; what it does not have any more counts as deleted.

    Borders with a later date, which administrators add, stay. Until `mark` says that files were told, nothing counts as
    loaded, so that a process that dies in between does it all again.
    """
    advisory_lock(session, "countries")
    known = {row.name: row for row in session.scalars(select(CountryData).where(CountryData.effective == SINCE))}
    rows = []
    for country in countries:
        row = known.pop(country.name, None) or CountryData(name=country.name, effective=SINCE, created=now)
        row.iso3, row.iso2, row.iso_num, row.fips = country.iso3, country.iso2, country.iso_num, country.fips
        row.border, row.source = WKBElement(country.border, srid=SRID), None
        row.is_deleted, row.deleted = False, None
        rows.append(row)
    for row in known.values():
        row.is_deleted, row.deleted, row.source = True, now, None
    session.add_all(rows)
    session.flush()
    subdivide(session, [row.id for row in rows])


def subdivide(session: Session, ids: Sequence[int]) -> None:
    """Cut the borders of these countries into pieces; to be called whenever a border has changed."""
    session.execute(delete(CountryBorder).where(CountryBorder.country_data_id.in_(ids)))
    session.execute(SQL["subdivide"], {"ids": list(ids)})


def mark(session: Session, source: str) -> None:
    """The borders since 1900 are those of this data set, and files know it."""
    session.execute(
        update(CountryData).where(CountryData.effective == SINCE, ~CountryData.is_deleted).values(source=source)
    )


def assign(session: Session, file_ids: Iterable[int]) -> None:
    """The countries whose borders a footprint touches, as they were when its data were taken."""
    ids = list(file_ids)
    if not ids:
        return
    session.execute(delete(file_countries).where(file_countries.c.scale_file_id.in_(ids)))
    session.execute(SQL["assign"], {"ids": ids})


def assign_next(session: Session, after_id: int, limit: int) -> int | None:
    """Assign the countries of the next files by id; returns the last one's, None when there are no more."""
    query = select(ScaleFile.id).where(ScaleFile.id > after_id, ScaleFile.geometry.is_not(None))
    ids = session.scalars(query.order_by(ScaleFile.id).limit(limit)).all()
    assign(session, ids)
    return ids[-1] if ids else None
