"""Footprints as algorithms write them: well, badly, across the antimeridian, around the poles, and far too large."""

from __future__ import annotations

import math
from typing import Any

import pytest
import shapely
from geoalchemy2.shape import from_shape
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.documents import geometry
from scale_core.documents.geometry import Footprint, footprint
from scale_core.errors import Invalid

WORLD = shapely.box(-180, -90, 180, 90)


def polygon(*rings: list[tuple[float, ...]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(position) for position in ring] for ring in rings]}


def box(west: float, south: float, east: float, north: float) -> list[tuple[float, ...]]:
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def feature(shape: dict[str, Any] | None, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": shape, "properties": properties}


def made(geo_json: dict[str, Any]) -> Footprint:
    found = footprint(geo_json)
    assert found is not None
    assert found.geometry.is_valid
    assert WORLD.covers(found.geometry)
    assert not found.geometry.has_z
    return found


def same(one: shapely.Geometry, other: shapely.Geometry) -> bool:
    """Whether two areas differ by no more than rounding does."""
    return one.symmetric_difference(other).area < 1e-6


def refusal(geo_json: object) -> str:
    with pytest.raises(Invalid) as refused:
        footprint(geo_json)
    return str(refused.value)


SQUARE = polygon([(1, 1, 5), (3, 1, 5), (3, 3, 5), (1, 3, 5), (1, 1, 5)])


@pytest.mark.parametrize(
    "geo_json",
    [
        SQUARE,
        feature(SQUARE),
        {"type": "FeatureCollection", "features": [feature(SQUARE)]},
        {"type": "GeometryCollection", "geometries": [SQUARE]},
        {"type": "MultiPolygon", "coordinates": [polygon(box(1, 1, 2, 3))["coordinates"], [box(2, 1, 3, 3)]]},
        {"type": "FeatureCollection", "features": [feature(None), feature(SQUARE), feature(SQUARE)]},
    ],
)
def test_every_kind_of_geojson_in_two_or_three_dimensions(geo_json: dict[str, Any]) -> None:
    geo_json = {**geo_json, "crs": "is ignored"}
    found = made(_as_lists(geo_json))
    assert same(found.geometry, shapely.box(1, 1, 3, 3))
    assert found.center == shapely.Point(2, 2)


def _as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_lists(each) for key, each in value.items()}
    return [_as_lists(each) for each in value] if isinstance(value, list | tuple) else value


