"""docs/tutorial.md: its blocks, one after the other, in one shell, as they are printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from examples import images
from scale_core.settings import CHECKOUT
from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale

pytestmark = [pytest.mark.journey, pytest.mark.docker, pytest.mark.timeout(900)]
TUTORIAL = CHECKOUT / "docs" / "tutorial.md"
PATIENCE_S = 600.0


@pytest.fixture
def scale(tmp_path: Path) -> Iterator[Scale]:
    home = tmp_path / "home"
    try:
        with scale_process.scale(home, from_nothing=True) as running:
            yield running
    finally:
        postgres.destroy(home)


@pytest.fixture
def base_image() -> Iterator[None]:
    client = docker.from_env(timeout=600)
    try:
        images.base_image(client, print)
        yield
    finally:
        client.close()


def blocks() -> list[str]:
    """What a reader types; two programs that run beside it are started by the test."""
    found = re.findall(r"^```sh( no-test)?\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    assert [text.split()[0] for mark, text in found if mark] == ["script/server"]
    return [text for mark, text in found if not mark]


def test_the_tutorial_works_as_it_is_printed(scale: Scale, base_image: None, tmp_path: Path) -> None:
    directory = tmp_path / "tutorial"
    shell = subprocess.run(
        ["bash", "-e", "-u", "-x"],
        input="\n".join(blocks()),
        cwd=CHECKOUT,
        env={**os.environ, "SCALE_URL": scale.address.rstrip("/"), "TUTORIAL": str(directory)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert shell.returncode == 0, shell.stdout + shell.stderr
    assert json.loads((directory / "hamlet.json").read_text())["be"] == 2
    assert (directory / "jaques-top.txt").read_text() == "all 3\n"
    (event,) = {recipe["event"]["type"] for recipe in scale.results("recipes/")}
    assert event == "INGEST"
