"""The image of deploy/, built once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import docker
import pytest
from docker.errors import APIError

from examples import images
from scale_core.settings import CHECKOUT

TAG = f"scale-test/scale:{os.getpid()}"


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The tag of an image of this checkout, on the base image of the examples: no registry is asked."""
    client = docker.from_env(timeout=600)
    try:
        images.base_image(client, print)
        built = subprocess.run(
            [str(CHECKOUT / "deploy" / "build_image"), TAG], env={**os.environ, "BASE": images.BASE},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert built.returncode == 0, built.stdout + built.stderr
        yield TAG
        with suppress(APIError):  # the layers stay for the next build
            client.images.remove(TAG, noprune=True)
    finally:
        client.close()
