"""A GeoTIFF becomes a cloud-optimised one: tiled, compressed, with overviews, all of its directories in front.

usage: make_cog.py IMAGE.tif OUTPUT_DIR

Whoever reads it over HTTP fetches the first kilobytes and then only the tiles that are looked at. The image is in
WGS 84, one band or RGB, north up; its footprint (of what is no gap, where gaps are NaN) goes into the results manifest.
Where GDAL is at hand, `gdal_translate -of COG` does the same to any projection; this needs NumPy and Pillow only.
"""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

TILE = 256  # pixels
DEFLATE, BLACK_IS_ZERO, RGB = 8, 1, 2
MODEL_PIXEL_SCALE, MODEL_TIEPOINT, GEO_KEY_DIRECTORY = 33550, 33922, 34735
GEO_TAGS = {MODEL_PIXEL_SCALE: "d", MODEL_TIEPOINT: "d", GEO_KEY_DIRECTORY: "H"}
GEOGRAPHIC_TYPE, WGS_84 = 2048, 4326
TIFF_TYPES = {"H": 3, "I": 4, "d": 12}  # SHORT, LONG, DOUBLE
SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}
HEADER_BYTES, ENTRY_BYTES, LARGEST = 8, 12, 2**32


def read_geotiff(path):
    """(pixels of shape rows, columns, bands; the values of the tags that tie it to the ground)"""
    with Image.open(path) as image:
        tags = {tag: image.tag_v2[tag] for tag in GEO_TAGS if tag in image.tag_v2}
        if len(tags) < len(GEO_TAGS):
            sys.exit(f"{path}: not a GeoTIFF")
        if image.mode not in ("L", "I;16", "I", "F", "RGB"):
            sys.exit(f"{path}: {image.mode} is neither one band nor RGB")
        pixels = np.asarray(image)
    keys = [tuple(tags[GEO_KEY_DIRECTORY][at : at + 4]) for at in range(4, len(tags[GEO_KEY_DIRECTORY]), 4)]
    if (GEOGRAPHIC_TYPE, 0, 1, WGS_84) not in keys:
        sys.exit(f"{path}: not in EPSG:{WGS_84}")
    return pixels.reshape(*pixels.shape[:2], -1), tags


def levels(pixels):
    """The image and its overviews, each half as large, until one fits into a tile."""
    found = [pixels]
    while max(found[-1].shape[:2]) > TILE:
        found.append(halve(found[-1]))
    return found


def halve(pixels):
    rows, columns, bands = pixels.shape
    even = np.pad(pixels, ((0, rows % 2), (0, columns % 2), (0, 0)), mode="edge").astype("float64")
    mean = even.reshape((rows + 1) // 2, 2, (columns + 1) // 2, 2, bands).mean(axis=(1, 3))
    return (mean if pixels.dtype.kind == "f" else np.rint(mean)).astype(pixels.dtype)


def tiles(pixels):
    """The compressed tiles, row by row; those at the edge are filled up."""
    rows, columns, _ = pixels.shape
    padded = np.pad(pixels, ((0, -rows % TILE), (0, -columns % TILE), (0, 0)), mode="edge")
    little = np.ascontiguousarray(padded, dtype=padded.dtype.newbyteorder("<"))
    return [
        zlib.compress(little[row : row + TILE, column : column + TILE].tobytes(), 6)
        for row in range(0, padded.shape[0], TILE)
        for column in range(0, padded.shape[1], TILE)
    ]


def entries(pixels, level, geo_tags, offsets, sizes):
    """(tag, kind, values) of one directory, by ascending tag."""
    rows, columns, bands = pixels.shape
    found = [
        (254, "I", [1 if level else 0]),  # an overview
        (256, "I", [columns]),
        (257, "I", [rows]),
        (258, "H", [pixels.dtype.itemsize * 8] * bands),
        (259, "H", [DEFLATE]),
        (262, "H", [RGB if bands == 3 else BLACK_IS_ZERO]),
        (277, "H", [bands]),
        (284, "H", [1]),  # bands of a pixel side by side
        (322, "H", [TILE]),
        (323, "H", [TILE]),
        (324, "I", offsets),
        (325, "I", sizes),
        (339, "H", [SAMPLE_FORMATS[pixels.dtype.kind]] * bands),
    ]
    if not level:
        found += [(tag, GEO_TAGS[tag], list(values)) for tag, values in geo_tags.items()]
    return sorted(found)


def directory(listed, start, is_last):
    """The bytes of a directory that begins at `start`, with the values that do not fit into its entries behind it."""
    behind = start + 2 + ENTRY_BYTES * len(listed) + 4
    table, values_behind = struct.pack("<H", len(listed)), b""
    for tag, kind, values in listed:
        packed = struct.pack(f"<{len(values)}{kind}", *values)
        if len(packed) > 4:
            packed += b"\0" * (len(packed) % 2)
            place = struct.pack("<I", behind + len(values_behind))
            values_behind += packed
        else:
            place = packed.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, TIFF_TYPES[kind], len(values)) + place
    end = behind + len(values_behind)
    return table + struct.pack("<I", 0 if is_last else end) + values_behind


