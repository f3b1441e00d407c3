"""A GeoTIFF of elevation becomes GeoJSON: its summits in WGS 84, the most prominent first.

usage: detect_points.py IMAGE.tif OUTPUT_DIR

A summit's prominence is how far one must climb down from it before one can climb to higher ground.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

MODEL_PIXEL_SCALE, MODEL_TIEPOINT = 33550, 33922
LEAST_PROMINENCE = 100.0  # metres
NEIGHBOURS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if (row, column) != (0, 0)]


def read_geotiff(path):
    """Elevation (rows, columns), and a function from (row, column) to the (longitude, latitude) of its centre."""
    with Image.open(path) as image:
        tags = image.tag_v2
        if MODEL_PIXEL_SCALE not in tags or MODEL_TIEPOINT not in tags:
            sys.exit(f"{path}: not a GeoTIFF")
        width, height = tags[MODEL_PIXEL_SCALE][:2]
        column_0, row_0, _, west, north, _ = tags[MODEL_TIEPOINT][:6]
        elevation = np.asarray(image, dtype="float32")

    def locate(row, column):
        return west + (column + 0.5 - column_0) * width, north - (row + 0.5 - row_0) * height

    return elevation, locate


def find_summits(elevation, least_prominence=LEAST_PROMINENCE):
    """(prominence, row, column) of each summit, the most prominent first.

    The land is flooded and the water sinks: each pixel that rises out of it is an island of its own or joins those
    around it. Where two islands meet is the saddle between their summits; the lower of the two is decided there.
    """
    rows, columns = elevation.shape
    padded = np.full((rows + 2, columns + 2), -np.inf, dtype="float64")
    padded[1:-1, 1:-1] = elevation
    stride = columns + 2
    heights = padded.ravel().tolist()
    offsets = [row * stride + column for row, column in NEIGHBOURS]
    order = np.argsort(-padded, axis=None, kind="stable")[: rows * columns].tolist()
    island = [-1] * len(heights)  # parent in a union-find forest, -1: under water; its root is the island's summit
    prominence = {}

    def root(pixel):
        while island[pixel] != pixel:
            island[pixel] = island[island[pixel]]
            pixel = island[pixel]
        return pixel

    for pixel in order:
        island[pixel] = pixel
        for offset in offsets:
            if island[pixel + offset] < 0:
                continue
            here, there = root(pixel), root(pixel + offset)
            if here == there:
                continue
            higher, lower = (here, there) if heights[here] >= heights[there] else (there, here)
            if heights[lower] - heights[pixel] >= least_prominence:
                prominence[lower] = heights[lower] - heights[pixel]
            island[lower] = higher
    top = order[0]
    prominence[top] = heights[top] - heights[order[-1]]  # nothing here is higher; the lowest ground is as far as we see
    found = ((value, pixel // stride - 1, pixel % stride - 1) for pixel, value in prominence.items())
    # Beyond the edge the ground may go on rising: what is highest there need not be a summit.
    inside = (s for s in found if 0 < s[1] < rows - 1 and 0 < s[2] < columns - 1)
    return sorted(inside, key=lambda summit: (-summit[0], summit[1], summit[2]))


def feature(rank, prominence, elevation, longitude, latitude):
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [round(longitude, 7), round(latitude, 7), elevation]},
        "properties": {"rank": rank, "elevation_m": elevation, "prominence_m": prominence},
    }


def main(image, output_dir):
    elevation, locate = read_geotiff(image)
    features = [
        feature(rank, prominence, float(elevation[row, column]), *locate(row, column))
        for rank, (prominence, row, column) in enumerate(find_summits(elevation), start=1)
    ]
    output = Path(output_dir) / f"{Path(image).stem}_summits.geojson"
    output.write_text(json.dumps({"type": "FeatureCollection", "features": features}, indent=1))
    points = [f["geometry"]["coordinates"] for f in features]
    place = {"geo_metadata": {"geo_json": {"type": "MultiPoint", "coordinates": points}}} if points else {}
    manifest = {"version": "1.1", "output_data": [{"name": "geo_image", "file": {"path": str(output), **place}}]}
    (Path(output_dir) / "results_manifest.json").write_text(json.dumps(manifest))
    print(f"{output.name}: {len(features)} summits of at least {LEAST_PROMINENCE:.0f} m prominence")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
