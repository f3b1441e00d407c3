"""The image of deploy/: each process of Scale as a container, and a job through all of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from scale_core import VERSION
from scale_server import ports, postgres, redis
from tests.deploy.visitor import Visitor, documented_executor
from tests.devcluster_process import Cluster, devcluster
from tests.patience import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]
RUN = uuid.uuid4().hex[:8]


class Containers:
    """Containers of the image on the machine's own network, by the name of their process."""

    def __init__(self, image: str, environment: dict[str, str], workspace: Path) -> None:
        self.client, self.image, self.environment = docker.from_env(), image, environment
        self.volumes = {str(workspace): {"bind": str(workspace)}}
        self.started: list[Container] = []

    def start(self, process: str, *more: str, **environment: str) -> Container:
        container = self.client.containers.run(
            self.image,
            [process, *more],
            detach=True,
            network_mode="host",
            volumes=self.volumes,
            name=f"scale-test-{RUN}-{len(self.started)}",
            environment={**self.environment, **environment},
        )
        self.started.append(container)
        return container

    def run(self, process: str, *more: str, **environment: str) -> tuple[int, str]:
        """(exit code, output)"""
        container = self.start(process, *more, **environment)
        code = container.wait(timeout=1200)["StatusCode"]
        return code, container.logs().decode(errors="replace")

    def logs(self) -> str:
        return "\n".join(container.logs(tail=15).decode(errors="replace") for container in self.started)

    def close(self) -> None:
        for container in self.started:
            container.remove(force=True)
        self.client.close()


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An empty database with PostGIS, and a Redis, on this machine."""
    home = tmp_path_factory.mktemp("deploy")
    try:
        yield {"SCALE_DATABASE_URL": postgres.start(home), "SCALE_BROKER_URL": redis.start(home)}
    finally:
        redis.stop(home)
        postgres.destroy(home)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with devcluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def containers(image: str, services: dict[str, str], cluster: Cluster, workspace: Path) -> Iterator[Containers]:
    environment = {
        **services,
        "SCALE_HOST": "127.0.0.1",
        "SCALE_PORT": str(ports.free_port()),
        "SCALE_FLOWER_HOST": "127.0.0.1",
        "SCALE_FLOWER_PORT": str(ports.free_port()),
        "SCALE_MESOS_MASTER": cluster.master,
        "SCALE_EXECUTOR_COMMAND": documented_executor(image, workspace),
        "SCALE_API_WORKERS": "1",
    }
    made = Containers(image, environment, workspace)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workspace")
    path.chmod(0o755)
    return path


def test_programs_say_who_they_are(containers: Containers) -> None:
    code, output = containers.run("executor", "--version")
    assert (code, output.strip()) == (0, f"Scale {VERSION}")
    code, output = containers.run("executor", "--help")
    assert code == 0
    assert "Mesos agent" in output
    code, output = containers.run("scale", "--help")
    assert code == 0
    assert "doctor" in output
    code, output = containers.run("nonsense")
    assert code == 2
    assert "there is no process nonsense" in output
    code, output = containers.run("--help")
    assert code == 0
    assert "migrate" in output


def test_a_job_passes_through_all_processes(containers: Containers, cluster: Cluster, workspace: Path) -> None:
    code, output = containers.run("migrate")
    assert code == 0, output
    code, output = containers.run("migrate")
    assert code == 0, f"a second time: {output}"

    code, output = containers.run("api", SCALE_HOST="0.0.0.0")
    assert code == 1
    assert "deploy/run create-admin" in output

    for process in ("api", "worker", "beat", "scheduler", "flower"):
        containers.start(process)
    visitor = Visitor(f"http://127.0.0.1:{containers.environment['SCALE_PORT']}")
    try:
        visitor.run_a_job(workspace)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{containers.logs()}\n{cluster.log[-2000:]}") from error

    flower = Visitor(f"http://127.0.0.1:{containers.environment['SCALE_FLOWER_PORT']}")
    wait_for("Flower", lambda: flower.finds("/"))