def directories(images, geo_tags, offsets, sizes):
    found = b""
    for level, pixels in enumerate(images):
        listed = entries(pixels, level, geo_tags, offsets[level], sizes[level])
        found += directory(listed, HEADER_BYTES + len(found), level == len(images) - 1)
    return found


def write_cog(path, pixels, geo_tags):
    images = levels(pixels)
    encoded = [tiles(image) for image in images]
    sizes = [[len(tile) for tile in level] for level in encoded]
    front = HEADER_BYTES + len(
        directories(images, geo_tags, sizes, sizes)
    )  # offsets take as much room, whatever they are
    if front + sum(map(sum, sizes)) >= LARGEST:
        sys.exit(f"{path}: larger than 4 GiB, which a plain TIFF cannot be")
    offsets, here = [[] for _ in images], front
    for level in reversed(range(len(images))):  # overviews first: a first look is near the front
        for size in sizes[level]:
            offsets[level].append(here)
            here += size
    with path.open("wb") as stream:
        stream.write(struct.pack("<2sHI", b"II", 42, HEADER_BYTES))
        stream.write(directories(images, geo_tags, offsets, sizes))
        for level in reversed(encoded):
            stream.writelines(level)
    return len(images) - 1


def footprint(pixels, geo_tags):
    """The outline of what is no gap, as a closed GeoJSON polygon. Raises SystemExit when all is gap."""
    filled = ~np.isnan(pixels).all(axis=2) if pixels.dtype.kind == "f" else np.ones(pixels.shape[:2], dtype=bool)
    if not filled.any():
        sys.exit("there is nothing but gaps in the image")
    rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    width, height = geo_tags[MODEL_PIXEL_SCALE][:2]
    column_0, row_0, _, west_0, north_0, _ = geo_tags[MODEL_TIEPOINT][:6]
    west, east = (float(west_0 + (edge - column_0) * width) for edge in (columns[0], columns[-1] + 1))
    north, south = (float(north_0 - (edge - row_0) * height) for edge in (rows[0], rows[-1] + 1))
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def main(image, output_dir):
    pixels, geo_tags = read_geotiff(image)
    outline = footprint(pixels, geo_tags)
    output = Path(output_dir) / f"{Path(image).stem}_cog.tif"
    overviews = write_cog(output, pixels, geo_tags)
    manifest = {
        "version": "1.1",
        "output_data": [{"name": "cog", "file": {"path": str(output), "geo_metadata": {"geo_json": outline}}}],
    }
    (Path(output_dir) / "results_manifest.json").write_text(json.dumps(manifest))
    print(f"{output.name}: {pixels.shape[1]} x {pixels.shape[0]} pixels, {overviews} overviews")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
