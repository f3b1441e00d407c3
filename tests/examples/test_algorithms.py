"""The example algorithms as the programs that a node starts, on the real terrain."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from examples import demo, images, terrain

ALGORITHMS = Path(terrain.__file__).parent / "algorithms"


def run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ALGORITHMS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def manifest(directory: Path) -> dict[str, Any]:
    """The one output of a manifest."""
    document = json.loads((directory / "results_manifest.json").read_text())
    assert document["version"] == "1.1"
    (output,) = document["output_data"]
    assert Path(output["file"]["path"]).is_relative_to(directory)
    return output


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("feed")
    terrain.render(terrain.load(), directory / "land.png", directory / "land.csv")
    return directory


@pytest.fixture(scope="module")
def geotiff(feed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("geotiff")
    result = run("geotiff_maker/make_geotiff.py", feed / "land.png", feed / "land.csv", directory)
    assert result.returncode == 0, result.stderr
    return directory


def test_the_geotiff_has_the_right_height_at_the_right_place(geotiff: Path) -> None:
    truth = terrain.load()
    path = Path(manifest(geotiff)["file"]["path"])
    with tifffile.TiffFile(path) as tiff:  # a reader that shares no code with the writer
        tags = tiff.geotiff_metadata
        elevation = tiff.asarray()
    assert tags["GeographicTypeGeoKey"] == 4326
    assert tags["GTModelTypeGeoKey"] == 2
    assert tags["GTRasterTypeGeoKey"] == 1
    width, height, _ = tags["ModelPixelScale"]
    column_0, row_0, _, west, north, _ = tags["ModelTiepoint"]
    assert (column_0, row_0) == (0, 0)
    # Jellico, Tennessee, lies in a valley at about 300 m: 36.5879 N, 84.1269 W.
    row, column = int((north - 36.5879) / height), int((-84.1269 - west) / width)
    assert 280 < elevation[row, column] < 350
    assert (row, column) == truth.pixel_of(-84.1269, 36.5879)
    np.testing.assert_allclose(elevation, truth.elevation, atol=0.01)


def test_the_footprint_encloses_the_image(geotiff: Path) -> None:
    truth = terrain.load()
    outline = manifest(geotiff)["file"]["geo_metadata"]["geo_json"]
    (ring,) = outline["coordinates"]
    assert outline["type"] == "Polygon"
    assert ring[0] == ring[-1]
    rows, columns = truth.elevation.shape
    longitudes, latitudes = {p[0] for p in ring}, {p[1] for p in ring}
    expected = (truth.west, truth.west + columns * truth.pixel_width)
    assert (min(longitudes), max(longitudes)) == pytest.approx(expected)
    assert (min(latitudes), max(latitudes)) == pytest.approx((truth.north - rows * truth.pixel_height, truth.north))
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
    assert area > 0, "GeoJSON wants the outer ring counter-clockwise"


def test_georeference_that_is_not_wgs_84_is_refused(feed: Path, tmp_path: Path) -> None:
    with (feed / "land.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    with (tmp_path / "bad.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        writer.writeheader()
        writer.writerow({**row, "epsg": 32617})
    result = run("geotiff_maker/make_geotiff.py", feed / "land.png", tmp_path / "bad.csv", tmp_path)
    assert result.returncode != 0
    assert "32617" in result.stderr
    assert not (tmp_path / "results_manifest.json").exists()


def test_the_points_are_the_summits_all_of_them(geotiff: Path, tmp_path: Path) -> None:
    result = run("point_detector/detect_points.py", Path(manifest(geotiff)["file"]["path"]), tmp_path)
    assert result.returncode == 0, result.stderr
    output = manifest(tmp_path)
    features = json.loads(Path(output["file"]["path"]).read_text())["features"]
    summits = [tuple(feature["geometry"]["coordinates"]) for feature in features]
    truth = terrain.load()
    assert len(summits) > 10
    assert terrain.summit_problems(truth, summits, demo.LEAST_PROMINENCE) == []
    assert summits[0][2] == truth.elevation.max()
    prominences = [feature["properties"]["prominence_m"] for feature in features]
    assert prominences == sorted(prominences, reverse=True)
    assert output["file"]["geo_metadata"]["geo_json"]["coordinates"] == [list(summit) for summit in summits]


def test_the_check_of_summits_can_fail() -> None:
    cone = np.array([[0, 0, 0, 0, 0], [0, 500, 300, 450, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype="int32")
    land = terrain.Terrain(cone, west=0.0, north=4.0, pixel_width=1.0, pixel_height=1.0)
    high, low = (1.5, 2.5, 500.0), (3.5, 2.5, 450.0)
    assert terrain.summit_problems(land, [high, low], 100.0) == []
    assert "missing" in terrain.summit_problems(land, [high], 100.0)[0]
    assert "not a summit" in terrain.summit_problems(land, [high, low], 200.0)[0]
    assert "m high, not" in terrain.summit_problems(land, [high, low, (2.5, 2.5, 301.0)], 100.0)[0]


def test_something_that_is_no_geotiff_is_refused(feed: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.tif"
    Image.new("L", (8, 8)).save(plain)
    result = run("point_detector/detect_points.py", plain, tmp_path)
    assert result.returncode != 0
    assert "not a GeoTIFF" in result.stderr


def test_elevation_becomes_shaded_relief(feed: Path, tmp_path: Path) -> None:
    assert run("thumbnailer/make_thumbnail.py", feed / "land.png", tmp_path).returncode == 0
    path = Path(manifest(tmp_path)["file"]["path"])
    demo.check_thumbnail(path)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=float)
        assert max(image.size) == 512
    # The valley in the north-east is green, the highest ridge in the south nearly white.
    valley, ridge = pixels[170:200, 420:480].mean(axis=(0, 1)), pixels[340:400, 255:285].mean(axis=(0, 1))
    assert valley[1] > valley[0] + 10
    assert ridge.min() > valley.max() - 30


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [("RGB", (1200, 600), (512, 256)), ("L", (40, 30), (40, 30)), ("RGBA", (600, 600), (512, 512))],
)
def test_an_ordinary_picture_only_shrinks(
    tmp_path: Path, mode: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    Image.new(mode, size, "red" if mode != "L" else 128).save(tmp_path / "picture.png")
    assert run("thumbnailer/make_thumbnail.py", tmp_path / "picture.png", tmp_path).returncode == 0
    with Image.open(manifest(tmp_path)["file"]["path"]) as image:
        assert image.size == expected
        assert image.convert("RGB").getpixel((5, 5)) == ((255, 0, 0) if mode != "L" else (128, 128, 128))


def test_documents_name_what_is_built() -> None:
    names = [path.stem.removeprefix("job-type-") for path in demo.DOCUMENTS.glob("job-type-*.json")]
    documents = {name: demo.read_document(f"job-type-{name}") for name in names}
    assert {document["docker_image"] for document in documents.values()} == set(images.ALGORITHMS)
    for document in documents.values():
        context = images.ALGORITHMS[document["docker_image"]]
        (script,) = context.glob("*.py")
        assert document["interface"]["command"] == f"python {script.name}"
        assert f"COPY {script.name}" in (context / "Dockerfile").read_text()
    known = {(document["name"], document["version"]) for document in documents.values()}
    recipes = [json.loads(path.read_text()) for path in demo.DOCUMENTS.glob("recipe-type-*.json")]
    used = {tuple(job["job_type"].values()) for recipe in recipes for job in recipe["definition"]["jobs"]}
    assert used == known - {("thumbnailer", "1.0.0")}, "which a rule of its own starts"


def test_the_demo_runs_without_docker_as_well() -> None:
    for name, script in demo.SCRIPTS.items():
        plain = demo.job_type(name, with_docker=False)
        assert plain["docker_image"] is None
        assert plain["interface"]["command"].endswith(str(ALGORITHMS / script))
        assert (ALGORITHMS / script).exists()
