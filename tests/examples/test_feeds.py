"""Daily statistics of a CSV feed, and cloud-optimised GeoTIFFs: as programs, then in containers through Scale."""

from __future__ import annotations

import csv
import io
import json
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pytest
import tifffile

from examples import demo, images, terrain
from scale_server import postgres
from tests.examples.test_algorithms import ALGORITHMS, manifest, run
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

READINGS = ALGORITHMS.parent / "data" / "readings.csv"
STATISTICS, COG = "daily_statistics/summarise_days.py", "cog_maker/make_cog.py"


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def summarise(directory: Path, text: str) -> subprocess.CompletedProcess[str]:
    (directory / "feed.csv").write_text(text)
    return run(STATISTICS, directory / "feed.csv", directory)


def check_statistics(text: str) -> None:
    """Against the readings, counted in another way."""
    readings = rows_of(READINGS.read_text())
    found = rows_of(text)
    assert len(found) == 9
    for row in found:
        of_day = [
            each for each in readings if each["time"].startswith(row["day"]) and each["station"] == row["station"]
        ]
        values = [float(each["value"]) for each in of_day if each["value"]]
        assert (int(row["readings"]), int(row["gaps"])) == (len(values), len(of_day) - len(values))
        assert (float(row["least"]), float(row["greatest"])) == (min(values), max(values))
        assert float(row["mean"]) == pytest.approx(statistics.mean(values), abs=1e-6)
    assert sum(int(row["gaps"]) for row in found) == 1


def test_each_day_and_station_has_its_figures(tmp_path: Path) -> None:
    result = run(STATISTICS, READINGS, tmp_path)
    assert result.returncode == 0, result.stderr
    output = manifest(tmp_path)
    check_statistics(Path(output["file"]["path"]).read_text())
    assert output["file"]["geo_metadata"] == {
        "data_started": "2026-05-03T00:00:00+00:00",
        "data_ended": "2026-05-05T22:00:00+00:00",
    }


def test_days_are_those_of_utc_and_a_day_of_gaps_has_no_figures(tmp_path: Path) -> None:
    feed = "time,station,value\n2026-05-04T01:00:00+02:00,a,1\n2026-05-04T03:00:00+02:00,a,\n"
    assert summarise(tmp_path, feed).returncode == 0
    first, second = rows_of((tmp_path / "feed_daily.csv").read_text())
    assert (first["day"], first["mean"]) == ("2026-05-03", "1.0")
    assert (second["day"], second["readings"], second["gaps"], second["mean"]) == ("2026-05-04", "0", "1", "")


@pytest.mark.parametrize(
    ("feed", "code", "words"),
    [
        ("time,value\n2026-05-04T00:00:00Z,1\n", 2, "no column station"),
        ("", 2, "no column time"),
        ("time,station,value\n2026-05-04T00:00:00Z,a,warm\n", 3, "line 2"),
        ("time,station,value\n2026-05-04T00:00:00,a,1\n", 3, "no time zone"),
        ("time,station,value\n2026-05-04T00:00:00Z,a,nan\n", 3, "no reading"),
        ("time,station,value\n2026-05-04T00:00:00Z\n", 3, "line 2"),
        ("time,station,value\n", 4, "no row"),
    ],
)
def test_a_feed_that_cannot_be_read_is_refused_by_its_exit_code(
    tmp_path: Path, feed: str, code: int, words: str
) -> None:
    result = summarise(tmp_path, feed)
    assert result.returncode == code
    assert words in result.stderr
    assert not (tmp_path / "results_manifest.json").exists()


@pytest.fixture(scope="module")
def geotiff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("land")
    terrain.render(terrain.load(), directory / "land.png", directory / "land.csv")
    assert (
        run("geotiff_maker/make_geotiff.py", directory / "land.png", directory / "land.csv", directory).returncode == 0
    )
    return directory / "land.tif"


