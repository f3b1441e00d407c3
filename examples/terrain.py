"""The demo's input: the USGS elevation model around the Jacksboro fault, Tennessee (public domain).

Drawn as what a feed would deliver: a PNG whose 16-bit grey is elevation, and a CSV that says where on Earth it lies.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

DATA = Path(__file__).parent / "data" / "jacksboro_fault_dem.npz"
GREY_STEP = 0.02  # metres: whole metres stay exact, and the range of 840 m fills two thirds of 16 bits


@dataclass(frozen=True)
class Terrain:
    """Elevation in metres, shape (rows, columns), the northernmost row first; edges and steps in degrees of WGS 84."""

    elevation: np.ndarray
    west: float
    north: float
    pixel_width: float
    pixel_height: float

    @cached_property
    def heights(self) -> list[list[int]]:
        """The elevation as plain numbers: where one looks at single pixels, many times faster than an array."""
        rows: list[list[int]] = self.elevation.tolist()
        return rows

    def pixel_of(self, longitude: float, latitude: float) -> tuple[int, int]:
        """The (row, column) in which a place lies."""
        return int((self.north - latitude) / self.pixel_height), int((longitude - self.west) / self.pixel_width)


def load() -> Terrain:
    with np.load(DATA) as raw:
        # The model's own names call the edge of its first row ymin, although it is the northern one.
        return Terrain(
            raw["elevation"].astype("int32"), float(raw["xmin"]), float(raw["ymin"]), float(raw["dx"]), float(raw["dy"])
        )


def render(terrain: Terrain, png: Path, georeference: Path) -> None:
    """Write the two files of the feed."""
    offset = int(terrain.elevation.min())
    grey = np.round((terrain.elevation - offset) / GREY_STEP).astype("uint16")
    with png.open("wb") as stream:  # a stream: the name may end in a transfer suffix that Pillow does not know
        Image.fromarray(grey).save(stream, format="PNG")
    row = {
        "west": terrain.west,
        "north": terrain.north,
        "pixel_width": terrain.pixel_width,
        "pixel_height": terrain.pixel_height,
        "epsg": 4326,
        "elevation_scale": GREY_STEP,
        "elevation_offset": offset,
    }
    with georeference.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        writer.writeheader()
        writer.writerow(row)


def is_local_maximum(terrain: Terrain, row: int, column: int, radius: int = 1) -> bool:
    """Whether nothing within `radius` pixels is higher."""
    window = terrain.elevation[max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1]
    return bool(terrain.elevation[row, column] >= window.max())


def island(terrain: Terrain, row: int, column: int, drop: float) -> set[tuple[int, int]] | None:
    """The ground around a place that is less than `drop` metres lower, as one sees it after a flood up to there.

    None when some of it is higher than the place: then its prominence is less than `drop`.
    """
    elevation = terrain.heights
    rows, columns = terrain.elevation.shape
    top = elevation[row][column]
    found, todo = {(row, column)}, [(row, column)]
    while todo:
        here_row, here_column = todo.pop()
        for next_row in range(max(0, here_row - 1), min(rows, here_row + 2)):
            for next_column in range(max(0, here_column - 1), min(columns, here_column + 2)):
                height = elevation[next_row][next_column]
                if height > top:
                    return None
                if height > top - drop and (next_row, next_column) not in found:
                    found.add((next_row, next_column))
                    todo.append((next_row, next_column))
    return found


def summit_problems(terrain: Terrain, summits: list[tuple[float, float, float]], least_prominence: float) -> list[str]:
    """What is wrong with a list of (longitude, latitude, elevation in metres), by the definition of a summit alone.

    Nothing around a summit is higher, the flood that leaves it an island is at least `least_prominence` deep, and no
    such place is missing. Places on the edge are nobody's business: what lies beyond it is unknown.
    """
    problems, known = [], set()
    for longitude, latitude, elevation in summits:
        row, column = terrain.pixel_of(longitude, latitude)
        known.add((row, column))
        if terrain.elevation[row, column] != elevation:
            problems.append(
                f"{latitude:.5f} {longitude:.5f} is {terrain.elevation[row, column]} m high, not {elevation}"
            )
        elif island(terrain, row, column, least_prominence) is None:
            problems.append(f"{latitude:.5f} {longitude:.5f} is not a summit of {least_prominence:.0f} m prominence")
    rows, columns = terrain.elevation.shape
    for row in range(1, rows - 1):
        for column in range(1, columns - 1):
            if not is_local_maximum(terrain, row, column):
                continue
            ground = island(terrain, row, column, least_prominence)
            if ground is not None and not ground & known and not _touches_edge(terrain, ground, (row, column)):
                problems.append(f"the summit in row {row}, column {column} is missing")
    return problems


def _touches_edge(terrain: Terrain, ground: set[tuple[int, int]], summit: tuple[int, int]) -> bool:
    """Whether a place on the edge is as high as the summit: then that one counts, and it is not looked for."""
    rows, columns = terrain.elevation.shape
    return any(
        terrain.elevation[place] == terrain.elevation[summit]
        and (place[0] in (0, rows - 1) or place[1] in (0, columns - 1))
        for place in ground
    )
