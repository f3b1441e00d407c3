"""The image of deploy/: each process of Scale as a container, and a job through all of them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from docker.models.containers import Container

from scale_core import VERSION
from scale_core.settings import CHECKOUT
from scale_server import ports, postgres, redis
from tests.devcluster_process import Cluster, devcluster
from tests.patience import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]
RUN = uuid.uuid4().hex[:8]
START_S = 180.0


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


def documented_executor(image: str, workspace: Path) -> str:
    """The command of docs/deployment.md by which an agent starts the executor's image."""
    text = (CHECKOUT / "docs" / "deployment.md").read_text()
    (command,) = re.findall(r"^SCALE_EXECUTOR_COMMAND='(exec docker run .*?)'$", text, re.MULTILINE | re.DOTALL)
    assert f"scale:{VERSION}" in command
    assert "/mnt/scale:/mnt/scale" in command
    return command.replace(f"scale:{VERSION}", image).replace("/mnt/scale", str(workspace)).replace("\\\n", " ")


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
    address = f"http://127.0.0.1:{containers.environment['SCALE_PORT']}"
    session = requests.Session()
    session.trust_env = False

    def ask(method: str, path: str, **options: Any) -> Any:
        response = session.request(method, f"{address}{path}", timeout=120, **options)
        assert response.ok, response.text
        return response.json()

    def is_ready() -> bool:
        try:
            return bool(ask("GET", "/status/")["scheduler"]["is_online"] and ask("GET", "/nodes/")["count"])
        except requests.RequestException:  # it is just starting, on a busy machine
            return False

    try:
        wait_for("Scale to be ready", is_ready, START_S)
        assert session.get(f"{address}/ui/", timeout=120).text.startswith("<!doctype html>")
        kept = {"version": "1.0", "broker": {"type": "host", "host_path": str(workspace)}}
        results = ask("POST", "/workspaces/", json={"name": "results", "json_config": kept})["id"]
        interface = {
            "version": "1.0",
            "command": "/bin/sh -c",
            "command_arguments": "'echo made in the image > made.txt; echo ARTIFACT:made:made.txt'",
            "input_data": [],
            "output_data": [{"name": "made", "type": "file", "media_type": "text/plain"}],
        }
        small = {"cpus_required": 0.1, "mem_required": 64, "timeout": 600}
        kind = ask("POST", "/job-types/", json={"name": "maker", "version": "1.0.0", "interface": interface, **small})[
            "id"
        ]
        data = {"version": "1.0", "input_data": [], "output_data": [{"name": "made", "workspace_id": results}]}
        job = ask("POST", "/queue/new-job/", json={"job_type_id": kind, "job_data": data})["id"]
        ended = ("COMPLETED", "FAILED", "CANCELED")
        wait_for("the job to end", lambda: ask("GET", f"/jobs/{job}/")["status"] in ended, START_S, 0.2)
        found = ask("GET", f"/jobs/{job}/")
        assert found["status"] == "COMPLETED", found
        (product,) = wait_for("its product", lambda: ask("GET", "/products/")["results"])
        assert session.get(f"{address}/files/{product['id']}/content/", timeout=120).text == "made in the image\n"
    except AssertionError as error:
        raise AssertionError(f"{error}\n{containers.logs()}\n{cluster.log[-2000:]}") from error

    wait_for("Flower", lambda: _answers(session, containers.environment["SCALE_FLOWER_PORT"]))


def _answers(session: requests.Session, port: str) -> bool:
    try:
        return session.get(f"http://127.0.0.1:{port}/", timeout=10).ok
    except requests.ConnectionError:
        return False