def check_cog(path: Path) -> None:
    """What GDAL's validation asks for: tiles, overviews, directories in front, overviews' data before the image's."""
    with tifffile.TiffFile(path) as tiff:
        pages = list(tiff.pages)
        assert len(pages) == 2
        for page, larger in zip(pages[1:], pages, strict=False):
            assert page.subfiletype == 1
            assert page.shape == tuple((side + 1) // 2 for side in larger.shape)
        assert max(pages[-1].shape) <= 256
        assert all(page.is_tiled and page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE for page in pages)
        assert [page.offset for page in pages] == sorted(page.offset for page in pages)
        first_tile = min(min(page.dataoffsets) for page in pages)
        assert pages[0].offset == 8
        assert all(page.offset < first_tile for page in pages)
        ends = [max(a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=True)) for page in pages]
        assert ends[1] <= min(pages[0].dataoffsets)
        assert path.stat().st_size == ends[0]
        np.testing.assert_allclose(pages[0].asarray(), terrain.load().elevation, atol=0.01)
        assert pages[1].asarray().mean() == pytest.approx(pages[0].asarray().mean(), rel=0.01)
        tags = tiff.geotiff_metadata
    truth = terrain.load()
    assert tags["GeographicTypeGeoKey"] == 4326
    assert tags["ModelPixelScale"][:2] == pytest.approx([truth.pixel_width, truth.pixel_height])
    assert tags["ModelTiepoint"][3:5] == pytest.approx([truth.west, truth.north])


def test_the_cog_is_one_and_has_its_footprint(geotiff: Path, tmp_path: Path) -> None:
    result = run(COG, geotiff, tmp_path)
    assert result.returncode == 0, result.stderr
    output = manifest(tmp_path)
    check_cog(Path(output["file"]["path"]))
    (ring,) = output["file"]["geo_metadata"]["geo_json"]["coordinates"]
    truth = terrain.load()
    rows, columns = truth.elevation.shape
    assert ring[0] == ring[-1] == pytest.approx([truth.west, truth.north - rows * truth.pixel_height])
    assert ring[2] == pytest.approx([truth.west + columns * truth.pixel_width, truth.north])


def write_geotiff(path: Path, pixels: np.ndarray, epsg: int = 4326) -> None:
    """By a writer that shares no code with the algorithm."""
    keys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, epsg)
    extratags = [
        (33550, "d", 3, (0.5, 0.25, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 10.0, 50.0, 0.0), True),
        (34735, "H", len(keys), keys, True),
    ]
    tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", extratags=extratags)


def test_the_footprint_leaves_out_gaps_at_the_edge(tmp_path: Path) -> None:
    pixels = np.full((40, 30), np.nan, dtype="float32")
    pixels[4:8, 10:20] = 7
    write_geotiff(tmp_path / "gaps.tif", pixels)
    assert run(COG, tmp_path / "gaps.tif", tmp_path).returncode == 0
    (ring,) = manifest(tmp_path)["file"]["geo_metadata"]["geo_json"]["coordinates"]
    assert ring == [[15.0, 48.0], [20.0, 48.0], [20.0, 49.0], [15.0, 49.0], [15.0, 48.0]]


@pytest.mark.parametrize(
    "pixels",
    [
        np.arange(600 * 301 * 3, dtype="uint32").reshape(600, 301, 3).astype("uint8"),
        np.arange(257 * 513, dtype="uint32").reshape(257, 513).astype("uint16"),
    ],
    ids=["rgb", "grey"],
)
def test_other_images_keep_their_pixels(tmp_path: Path, pixels: np.ndarray) -> None:
    write_geotiff(tmp_path / "image.tif", pixels)
    result = run(COG, tmp_path / "image.tif", tmp_path)
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "image_cog.tif"), pixels)


