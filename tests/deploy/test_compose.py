"""deploy/compose.yaml as it stands, by docker-compose: all processes, PostgreSQL and Redis, and a job through them.

The images that it takes from a registry are made here of Debian's packages: see stand_ins/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import images
from scale_server import ports
from tests.deploy.test_files import DEPLOY, PROCESSES
from tests.deploy.visitor import START_S, Visitor, documented_executor
from tests.devcluster_process import Cluster, devcluster
from tests.patience import wait_for

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed"),
]
STAND_INS = Path(__file__).parent / "stand_ins"
PASSWORD = "p-of-the-test"


class Compose:
    """One project of docker-compose, with ports, volumes and settings of its own."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory, self.environment = directory, {**os.environ, **environment}
        self.project = f"scale-test-{uuid.uuid4().hex[:8]}"

    def __call__(self, *arguments: str) -> str:
        command = ["docker-compose", "--project-name", self.project, *arguments]
        ran = subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


def stand_in(target: str) -> str:
    """The tag of its image. Skips where Debian's mirror does not answer either; its layers stay for the next time."""
    tag = f"scale-test/{target}:1"
    built = subprocess.run(
        ["docker", "build", "--network=host", f"--build-arg=BASE={images.BASE}", f"--target={target}",
         f"--tag={tag}", str(STAND_INS)], capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "apt-get update" in built.stderr and built.returncode:
        pytest.skip(f"no packages for {tag}: {built.stdout[-300:]}")
    assert built.returncode == 0, built.stdout + built.stderr
    return tag


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with devcluster(tmp_path / "cluster") as running:
        yield running


@pytest.fixture
def compose(image: str, cluster: Cluster, tmp_path: Path) -> Iterator[Compose]:
    workspace, directory = tmp_path / "workspace", tmp_path / "deploy"
    workspace.mkdir(mode=0o755)
    directory.mkdir()
    shutil.copy(DEPLOY / "compose.yaml", directory / "docker-compose.yml")
    (directory / "postgres.password").write_text(PASSWORD)
    postgres, redis = ports.free_port(), ports.free_port()
    own = {
        "SCALE_DATABASE_URL": f"postgresql://scale:{PASSWORD}@127.0.0.1:{postgres}/scale",
        "SCALE_BROKER_URL": f"redis://127.0.0.1:{redis}/0",
        "SCALE_MESOS_MASTER": cluster.master,
        "SCALE_PORT": str(ports.free_port()),
        "SCALE_FLOWER_PORT": str(ports.free_port()),
        "SCALE_EXECUTOR_COMMAND": f"'{documented_executor(image, workspace)}'",
    }
    given = [
        line.split("=", 1)
        for line in (DEPLOY / "scale.env.example").read_text().splitlines()
        if line and line[0] != "#"
    ]
    settings = {**dict(given), **own}
    (directory / "scale.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    made = Compose(
        directory,
        {
            "SCALE_IMAGE": image,
            "SCALE_WORKSPACES": str(workspace),
            "SCALE_POSTGIS_IMAGE": stand_in("postgis"),
            "SCALE_REDIS_IMAGE": stand_in("redis"),
            "SCALE_POSTGRES_PORT": str(postgres),
            "SCALE_REDIS_PORT": str(redis),
            "SCALE_PORT": settings["SCALE_PORT"],
        },
    )
    try:
        yield made
    finally:
        made("down", "--volumes", "--timeout", "20")


def test_compose_runs_a_job_and_keeps_it(compose: Compose, cluster: Cluster) -> None:
    visitor = Visitor(f"http://127.0.0.1:{compose.environment['SCALE_PORT']}")
    try:
        compose("up", "--detach")
        visitor.run_a_job(Path(compose.environment["SCALE_WORKSPACES"]))
        assert {*compose("ps", "--services", "--filter", "status=running").split()} >= PROCESSES

        compose("restart", "--timeout", "20", "postgres", "redis", *sorted(PROCESSES))
        wait_for("Scale to be ready again", visitor.is_ready, START_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{compose('logs', '--tail=15')}\n{cluster.log[-2000:]}") from error
    assert visitor.ask("GET", "/products/")["count"] == 1
