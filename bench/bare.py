"""The ceilings: the same work without Scale."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound

from bench.server import BenchFailed
from scale_core.settings import Settings
from scale_worker.executor import containers
from scale_worker.executor.containers import ContainerJob

TRUE = "/bin/true"
IMAGE = "scale-bench/true:1"
ENGINE_TIMEOUT_S = 60


def spawn_rate(count: int, at_once: int) -> float:
    """Processes of TRUE per second, started and waited for by `at_once` threads."""

    def spawn(number: int) -> None:
        subprocess.run([TRUE], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    return _rate(spawn, count, at_once)


def container_rate(count: int, at_once: int) -> float:
    """Containers of TRUE per second: created with the executor's options, started, waited for and removed.

    As many start at a time as the executor allows.
    """
    client = engine()
    settings = Settings.from_environ({})
    starting = threading.BoundedSemaphore(containers.starts_at_once())

    def run(number: int) -> None:
        job = ContainerJob(
            name=f"scale-bench-bare-{number}-{time.monotonic_ns()}", image=IMAGE, command=[TRUE], arguments=[],
            variables={"SCALE_JOB_ID": "1"}, labels={"scale.bench": "bare"}, binds=[], cpus=0.1, mem=32.0,
            privileged=False, stdout=Path(), stderr=Path(),
        )  # fmt: skip
        config = containers.create_config(client.api, settings, job)
        with starting:
            container = client.api.create_container_from_config(config, job.name)["Id"]
            client.api.start(container)
        client.api.wait(container, timeout=ENGINE_TIMEOUT_S)
        client.api.remove_container(container, force=True, v=True)

    try:
        run(-1)
        return _rate(run, count, at_once)
    except DockerException as error:
        raise BenchFailed(f"the Docker Engine: {error}") from error
    finally:
        client.close()


def engine() -> Any:
    """A client of the Docker Engine. Raises BenchFailed when none answers."""
    try:
        client = docker.DockerClient.from_env(version="auto", timeout=ENGINE_TIMEOUT_S, max_pool_size=64)
        client.ping()
    except DockerException as error:
        raise BenchFailed(f"no Docker Engine answers: {error}") from error
    return client


def make_image() -> str:
    """The tag of an image with this machine's TRUE and the libraries that it needs: no registry is asked."""
    client = engine()
    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        client.api.import_image_from_data(_file_system(), repository=IMAGE)
    finally:
        client.close()
    return IMAGE


def _file_system() -> bytes:
    linked = subprocess.run(["ldd", TRUE], check=False, text=True, capture_output=True).stdout
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in [TRUE, *re.findall(r"(?:^|\s)(/\S+)", linked)]:
            content = Path(path).read_bytes()
            file = tarfile.TarInfo(path.lstrip("/"))
            file.size, file.mode = len(content), 0o755
            tar.addfile(file, io.BytesIO(content))
    return archive.getvalue()


def _rate(work: Callable[[int], None], count: int, at_once: int) -> float:
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda _: None, range(at_once)))  # the threads are there
        began = time.monotonic()
        list(pool.map(work, range(count)))
        return count / (time.monotonic() - began)
