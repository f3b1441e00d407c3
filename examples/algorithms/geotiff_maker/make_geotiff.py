"""A PNG of elevation and a CSV with its georeference become a GeoTIFF.

usage: make_geotiff.py IMAGE.png GEOREFERENCE.csv OUTPUT_DIR

The CSV has a header and one row: west, north (degrees, outer edges of the image), pixel_width, pixel_height (degrees),
epsg (4326), elevation_scale, elevation_offset (metres = grey * scale + offset).
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

WGS_84 = 4326
MODEL_PIXEL_SCALE, MODEL_TIEPOINT, GEO_KEY_DIRECTORY = 33550, 33922, 34735  # GeoTIFF 1.1, annex B
SHORT, DOUBLE = 3, 12


def read_georeference(path):
    """The one row of the CSV as numbers by name."""
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    if len(rows) != 1:
        sys.exit(f"{path}: expected one row of georeference, found {len(rows)}")
    georeference = {name.strip(): float(value) for name, value in rows[0].items()}
    if georeference["epsg"] != WGS_84:
        sys.exit(f"{path}: EPSG:{georeference['epsg']:g} is not supported, only EPSG:{WGS_84}")
    return georeference


def read_elevation(path, georeference):
    """The image in metres: float32, shape (rows, columns), north first."""
    grey = np.asarray(Image.open(path)).astype("float32")
    if grey.ndim != 2:
        sys.exit(f"{path}: expected a grey image, found {grey.shape[2]} bands")
    return grey * np.float32(georeference["elevation_scale"]) + np.float32(georeference["elevation_offset"])


def geotiff_tags(georeference):
    """What ties pixel (0, 0)'s outer corner to the ground, and says that the ground is WGS 84."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype.update({MODEL_PIXEL_SCALE: DOUBLE, MODEL_TIEPOINT: DOUBLE, GEO_KEY_DIRECTORY: SHORT})
    tags[MODEL_PIXEL_SCALE] = (georeference["pixel_width"], georeference["pixel_height"], 0.0)
    tags[MODEL_TIEPOINT] = (0.0, 0.0, 0.0, georeference["west"], georeference["north"], 0.0)
    keys = [
        (1024, 0, 1, 2),  # GTModelType: geographic, longitude and latitude
        (1025, 0, 1, 1),  # GTRasterType: a pixel is an area
        (2048, 0, 1, WGS_84),  # GeographicType
        (2054, 0, 1, 9102),  # GeogAngularUnits: degree
    ]
    tags[GEO_KEY_DIRECTORY] = (1, 1, 0, len(keys), *(number for key in keys for number in key))
    return tags


def footprint(elevation, georeference):
    """The image's outline as a closed GeoJSON polygon, each corner at the height of the ground there."""
    rows, columns = elevation.shape
    west, north = georeference["west"], georeference["north"]
    east, south = west + columns * georeference["pixel_width"], north - rows * georeference["pixel_height"]
    corners = [(west, south, -1, 0), (east, south, -1, -1), (east, north, 0, -1), (west, north, 0, 0)]
    ring = [[longitude, latitude, float(elevation[row, column])] for longitude, latitude, row, column in corners]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def main(image, georeference_csv, output_dir):
    georeference = read_georeference(georeference_csv)
    elevation = read_elevation(image, georeference)
    output = Path(output_dir) / f"{Path(image).stem}.tif"
    Image.fromarray(elevation).save(output, tiffinfo=geotiff_tags(georeference))
    outline = footprint(elevation, georeference)
    manifest = {
        "version": "1.1",
        "output_data": [{"name": "geo_image", "file": {"path": str(output), "geo_metadata": {"geo_json": outline}}}],
    }
    (Path(output_dir) / "results_manifest.json").write_text(json.dumps(manifest))
    print(f"{output.name}: {elevation.shape[1]} x {elevation.shape[0]} pixels, "
          f"{elevation.min():.0f} to {elevation.max():.0f} m")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
