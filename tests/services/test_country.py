"""The countries of files, with the borders that Scale ships, on real PostGIS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import shapely
from geoalchemy2 import WKTElement
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from scale_core import countries
from scale_core.db.file import CountryBorder, CountryData, ScaleFile
from scale_core.documents.geometry import footprint
from scale_core.services import country, file
from tests import factories as make
from tests.conftest import NOW


@pytest.fixture(scope="module")
def world(engine: Engine) -> Iterator[Callable[[], Session]]:
    """Sessions that see the borders; what they commit is gone after this module."""
    with engine.connect() as connection:
        outer = connection.begin()
        made = sessionmaker(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
        assert countries.load(made) is True
        yield made
        outer.rollback()


@pytest.fixture
def session(world: Callable[[], Session]) -> Iterator[Session]:
    with world() as made:
        yield made
        made.rollback()


def codes(session: Session, geo_json: dict[str, object], **values: object) -> list[str]:
    shape = footprint(geo_json)
    assert shape is not None
    values = {"geometry": file.placed(shape.geometry), **values}
    source = make.make_source(session, make.make_workspace(session), **values)
    country.assign(session, [source.id])
    session.expire_all()
    return [each.iso3 for each in source.countries]


def box(west: float, south: float, east: float, north: float) -> dict[str, object]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


PLACES = {
    "Berlin": ([13.4, 52.5], ["DEU"]),
    "Dover, on the coast": ([1.3, 51.13], ["GBR"]),
    "Maseru, in a country within a country": ([27.48, -29.31], ["LSO"]),
    "San Marino": ([12.45, 43.94], ["SMR"]),
    "Kaliningrad, an exclave": ([20.5, 54.7], ["RUS"]),
    "Cabinda, another": ([12.3, -5.2], ["AGO"]),
    "Suva": ([178.44, -18.12], ["FJI"]),
    "Taveuni, where the antimeridian runs": ([-179.97, -16.78], ["FJI"]),
    "Chukotka, beyond the antimeridian": ([-172.5, 65.5], ["RUS"]),
    "the hills of Anadyr": ([176.0, 65.5], ["RUS"]),
    "Honolulu": ([-157.85, 21.32], ["USA"]),
    "Paris": ([2.35, 48.86], ["FRA"]),
    "Oslo": ([10.75, 59.91], ["NOR"]),
    "Pristina": ([21.16, 42.66], ["XKX"]),
    "Kyrenia": ([33.32, 35.3], ["CYP"]),
    "Hargeisa": ([44.06, 9.56], ["SOM"]),
    "the Siachen glacier": ([77.1, 35.4], ["IND"]),
    "Sevastopol": ([33.6, 44.65], ["UKR"]),
    "Akrotiri": ([32.95, 34.58], ["GBR"]),
    "Guantanamo Bay": ([-75.11, 19.93], ["CUB"]),
    "Bir Tawil": ([33.8, 21.87], []),
    "the Atlantic": ([-30.0, 30.0], []),
    "the South Pole": ([0.0, -89.9], ["ATA"]),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_lies_in_its_country(session: Session, place: str) -> None:
    where, expected = PLACES[place]
    assert codes(session, {"type": "Point", "coordinates": where}) == expected


def test_an_area_lies_in_every_country_that_it_touches(session: Session) -> None:
    assert codes(session, box(5.9, 50.7, 6.1, 50.8)) == ["BEL", "DEU", "NLD"]
    assert codes(session, box(12.4, 41.85, 12.5, 41.95)) == ["ITA", "VAT"]
    assert codes(session, box(27, -30, 29, -29)) == ["LSO", "ZAF"]


@pytest.mark.parametrize("east", [-179.0, 181.0])
def test_an_area_across_the_antimeridian_is_not_in_all_the_countries_between(session: Session, east: float) -> None:
    assert codes(session, box(179, -18, east, -16)) == ["FJI"]
    assert codes(session, box(178, 65, east, 70)) == ["RUS"]
    assert codes(session, box(178, 51, east, 53)) == ["USA"]


def test_every_country_has_a_code_and_no_other_has_it(session: Session) -> None:
    rows = session.scalars(select(CountryData)).all()
    assert len(rows) == 239
    assert len({row.iso3 for row in rows}) == len({row.iso2 for row in rows}) == len(rows)
    assert all(len(row.iso3) == 3 and row.iso3.isalpha() for row in rows)
    assert session.scalar(select(func.bool_and(func.ST_IsValid(CountryData.border)))) is True
    assert session.scalar(select(func.max(func.ST_NPoints(CountryBorder.part)))) <= 128


def test_pieces_cover_what_their_border_covers(session: Session) -> None:
    pieces = select(func.sum(func.ST_Area(CountryBorder.part))).where(CountryBorder.country_data_id == CountryData.id)
    areas = session.execute(
        select(CountryData.iso3, func.ST_Area(CountryData.border), pieces.scalar_subquery()).order_by(CountryData.id)
    ).all()
    for iso3, whole, parts in areas:
        assert parts == pytest.approx(whole, rel=1e-9), iso3


def test_a_border_counts_from_its_date_until_the_next(session: Session) -> None:
    where = {"type": "Point", "coordinates": [31.6, 4.85]}  # Juba: South Sudan since 2011
    merged = session.scalar(
        select(func.ST_AsEWKT(func.ST_Union(CountryData.border))).where(CountryData.iso3.in_(["SDN", "SSD"]))
    )
    session.execute(text("UPDATE country_data SET effective = '2011-07-09' WHERE iso3 IN ('SDN', 'SSD')"))
    old = CountryData(name="Sudan", iso3="SDN", border=WKTElement(str(merged), extended=True), effective=country.SINCE)
    session.add(old)
    session.flush()
    country.subdivide(session, [old.id])
    assert codes(session, where, data_started=datetime(2010, 1, 1, tzinfo=UTC)) == ["SDN"]
    assert codes(session, where, data_started=datetime(2012, 1, 1, tzinfo=UTC)) == ["SSD"]
    assert codes(session, where, data_ended=datetime(2010, 1, 1, tzinfo=UTC)) == ["SDN"]
    assert codes(session, where, created=datetime(2012, 1, 1, tzinfo=UTC)) == ["SSD"]
    assert codes(session, where, created=datetime(1890, 1, 1, tzinfo=UTC)) == []


def test_borders_are_loaded_once_and_again_when_a_start_was_cut_short(world: Callable[[], Session]) -> None:
    assert countries.load(world) is False
    with world() as session:
        before = session.scalar(select(func.count()).select_from(CountryBorder))
        shape = file.placed(shapely.Point(13.4, 52.5))
        source = make.make_source(session, make.make_workspace(session), geometry=shape)  # nobody told it
        gone = CountryData(name="Atlantis", iso3="ATL", border=WKTElement("POINT(0 0)", 4326), effective=country.SINCE)
        session.add(gone)
        session.execute(text("UPDATE country_data SET source = NULL"))
        session.commit()
    assert countries.load(world) is True
    with world() as session:
        assert [each.iso3 for each in session.get_one(ScaleFile, source.id).countries] == ["DEU"]
        assert session.scalar(select(func.count()).select_from(CountryBorder)) == before
        assert session.get_one(CountryData, gone.id).is_deleted
        assert country.is_loaded(session, countries.source())
        assert not country.is_loaded(session, "another data set")
    assert countries.load(world) is False


def test_a_place_without_a_code_that_nobody_has_decided_on_is_noticed(session: Session) -> None:
    with pytest.raises(KeyError, match="Neverland"):
        countries._code({"ISO_A3_EH": "-99", "NAME_LONG": "Neverland"})
    without = {record["NAME_LONG"] for record, _ in countries._records() if record["ISO_A3_EH"] == "-99"}
    assert without == set(countries.WITHOUT_CODE)
    assert NOW > country.SINCE