def test_what_is_no_geotiff_in_wgs_84_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((8, 8), dtype="uint8"))
    write_geotiff(tmp_path / "utm.tif", np.zeros((8, 8), dtype="uint8"), epsg=32617)
    write_geotiff(tmp_path / "empty.tif", np.full((8, 8), np.nan, dtype="float32"))
    for name, words in (("plain", "not a GeoTIFF"), ("utm", "not in EPSG:4326"), ("empty", "nothing but gaps")):
        result = run(COG, tmp_path / f"{name}.tif", tmp_path)
        assert result.returncode != 0
        assert words in result.stderr
    assert not (tmp_path / "results_manifest.json").exists()


# ----------------------------------------------------------------------------------------------- through a whole Scale


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scale]:
    home = tmp_path_factory.mktemp("feeds")
    try:
        with scale_process.scale(home) as running:
            yield running
    finally:
        postgres.destroy(home)


@pytest.fixture(scope="module")
def recipes(scale: Scale) -> Path:
    """Everything of the two examples, in their images; the directory that a Strike watches."""
    client = docker.from_env(timeout=600)
    try:
        images.build_all(client, print)
    finally:
        client.close()
    scale.make_workspace("raw")
    scale.make_workspace("products")
    for name in ("daily-statistics", "cog-maker", "point-detector"):
        scale.post("job-types/", demo.read_document(f"job-type-{name}"))
    for name in ("daily-readings", "cloud-terrain"):
        scale.post("recipe-types/", demo.read_document(f"recipe-type-{name}"))
    places = {"workspace_path": "feeds", "workspace_name": "raw"}
    _, directory = scale.make_strike(
        "feeds",
        [
            {"filename_regex": r"readings.*\.csv", "data_types": ["readings"], **places},
            {"filename_regex": r".*\.tif", "data_types": ["elevation"], **places},
        ],
    )
    return directory


def products_of(scale: Scale, recipe_type: str) -> dict[str, dict[str, Any]]:
    """The products of the one recipe of that type, by the name of their job type; empty until it has ended."""
    for recipe in scale.results("recipes/"):
        if recipe["recipe_type"]["name"] == recipe_type:
            found = scale.get(f"recipes/{recipe['id']}/")
            statuses = {entry["job"]["status"] for entry in found["jobs"]}
            assert not statuses & {"FAILED", "CANCELED"}, found
            ids = {entry["job"]["id"] for entry in found["jobs"]}
            if found["completed"]:
                products = [each for each in scale.results("products/") if each["job"]["id"] in ids]
                return {each["job_type"]["name"]: each for each in products}
    return {}


@pytest.mark.docker
@pytest.mark.journey
@pytest.mark.timeout(600)
def test_readings_that_arrive_become_statistics(scale: Scale, recipes: Path) -> None:
    scale.ingest_file(recipes, "readings.csv", READINGS.read_bytes())
    products = wait_for("the recipe", lambda: products_of(scale, "daily-readings"), 180.0, 0.2)
    assert set(products) == {"daily-statistics"}
    product = products["daily-statistics"]
    check_statistics(scale.content(product["id"]).decode())
    assert product["media_type"] == "text/csv"
    assert product["data_started"].startswith("2026-05-03T00:00:00")


@pytest.mark.docker
@pytest.mark.journey
@pytest.mark.timeout(600)
def test_a_geotiff_that_arrives_becomes_a_cog_and_summits(
    scale: Scale, recipes: Path, geotiff: Path, tmp_path: Path
) -> None:
    scale.ingest_file(recipes, "land.tif", geotiff.read_bytes())
    products = wait_for("the recipe", lambda: products_of(scale, "cloud-terrain"), 180.0, 0.2)
    assert set(products) == {"cog-maker", "point-detector"}
    (tmp_path / "cog.tif").write_bytes(scale.content(products["cog-maker"]["id"]))
    check_cog(tmp_path / "cog.tif")
    assert products["cog-maker"]["geometry"].startswith("POLYGON")
    assert demo.check_summits(terrain.load(), scale.content(products["point-detector"]["id"]))
    assert json.loads(scale.content(products["point-detector"]["id"]))["features"]