def test_points_and_lines() -> None:
    assert made({"type": "Point", "coordinates": [7, 8, 9]}).geometry == shapely.Point(7, 8)
    assert made({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}).geometry.geom_type == "MultiPoint"
    assert made({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}).center == shapely.Point(2, 3)
    lines = made({"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]})
    assert lines.geometry.geom_type == "MultiLineString"
    assert made({"type": "LineString", "coordinates": [[1, 2], [1, 2]]}).geometry == shapely.Point(1, 2)


@pytest.mark.parametrize(
    "geo_json",
    [
        {"type": "FeatureCollection", "features": []},
        feature(None),
        {"type": "Polygon", "coordinates": []},
        {"type": "GeometryCollection", "geometries": []},
    ],
)
def test_what_is_empty_is_no_footprint(geo_json: dict[str, Any]) -> None:
    assert footprint(geo_json) is None


def test_properties_are_those_of_the_first_feature_that_has_any() -> None:
    features = [{"type": "Feature", "geometry": SQUARE, "properties": None}, feature(SQUARE, a=1), feature(SQUARE, b=2)]
    assert made({"type": "FeatureCollection", "features": features}).properties == {"a": 1}
    assert made(SQUARE).properties == {}


def test_an_open_ring_is_closed_and_a_crossing_one_repaired() -> None:
    assert same(made(polygon(box(1, 1, 3, 3)[:-1])).geometry, shapely.box(1, 1, 3, 3))
    bow_tie = made(polygon([(0, 0), (2, 2), (2, 0), (0, 2), (0, 0)])).geometry
    assert bow_tie.area == pytest.approx(2)
    assert made(polygon([(0, 0), (2, 2), (0, 0), (0, 0)])).geometry.length == pytest.approx(2 * math.sqrt(8))


FIJI = shapely.MultiPolygon([shapely.box(170, -20, 180, -10), shapely.box(-180, -20, -170, -10)])


@pytest.mark.parametrize(
    "geo_json",
    [
        polygon(box(170, -20, -170, -10)),
        polygon(box(170, -20, 190, -10)),
        polygon(box(-190, -20, -170, -10)),
        {"type": "MultiPolygon", "coordinates": [[box(170, -20, 180, -10)], [box(-180, -20, -170, -10)]]},
        {
            "type": "GeometryCollection",
            "geometries": [polygon(box(170, -20, 180, -10)), polygon(box(180, -20, 190, -10))],
        },
    ],
)
def test_the_antimeridian_may_be_crossed_in_any_notation(geo_json: dict[str, Any]) -> None:
    found = made(_as_lists(geo_json))
    assert same(found.geometry, FIJI)
    assert (abs(found.center.x), found.center.y) == (pytest.approx(180), pytest.approx(-15))


@pytest.mark.parametrize("hole", [box(-175, -18, -172, -15), box(185, -18, 188, -15), box(174, -18, -174, -15)])
def test_holes_are_cut_wherever_they_are_written(hole: list[tuple[float, ...]]) -> None:
    west, east = hole[0][0] % 360, hole[1][0] % 360
    gone = made(polygon(box(west, -18, east, -15))).geometry
    assert same(made(polygon(box(170, -20, -170, -10), hole)).geometry, FIJI.difference(gone))


@pytest.mark.parametrize(("latitude", "pole"), [(80, 90), (-75, -90)])
def test_a_ring_around_a_pole_contains_it(latitude: float, pole: float) -> None:
    ring = [(longitude, latitude) for longitude in (10, 100, -170, -80, 10)]
    assert same(made(polygon(ring)).geometry, shapely.box(-180, latitude, 180, pole))
    assert same(made(polygon(ring[::-1])).geometry, shapely.box(-180, latitude, 180, pole))
    nearer = (latitude + pole) / 2
    hole = [(longitude, nearer) for longitude in (0, 90, 180, -90, 0)]
    assert same(made(polygon(ring, hole)).geometry, shapely.box(-180, latitude, 180, nearer))


def test_a_map_of_the_whole_world_is_the_world() -> None:
    assert same(made(polygon(box(-180, -90, 180, 90))).geometry, WORLD)
    assert same(made(polygon([*box(0, -90, 360, 90)])).geometry, WORLD)
    assert made(polygon(box(-180, -90, 180, 90))).center == shapely.Point(0, 0)


def test_lines_and_points_beyond_the_edge() -> None:
    line = made({"type": "LineString", "coordinates": [[179, 0], [-179, 2]]})
    assert line.geometry == shapely.MultiLineString([[(179, 0), (180, 1)], [(-180, 1), (-179, 2)]])
    islands = made({"type": "MultiPoint", "coordinates": [[179, 0], [-179, 0], [183, 0]]})
    assert {point.x for point in islands.geometry.geoms} == {179, -179, -177}
    assert islands.center.x == pytest.approx(-179)


degrees = st.floats(-180, 180, allow_nan=False).map(lambda value: round(value, 3))


@given(degrees, st.floats(0.01, 179), st.floats(-89, 88), st.floats(0.01, 1))
def test_a_box_anywhere_has_its_area_its_center_and_its_inside(
    west: float, width: float, south: float, height: float
) -> None:
    beyond = made(polygon(box(west, south, west + width, south + height)))
    jumping = (west + width + 180) % 360 - 180
    back = made(polygon(box(west, south, jumping, south + height)))
    assert same(beyond.geometry, back.geometry)
    assert beyond.geometry.area == pytest.approx(width * height, rel=1e-6)
    middle = (west + width / 2 + 180) % 360 - 180
    off = abs(beyond.center.x - middle)
    assert min(off, 360 - off) < 1e-6
    assert beyond.center.y == pytest.approx(south + height / 2)
    assert beyond.geometry.buffer(1e-9).covers(shapely.Point(middle, south + height / 2))
    assert not beyond.geometry.covers(shapely.Point((middle + 360) % 360 - 180, south + height / 2))


numbers = st.one_of(
    st.floats(), st.integers(-400, 400), st.floats(-200, 200), st.sampled_from([0, 1, 180, -180, 90, -90])
)
positions = st.lists(numbers, min_size=2, max_size=3)
rings = st.lists(st.lists(st.integers(-190, 190), min_size=2, max_size=2), min_size=0, max_size=9)
coordinates = st.recursive(st.one_of(numbers, positions), lambda inner: st.lists(inner, max_size=6), max_leaves=12)
kinds = st.sampled_from([*geometry._DEPTHS, "GeometryCollection", "Feature", "FeatureCollection", "Circle", None, 1])
nonsense = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=3), coordinates),
    lambda inner: st.fixed_dictionaries(
        {"type": kinds},
        optional={
            "coordinates": coordinates,
            "geometry": inner,
            "geometries": st.lists(inner, max_size=3),
            "features": st.lists(inner, max_size=3),
            "properties": inner,
        },
    ),
    max_leaves=5,
)


