"""Images from a registry: pulled, slow, refused, and pulled again when that is wanted."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from scale_core.domain.execution import ExecutionSpec
from scale_worker.executor.cancel import KILLED
from tests.docker_images import busybox_image
from tests.patience import wait_for
from tests.worker import registry as registries
from tests.worker.executions import Bench
from tests.worker.registry import Registry

pytestmark = pytest.mark.docker


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def base(client: docker.DockerClient, tmp_path: Path) -> str:
    """An image whose last layer the engine has not, once it is removed."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "Dockerfile").write_text(f"FROM {busybox_image()}\nCOPY ballast /ballast\n")
    (tmp_path / "build" / "ballast").write_bytes(os.urandom(2 << 20))
    name = f"scale-test/pull-{os.getpid()}:1"
    client.images.build(path=str(tmp_path / "build"), tag=name, rm=True)
    return name


@pytest.fixture
def registry(client: docker.DockerClient, base: str) -> Iterator[Registry]:
    with registries.registry(client, base) as made:
        client.images.remove(base, force=True)
        yield made


def spec(bench: Bench, registry: Registry) -> ExecutionSpec:
    task_id = f"{bench.root.name}-{os.getpid()}-{bench.count}"
    return bench.spec("'echo ran; ls /ballast'", task_id=task_id, docker_image=registry.image)


def test_an_image_is_pulled_once_and_its_digest_is_recorded(
    tmp_path: Path, registry: Registry, client: docker.DockerClient
) -> None:
    bench = Bench(tmp_path)
    outcome = bench.run(spec(bench, registry))
    assert (outcome.succeeded, outcome.stdout) == (True, "ran\n/ballast\n"), outcome.message
    assert outcome.used["image_digest"] == f"127.0.0.1:{registry.port}/tests/image@{registry.digest}"
    assert f"[scale] pulling the image {registry.image}\n[scale] pulled the image" in outcome.stderr
    asked = len(registry.asked)
    again = bench.run(spec(bench, registry))
    assert (again.succeeded, again.stderr, len(registry.asked)) == (True, "", asked)
    assert again.used["image_digest"] == outcome.used["image_digest"]


def test_force_pull_looks_for_a_newer_one_each_time(tmp_path: Path, registry: Registry) -> None:
    bench = Bench(tmp_path, {"SCALE_DOCKER_FORCE_PULL": "1"})
    assert bench.run(spec(bench, registry)).succeeded
    asked = len(registry.asked)
    assert bench.run(spec(bench, registry)).succeeded
    assert len(registry.asked) > asked


def test_a_slow_pull_tells_how_far_it_is(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scale_worker.executor.containers._PROGRESS_S", 0.2)
    registry.pause_s = 0.05
    bench = Bench(tmp_path)
    outcome = bench.run(spec(bench, registry))
    assert outcome.succeeded, outcome.message
    assert "of at least 2 MiB" in outcome.stderr


def test_a_pull_that_takes_too_long_is_an_error_of_its_own(tmp_path: Path, registry: Registry) -> None:
    registry.pause_s = 0.5
    bench = Bench(tmp_path, {"SCALE_DOCKER_PULL_TIMEOUT_S": "2"})
    outcome = bench.run(spec(bench, registry))
    assert (outcome.succeeded, outcome.error, outcome.stdout) == (False, "docker-image-pull", "")
    assert registry.image in outcome.message
    assert "SCALE_DOCKER_PULL_TIMEOUT_S" in outcome.message


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_registry_that_refuses(tmp_path: Path, registry: Registry, status: int) -> None:
    registry.refusal = status
    bench = Bench(tmp_path, {"SCALE_DOCKER_PULL_TIMEOUT_S": "20"})
    outcome = bench.run(spec(bench, registry))
    assert (outcome.succeeded, outcome.error) == (False, "docker-image-pull")
    assert registry.image in outcome.message


def test_a_cancel_ends_a_pull(tmp_path: Path, registry: Registry) -> None:
    registry.pause_s = 0.5
    bench = Bench(tmp_path)
    cancel = bench.cancellation()
    found = []
    thread = threading.Thread(target=lambda: found.append(bench.run(spec(bench, registry), cancel)))
    thread.start()
    wait_for("the pull", lambda: any("/blobs/" in path for path in registry.asked))
    cancel.request(KILLED)
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert found[0].succeeded is False
