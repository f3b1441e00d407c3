"""GeoJSON of results manifests → footprint, center point and properties. Two dimensions are kept; a Z is dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import shapely
from geoalchemy2.shape import from_shape
from shapely.errors import ShapelyError
from shapely.geometry import shape

from scale_core.errors import Invalid, Problem

SRID = 4326


@dataclass(frozen=True)
class Footprint:
    """`geometry` and `center` are ready for geometry(4326) columns."""

    geometry: Any
    center: Any
    properties: dict[str, Any] = field(default_factory=dict)


def footprint(geo_json: object, path: str = "geo_json") -> Footprint | None:
    """The footprint that a Feature, FeatureCollection or bare geometry describes; None for an empty one.

    Rings that cross themselves are made valid. Several features become one geometry; the properties are those of the
    first. Raises Invalid.
    """
    if not isinstance(geo_json, dict):
        raise Invalid(problems=[Problem(path, "must be a GeoJSON object")])
    features = _features(geo_json, path)
    shapes = [_shape(feature.get("geometry"), path) for feature in features if feature.get("geometry")]
    shapes = [each for each in shapes if not each.is_empty]
    properties: dict[str, Any] = next((f["properties"] for f in features if isinstance(f.get("properties"), dict)), {})
    if not shapes:
        return None
    whole = shapes[0] if len(shapes) == 1 else shapely.union_all(shapes)
    west, south, east, north = whole.bounds
    if not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
        raise Invalid(problems=[Problem(path, "lies outside longitudes -360 to 360 and latitudes -90 to 90 (WGS 84)")])
    return Footprint(from_shape(whole, srid=SRID), from_shape(whole.centroid, srid=SRID), properties)


def _features(geo_json: dict[str, Any], path: str) -> list[dict[str, Any]]:
    kind = geo_json.get("type")
    if kind == "FeatureCollection":
        features = geo_json.get("features")
        if not isinstance(features, list) or not all(isinstance(each, dict) for each in features):
            raise Invalid(problems=[Problem(f"{path}.features", "must be a list of features")])
        return features
    if kind == "Feature":
        return [geo_json]
    return [{"geometry": geo_json}]


def _shape(geometry: Any, path: str) -> Any:
    try:
        made = shapely.force_2d(shape(geometry))
        return made if made.is_valid else shapely.make_valid(made)
    except (ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise Invalid(problems=[Problem(path, f"is not a GeoJSON geometry: {error}")]) from None
