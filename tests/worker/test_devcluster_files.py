"""The agent's files API of the devcluster against recordings of a real agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.devcluster_process import Cluster, devcluster
from tests.mesos_client import Framework, task
from tests.mesos_shapes import recorded, same_shape

RECORDED = recorded("files")
COMMAND = (
    "for i in 1 2 3 4 5; do echo out $i; done; head -c 100000 /dev/zero | tr '\\0' x > big;"
    " ln -s /etc/passwd leak; mkfifo pipe"
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, str, str]]:
    """A finished task: the cluster, its framework's id and its directory."""
    with devcluster(tmp_path_factory.mktemp("devcluster")) as cluster:
        framework = Framework(cluster.master).registered()
        framework.accept(framework.offer(), task("sb-cmd", COMMAND))
        assert framework.updates_of("sb-cmd")[-1]["state"] == "TASK_FINISHED"
        state = requests.get(f"http://{cluster.agent}/state", timeout=5).json()
        yield cluster, framework.id, state["frameworks"][0]["completed_executors"][0]["directory"]


@pytest.mark.parametrize("name", list(RECORDED))
def test_answers_as_recorded(sandbox: tuple[Cluster, str, str], name: str) -> None:
    cluster, framework_id, directory = sandbox
    expected = RECORDED[name]
    path = expected["query"].replace("DIRECTORY", directory).replace("FRAMEWORK", framework_id)
    response = requests.get(f"http://{cluster.agent}{path.replace('TASK', 'sb-cmd')}", timeout=5)
    assert response.status_code == expected["status"]
    types = {response.headers.get("Content-Type"), expected["headers"].get("Content-Type")}
    assert len(types) == 1
    assert response.headers.get("Content-Disposition") == expected["headers"].get("Content-Disposition")
    if name == "browse":
        same_shape(expected["body"], response.json())
        assert [Path(e["path"]).name for e in response.json()] == ["big", "leak", "pipe", "stderr", "stdout"]
    elif isinstance(expected["body"], dict):
        assert response.json() == expected["body"]
    else:
        assert response.text == (expected["body"] or "")


def test_pieces_are_limited_and_complete(sandbox: tuple[Cluster, str, str]) -> None:
    assert len(read(sandbox, "big", offset=0, length=1_000_000)["data"]) == 65536
    assert len(read(sandbox, "big", offset=65536)["data"]) == 100000 - 65536
    assert read(sandbox, "big") == {"data": "", "offset": 100000}


def test_bytes_come_through_unchanged(sandbox: tuple[Cluster, str, str]) -> None:
    """A piece may end inside a character: then the answer is no valid UTF-8, as from a real agent."""
    raw = 'Grüße "\\\n\x01'.encode() + bytes([0xFF, 0xFE])
    Path(sandbox[2], "raw").write_bytes(raw)
    answer = requests.get(url(sandbox, "raw", offset=0), timeout=5).content
    assert json.loads(answer.decode("latin-1"))["data"].encode("latin-1") == raw
    download = requests.get(url(sandbox, "raw", call="download"), timeout=5)
    assert download.content == raw


@pytest.mark.parametrize("path", ["/leak", "/pipe", "/../../../../../../../../../state.jsonl", "/\0"])
def test_nothing_else_is_served(sandbox: tuple[Cluster, str, str], path: str) -> None:
    for call in ("read", "download", "browse"):
        parameters: dict[str, Any] = {"path": sandbox[2] + path, "offset": 0}
        response = requests.get(f"http://{sandbox[0].agent}/files/{call}", params=parameters, timeout=5)
        assert (response.status_code, response.text) == (404, "")
    assert (sandbox[0].work_dir / "state.jsonl").exists()


def url(sandbox: tuple[Cluster, str, str], name: str, call: str = "read", **parameters: int) -> str:
    more = "".join(f"&{key}={value}" for key, value in parameters.items())
    return f"http://{sandbox[0].agent}/files/{call}?path={sandbox[2]}/{name}{more}"


def read(sandbox: tuple[Cluster, str, str], name: str, **parameters: int) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(url(sandbox, name, **parameters), timeout=5).json()
    return answer