@given(
    st.one_of(nonsense, st.builds(lambda found: {"type": "Polygon", "coordinates": found}, st.lists(rings, max_size=3)))
)
def test_anything_is_a_valid_footprint_within_the_world_or_refused_by_name(geo_json: object) -> None:
    refused, found = "", None
    try:
        found = footprint(geo_json)
    except Invalid as error:
        refused = str(error)
    assert refused.startswith("geo_json" if refused else "")
    if found is not None:
        assert found.geometry.is_valid
        assert WORLD.covers(found.geometry)
        assert WORLD.covers(found.center)


@pytest.mark.parametrize(
    ("geo_json", "reason"),
    [
        (7, "geo_json: must be a GeoJSON object"),
        ({"type": "Circle"}, "geo_json.type: 'Circle' is not a GeoJSON geometry: use Point, "),
        ({"type": "Point"}, "geo_json.coordinates: is not a GeoJSON geometry: a Point needs a list"),
        ({"type": "Point", "coordinates": [1, math.nan]}, "geo_json.coordinates: the latitude nan is outside"),
        ({"type": "Point", "coordinates": [361, 1]}, "geo_json.coordinates: the longitude 361 is outside"),
        ({"type": "Point", "coordinates": [10**400, 1]}, "geo_json.coordinates: the longitude 1000"),
        ({"type": "Point", "coordinates": [True, 1]}, "geo_json.coordinates: the longitude True is not a number"),
        (feature(polygon([(0, 0), (1, 91), (1, 1), (0, 0)])), "geo_json.geometry.coordinates[0][1]: the latitude 91"),
        (polygon([(0, 0), (1, 1), (0, 0)]), "geo_json.coordinates[0]: is not a ring: it needs at least 4 positions"),
        (polygon(box(-300, 0, 300, 1)), "geo_json.coordinates: spans 600 degrees of longitude"),
        ({"type": "FeatureCollection", "features": 1}, "geo_json.features: must be a list of features"),
        (
            {
                "type": "FeatureCollection",
                "features": [feature(SQUARE), feature({"type": "LineString", "coordinates": [[1, 2]]})],
            },
            "geo_json.features[1].geometry.coordinates: is not a line",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(geo_json: object, reason: str) -> None:
    assert refusal(geo_json).startswith(reason)


def test_geometries_in_geometries_have_an_end() -> None:
    nested: dict[str, Any] = SQUARE
    for _ in range(geometry.MAX_NESTING + 1):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    assert "nested deeper than 8 levels" in refusal(nested)


def test_a_footprint_of_a_million_positions_is_refused_also_in_pieces() -> None:
    assert "more than 50000 positions" in refusal({"type": "LineString", "coordinates": [[0, 0]] * 1_000_000})
    pieces = [feature({"type": "MultiPoint", "coordinates": [[0, 0]] * 1000})] * 51
    assert "features[50].geometry.coordinates: has more than 50000" in refusal(
        {"type": "FeatureCollection", "features": pieces}
    )


def test_a_ring_that_crosses_itself_too_often_is_refused_before_it_costs_anything() -> None:
    count = 801  # every edge of this star crosses almost every other
    angles = [2 * math.pi * (count // 2) * number / count for number in range(count)]
    star = [(80 * math.cos(angle), 80 * math.sin(angle)) for angle in angles]
    assert "cross each other more than 10000 times" in refusal(polygon([*star, star[0]]))
    few = [(80 * math.cos(angle), 80 * math.sin(angle)) for angle in angles[:50]]
    assert made(polygon([*few, few[0]])).geometry.area > 0


def test_features_that_overlap_too_often_stay_apart() -> None:
    bars = [feature(polygon(box(-80, y / 10, 80, y / 10 + 0.05))) for y in range(150)]
    bars += [feature(polygon(box(x / 10, -10, x / 10 + 0.05, 60))) for x in range(150)]
    found = made({"type": "FeatureCollection", "features": _as_lists(bars)})
    assert (found.geometry.geom_type, len(found.geometry.geoms)) == ("GeometryCollection", 300)
    overlapping = [feature(polygon(box(0, 0, 2, 2))), feature(polygon(box(1, 1, 3, 3)))]
    merged = made({"type": "FeatureCollection", "features": _as_lists(overlapping)})
    assert merged.geometry.geom_type == "Polygon"


@pytest.mark.parametrize(
    ("place", "inside"), [((179.5, -17), True), ((-179.5, -17), True), ((0, -17), False), ((168, -17), False)]
)
def test_postgis_finds_what_crosses_the_antimeridian_on_both_sides(
    session: Session, place: tuple[float, float], inside: bool
) -> None:
    shape = from_shape(made(polygon(box(170, -20, -170, -10))).geometry, srid=4326)
    point = from_shape(shapely.Point(place), srid=4326)
    assert session.scalar(select(func.ST_IsValid(shape))) is True
    assert session.scalar(select(func.ST_Intersects(shape, point))) is inside
