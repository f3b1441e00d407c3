"""GeoJSON of results manifests → footprint, center point and properties. Two dimensions are kept; a Z is dropped.

An algorithm may write anything here: the work that one footprint can cause is bounded, see the limits below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import shapely
from shapely.errors import ShapelyError

from scale_core.documents import antimeridian
from scale_core.documents.antimeridian import Positions
from scale_core.errors import Invalid, Problem

MAX_POSITIONS = 50_000  # a shape of nothing but spikes takes seconds then
MAX_CROSSINGS = 10_000  # of edges; each costs about 40 µs and 20 KiB to be resolved
MAX_NESTING = 8  # of geometry collections
_SEGMENTS_AT_ONCE = 64  # a look for crossings may find each of them crossed by every edge there is

# the depth at which the coordinates of a type have their positions
_DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


@dataclass(frozen=True)
class Footprint:
    """A valid geometry within the world (WGS 84 longitude and latitude), its center, and what is told of it."""

    geometry: shapely.Geometry
    center: shapely.Point
    properties: dict[str, Any] = field(default_factory=dict)


def footprint(geo_json: object, path: str = "geo_json") -> Footprint | None:
    """The footprint that a Feature, FeatureCollection or bare geometry describes; None for an empty one.

    Longitudes may go from -360 to 360. What crosses the antimeridian is split there (RFC 7946, 3.1.9): it may be given
    so, with longitudes beyond 180, or with an edge that jumps from one side to the other: an edge longer than 180
    degrees goes the shorter way round, but from -180 to 180 exactly it goes around the world. A ring around a pole
    contains the pole. Rings that cross themselves are made valid. Several features become one geometry; the properties
    are those of the first. Raises Invalid, naming the member that is wrong.
    """
    if not isinstance(geo_json, dict):
        _refuse(path, "must be a GeoJSON object")
    features = _features(geo_json, path)
    reader = _Reader()
    shapes = [
        made
        for where, feature in features
        if feature.get("geometry")
        for made in reader.shapes(feature["geometry"], where)
        if not made.is_empty
    ]
    if not shapes:
        return None
    properties: dict[str, Any] = next(
        (feature["properties"] for _, feature in features if isinstance(feature.get("properties"), dict)), {}
    )
    whole = _united(shapes)
    return Footprint(whole, antimeridian.center(whole), properties)


def _refuse(path: str, reason: str) -> NoReturn:
    raise Invalid(problems=[Problem(path, reason)])


def _features(geo_json: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    """The features, each with the path of its geometry."""
    kind = geo_json.get("type")
    if kind == "FeatureCollection":
        features = geo_json.get("features")
        if not isinstance(features, list) or not all(isinstance(each, dict) for each in features):
            _refuse(f"{path}.features", "must be a list of features")
        return [(f"{path}.features[{index}].geometry", each) for index, each in enumerate(features)]
    if kind == "Feature":
        return [(f"{path}.geometry", geo_json)]
    return [(path, {"geometry": geo_json})]


class _Reader:
    """Makes geometries of GeoJSON; it counts the positions of all that it reads."""

    def __init__(self) -> None:
        self._positions = 0

    def shapes(self, geometry: object, path: str, nesting: int = 0) -> Iterator[shapely.Geometry]:
        """The points, lines and polygons of one geometry, valid and within the world."""
        if not isinstance(geometry, dict):
            _refuse(path, "is not a GeoJSON geometry: it must be an object")
        kind = geometry.get("type")
        if kind == "GeometryCollection":
            members = geometry.get("geometries")
            if not isinstance(members, list):
                _refuse(path, "is not a GeoJSON geometry: a GeometryCollection needs a list of geometries")
            if nesting == MAX_NESTING:
                _refuse(path, f"has geometry collections nested deeper than {MAX_NESTING} levels")
            for index, member in enumerate(members):
                yield from self.shapes(member, f"{path}.geometries[{index}]", nesting + 1)
            return
        if not isinstance(kind, str) or kind not in _DEPTHS:
            known = ", ".join([*_DEPTHS, "GeometryCollection"])
            _refuse(
                f"{path}.type", f"{kind!r:.50} is not a GeoJSON geometry: use {known}, Feature or FeatureCollection"
            )
        yield from self._simple(kind, geometry.get("coordinates"), f"{path}.coordinates")

    def _simple(self, kind: str, coordinates: object, path: str) -> Iterator[shapely.Geometry]:
        if not isinstance(coordinates, list):
            _refuse(path, f"is not a GeoJSON geometry: a {kind} needs a list of coordinates")
        if not coordinates:
            return  # an empty geometry
        if kind == "Point":
            if reason := _wrong(coordinates):
                _refuse(path, reason)
            yield antimeridian.point(coordinates[0], coordinates[1])
        elif kind == "MultiPoint":
            for position in self._positions_of(coordinates, path):
                yield antimeridian.point(*position)
        elif kind == "LineString":
            yield self._line(coordinates, path)
        elif kind == "Polygon":
            yield self._polygon(coordinates, path)
        else:
            make = self._line if kind == "MultiLineString" else self._polygon
            for index, each in enumerate(coordinates):
                yield make(each, f"{path}[{index}]")

    def _line(self, coordinates: object, path: str) -> shapely.Geometry:
        positions = self._positions_of(coordinates, path)
        if len(positions) < 2:
            _refuse(path, "is not a line: it needs at least 2 positions")
        return self._made(antimeridian.line, positions, path)

    def _polygon(self, coordinates: object, path: str) -> shapely.Geometry:
        if not isinstance(coordinates, list) or not coordinates:
            _refuse(path, "is not a polygon: it needs a list of rings")
        rings = [self._ring(ring, f"{path}[{index}]") for index, ring in enumerate(coordinates)]
        return self._made(antimeridian.polygon, rings, path)

    def _ring(self, coordinates: object, path: str) -> Positions:
        positions = self._positions_of(coordinates, path)
        if positions and positions[0] != positions[-1]:
            positions.append(positions[0])  # not closed, as the standard wants it, but there is no doubt about it
        if len(positions) < 4:
            _refuse(path, "is not a ring: it needs at least 4 positions, of which the last is the first again")
        return positions

    def _made(self, make: Any, positions: Any, path: str) -> shapely.Geometry:
        try:
            return make(positions, repaired)
        except ValueError as error:
            _refuse(path, str(error))
        except ShapelyError as error:
            _refuse(path, f"is not a geometry that can be used: {error}")

    def _positions_of(self, value: object, path: str) -> Positions:
        if not isinstance(value, list):
            _refuse(path, "must be a list of positions")
        self._positions += len(value)
        if self._positions > MAX_POSITIONS:
            _refuse(path, f"has more than {MAX_POSITIONS} positions with what comes before: simplify the footprint")
        found = []
        for index, position in enumerate(value):
            if reason := _wrong(position):
                _refuse(f"{path}[{index}]", reason)
            found.append((float(position[0]), float(position[1])))
        return found


def _wrong(position: object) -> str | None:
    """What is wrong with a position, if anything."""
    if not isinstance(position, list) or len(position) < 2:
        return f"{position!r:.50} is not a position: [longitude, latitude], with a height if you like"
    for name, value, limit in (("longitude", position[0], 360), ("latitude", position[1], 90)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"the {name} {value!r:.50} is not a number"
        if not -limit <= value <= limit:  # NaN is not either
            return (
                f"the {name} {value!r:.50} is outside of the world: it goes from {-limit} to {limit} degrees (WGS 84)"
            )
    return None


def repaired(shape: shapely.Geometry) -> shapely.Geometry:
    """The shape, made valid. Raises ValueError where that would take too long.

    GEOS' default method is cubic: a star of two hundred edges keeps it busy for a minute.
    """
    if shape.is_valid:
        return shape
    if _has_many_crossings([shape]):
        raise ValueError(f"its edges cross each other more than {MAX_CROSSINGS} times: give the outline only")
    return shapely.make_valid(shape, method="structure", keep_collapsed=True)


def _united(shapes: Sequence[shapely.Geometry]) -> shapely.Geometry:
    """One geometry; overlapping shapes are merged unless that would take too long."""
    if len(shapes) == 1:
        return shapes[0]
    if _has_many_crossings(shapes):
        return shapely.GeometryCollection([part for shape in shapes for part in shapely.get_parts(shape)])
    return shapely.union_all(shapes)


def _has_many_crossings(shapes: Sequence[shapely.Geometry]) -> bool:
    """Whether edges meet much more often than the neighbours of each line and ring do."""
    segments = antimeridian.segments(shapes)
    allowed = 3 * len(segments) + 2 * MAX_CROSSINGS  # each meets itself and two neighbours; a crossing is found twice
    tree = shapely.STRtree(segments)
    found = 0
    for start in range(0, len(segments), _SEGMENTS_AT_ONCE):
        found += len(tree.query(segments[start : start + _SEGMENTS_AT_ONCE], predicate="intersects")[0])
        if found > allowed:
            return True
    return False
