"""The executor itself in a container, with the engine's socket: its paths are not those of the engine's machine."""

import base64
import os
import sys
from pathlib import Path

import docker
import pytest

from scale_core.domain.execution import Input, StatusData, WorkspaceAccess
from scale_core.errors import ConfigurationError
from scale_core.settings import CHECKOUT, parse_paths
from scale_worker.executor.containers import path_of_engine
from tests.docker_images import busybox_image
from tests.worker.executions import WORKSPACE, Bench, file_output, prop
from tests.worker.fake_agent import FakeAgent

LIBRARIES = ("/usr", "/lib", "/lib64")


def test_paths() -> None:
    paths = parse_paths("/a=/x; /a/b/=/y/;")
    found = [path_of_engine(path, paths) for path in ("/a", "/a/c", "/a/b", "/a/b/c", "/ab", "/z")]
    assert found == ["/x", "/x/c", "/y", "/y/c", "/ab", "/z"]
    with pytest.raises(ConfigurationError, match="SCALE_DOCKER_PATHS"):
        parse_paths("a=/b")


@pytest.mark.docker
def test_a_job_with_inputs_and_outputs(tmp_path: Path) -> None:
    agent, bench, client = FakeAgent(), Bench(tmp_path), docker.from_env()
    (tmp_path / "runs" / "1").mkdir(parents=True)
    shared = {str(path): {"bind": str(path), "mode": "ro"} for path in (*LIBRARIES, CHECKOUT, sys.base_prefix)}
    own = {
        "/var/run/docker.sock": {"bind": "/var/run/docker.sock"},
        str(tmp_path / "runs"): {"bind": "/sandboxes"},
        str(bench.workspace): {"bind": "/archive"},
    }
    paths = f"/sandboxes={tmp_path}/runs;/archive={bench.workspace}"
    executor = client.containers.run(
        busybox_image(),
        entrypoint=[sys.executable, "-m", "scale_worker.executor"],
        working_dir=str(CHECKOUT),
        environment={**agent.environment("/sandboxes/1"), "SCALE_DOCKER_PATHS": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        volumes={**shared, **own},
        network_mode="host",
        name=f"executor-{os.getpid()}",
        detach=True,
    )
    try:
        agent.subscriptions.get(timeout=30)
        script = 'cat "$0" > $SCALE_OUTPUT_DIR/copy; echo ARTIFACT:result:copy'
        spec = bench.spec(
            "${script} ${file}",
            task_id=f"in-container-{os.getpid()}",
            docker_image=busybox_image(),
            workspaces=(WorkspaceAccess(WORKSPACE, "raw", {"type": "host", "host_path": "/archive"}),),
            inputs=(prop("script", script), Input("file", "file", files=(bench.put("in/a"),))),
            outputs=(file_output(),),
        )
        agent.launch(spec.task_id, base64.b64encode(spec.to_json().encode()).decode())
        assert agent.next_update()["state"] == "TASK_RUNNING"
        outcome = StatusData.decode(agent.next_update()["data"]).outcome
        assert outcome is not None
        assert outcome.succeeded, outcome.message
        assert bench.stored()["out/7/copy"] == b"content"
    finally:
        executor.remove(force=True)
        agent.close()
        client.close()
