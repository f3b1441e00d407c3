"""Which names of images are digests, and which images the setting lets have privileges."""

from __future__ import annotations

import pytest

from scale_core.digests import digest_of, may_be_privileged
from scale_core.errors import ConfigurationError
from scale_core.settings import Settings
from scale_worker.mesos.messages import executor_config

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.mark.parametrize("name", ["", "alpine@", "registry.example:5000/a/b@", "registry.example/a:1.0@"])
def test_a_name_by_digest(name: str) -> None:
    assert digest_of(name + ONE) == ONE


@pytest.mark.parametrize(
    "image",
    [
        "",
        "alpine",
        "alpine:1",
        "alpine@sha256:12",
        f"alpine:{'1' * 64}",
        f"a@b@{ONE}",
        f"{ONE}\n",
        f"x {ONE}",
        f"{ONE}0",
    ],
)
def test_everything_else_may_move(image: str) -> None:
    assert digest_of(image) is None
    assert not may_be_privileged(image, ())
    assert not may_be_privileged(image, (ONE,))


def test_an_empty_list_allows_what_is_pinned_and_another_only_its_own() -> None:
    assert may_be_privileged(ONE, ())
    assert may_be_privileged(f"mirror.example/a@{ONE}", (TWO, ONE))
    assert not may_be_privileged(ONE, (TWO,))


def test_the_setting_has_digests_only() -> None:
    settings = Settings.from_environ({"SCALE_PRIVILEGED_IMAGES": f" a/b@{ONE}, {TWO},"})
    assert settings.privileged_images == (ONE, TWO)
    with pytest.raises(ConfigurationError, match="SCALE_PRIVILEGED_IMAGES: 'a/b:latest'"):
        Settings.from_environ({"SCALE_PRIVILEGED_IMAGES": f"a/b:latest,{TWO}"})


def test_executors_are_told() -> None:
    environment = executor_config(Settings.from_environ({"SCALE_PRIVILEGED_IMAGES": f"{ONE},{TWO}"})).environment
    assert Settings.from_environ(environment).privileged_images == (ONE, TWO)
