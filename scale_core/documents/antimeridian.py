"""Geometries on a world that has an edge at 180 degrees: what crosses it is split there, so that plain planar geometry
(intersections, centers, indexes) is right.

Positions are (longitude, latitude) in degrees. `Repair` makes a geometry valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely

Positions = list[tuple[float, float]]
Repair = Callable[[shapely.Geometry], shapely.Geometry]

AROUND = 360.0
EDGE = 180.0
POLE = 90.0


def point(longitude: float, latitude: float) -> shapely.Point:
    return shapely.Point(_wrapped(longitude), latitude)


def line(positions: Positions, repair: Repair) -> shapely.Geometry:
    """A line, split where it crosses the antimeridian. Raises ValueError."""
    return _within_world(repair(shapely.LineString(_unrolled(positions))), repair)


def polygon(rings: Sequence[Positions], repair: Repair) -> shapely.Geometry:
    """A polygon, split where it crosses the antimeridian; rings are closed, the first is the outer one.

    Raises ValueError.
    """
    unrolled = [_with_pole(_unrolled(ring)) for ring in rings]
    if unrolled == list(rings) and all(-EDGE <= longitude <= EDGE for ring in rings for longitude, _ in ring):
        return repair(shapely.Polygon(rings[0], rings[1:]))
    whole = repair(shapely.Polygon(unrolled[0]))
    for ring in unrolled[1:]:
        # a hole may be written on another turn of the world than its shell
        hole = repair(shapely.Polygon(ring))
        for turn in _turns(hole, whole):
            whole = whole.difference(shapely.transform(hole, _turned(turn)))
    return _within_world(whole, repair)


def center(whole: shapely.Geometry) -> shapely.Point:
    """The centroid. What lies on both sides of the antimeridian is looked at from there if it is narrower so."""
    parts = shapely.get_parts(shapely.get_parts([whole]))
    west, _, east, _ = shapely.bounds(parts).T
    order = np.argsort(west)
    reach = np.maximum.accumulate(east[order])
    gaps = west[order][1:] - reach[:-1]
    if not len(gaps) or gaps.max() <= AROUND - (reach[-1] - west[order][0]):
        return whole.centroid
    first = int(np.argmax(gaps)) + 1  # of those east of the widest gap
    turned = [*parts[order[first:]], *shapely.transform(parts[order[:first]], _turned(1))]
    found = shapely.GeometryCollection(turned).centroid
    return point(found.x, found.y)


def segments(shapes: Sequence[shapely.Geometry]) -> Any:
    """All edges, as an array of lines of two positions."""
    rings = [
        ring
        for part in shapely.get_parts(shapely.get_parts(list(shapes)))
        for ring in ([part.exterior, *part.interiors] if part.geom_type == "Polygon" else [part])
    ]
    coordinates, owners = shapely.get_coordinates(rings, return_index=True)
    joined = owners[:-1] == owners[1:]
    pairs = np.stack((coordinates[:-1][joined], coordinates[1:][joined]), axis=1)
    return shapely.linestrings(pairs)


def _unrolled(positions: Positions) -> Positions:
    """The same path without jumps: an edge longer than 180 degrees goes the shorter way round.

    One of 360 degrees is no jump: it goes along the edge of a map of the world.
    """
    made, shift, before = [], 0.0, positions[0][0]
    for longitude, latitude in positions:
        step = longitude - before
        if EDGE < abs(step) < AROUND:
            shift += AROUND if step < 0 else -AROUND
        made.append((longitude + shift, latitude))
        before = longitude
    return made


def _with_pole(ring: Positions) -> Positions:
    """A ring that comes back one turn away from its start runs around a pole: the one that it is closer to."""
    if ring[0][0] == ring[-1][0]:
        return ring
    pole = POLE if sum(latitude for _, latitude in ring) >= 0 else -POLE
    return [*ring, (ring[-1][0], pole), (ring[0][0], pole), ring[0]]


def _within_world(shape: shapely.Geometry, repair: Repair) -> shapely.Geometry:
    """The shape with longitudes from -180 to 180: cut at the antimeridian, its pieces each put in their place."""
    west, _, east, _ = shape.bounds
    if west >= -EDGE and east <= EDGE:
        return shape
    if east - west > AROUND:
        raise ValueError(f"spans {east - west:.6g} degrees of longitude, more than the world has")
    dimension = shapely.get_dimensions(shape)
    pieces = []
    for turn in range(int((west + EDGE) // AROUND), int((east + EDGE) // AROUND) + 1):
        world = shapely.box(AROUND * turn - EDGE, -POLE, AROUND * turn + EDGE, POLE)
        cut = shapely.get_parts(shapely.intersection(shape, world))
        # where it only touches the edge there is nothing beyond it
        pieces += [shapely.transform(each, _turned(-turn)) for each in cut if shapely.get_dimensions(each) == dimension]
    if east - west == AROUND:  # its ends meet
        return repair(shapely.union_all(pieces))
    return _collected(pieces)


def _collected(pieces: Sequence[shapely.Geometry]) -> shapely.Geometry:
    """Pieces that do not touch as one geometry."""
    if len(pieces) == 1:
        return pieces[0]
    kinds = {piece.geom_type for piece in pieces}
    if len(kinds) > 1:
        return shapely.GeometryCollection(pieces)
    make = {"Polygon": shapely.MultiPolygon, "LineString": shapely.MultiLineString, "Point": shapely.MultiPoint}
    return make[kinds.pop()](pieces)


def _turns(hole: shapely.Geometry, shell: shapely.Geometry) -> range:
    """By how many turns of the world the hole has to be moved so that it can lie within the shell."""
    west, _, east, _ = hole.bounds
    least, _, most, _ = shell.bounds
    return range(-int((east - least) // AROUND), int((most - west) // AROUND) + 1)


def _turned(turns: int) -> Callable[[Any], Any]:
    return lambda coordinates: np.add(coordinates, (AROUND * turns, 0.0))


def _wrapped(longitude: float) -> float:
    if -EDGE <= longitude <= EDGE:
        return longitude
    return longitude - AROUND if longitude > EDGE else longitude + AROUND
