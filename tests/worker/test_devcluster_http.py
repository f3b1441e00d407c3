"""Status codes, texts and operator endpoints of the devcluster against recordings of a real master."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.devcluster_process import Cluster, devcluster
from tests.mesos_client import Framework, Stream, task
from tests.mesos_shapes import recorded, same_shape

ERRORS = recorded("http_errors")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with devcluster(tmp_path_factory.mktemp("devcluster")) as running:
        yield running


@pytest.fixture(scope="module")
def framework(cluster: Cluster) -> Framework:
    return Framework(cluster.master).registered()


def send(address: str, request: dict[str, Any], body: Any, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Send exactly these headers: requests and urllib would add some."""
    connection = http.client.HTTPConnection(address)
    data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    connection.putrequest(request["method"], request["path"])
    for name, value in {**headers, "Content-Length": str(len(data))}.items():
        connection.putheader(name, value)
    connection.endheaders(data)
    return connection.getresponse()


@pytest.mark.parametrize("request_", ERRORS["unsubscribed"], ids=lambda request: request["about"])
def test_refusals_without_a_subscription(cluster: Cluster, request_: dict[str, Any]) -> None:
    response = send(cluster.master, request_, request_["body"], request_["headers"])
    assert (response.status, response.read().decode()) == (request_["status"], request_["text"])
    assert response.headers.get("Allow") == request_.get("allow")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("request_", ERRORS["subscribed"], ids=lambda request: request["about"])
def test_answers_to_a_subscribed_framework(cluster: Cluster, framework: Framework, request_: dict[str, Any]) -> None:
    body = json.loads(json.dumps(request_["body"]).replace('"FRAMEWORK"', f'"{framework.id}"'))
    headers = {"Content-Type": "application/json"}
    about = request_["about"]
    if "wrong Mesos-Stream-Id" in about:
        headers["Mesos-Stream-Id"] = request_["headers"]["Mesos-Stream-Id"]
    elif "without Mesos-Stream-Id" not in about:
        headers["Mesos-Stream-Id"] = framework.stream.id
    response = send(cluster.master, request_, body, headers)
    text = request_["text"].replace("FRAMEWORK", framework.id)
    assert (response.status, response.read().decode()) == (request_["status"], text)
    if response.status in {200, 202}:
        assert response.headers["Content-Length"] == "0"
        assert "Content-Type" not in response.headers
    if about == "RECONCILE_OPERATIONS":
        same_shape(ERRORS["operation_status"], framework.stream.next("UPDATE_OPERATION_STATUS"))


@pytest.mark.parametrize(
    "parts",
    [
        {"type": "KILL", "kill": {"task_id": {"value": 5}}},
        {"type": "KILL", "kill": 5},
        {"type": "DECLINE", "decline": {"offer_ids": {"value": "x"}}},
        {"type": "DECLINE", "decline": {"offer_ids": [], "filters": {"refuse_seconds": "soon"}}},
        {"type": "ACKNOWLEDGE", "acknowledge": {"agent_id": {}, "task_id": {"value": "t"}, "uuid": []}},
        {"type": "REVIVE", "framework_id": "f"},
        {"type": ["REVIVE"]},
    ],
    ids=str,
)
def test_wrong_types_are_a_bad_request(framework: Framework, parts: dict[str, Any]) -> None:
    status, text = framework.post(
        {"framework_id": {"value": framework.id}, **parts}, {"Mesos-Stream-Id": framework.stream.id}
    )
    assert status == 400
    assert text.startswith("Failed to ")


def test_a_bad_role_is_an_error_on_the_stream(cluster: Cluster) -> None:
    call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root", "name": "x", "role": "/x"}}}
    stream = Stream(cluster.master, "/api/v1/scheduler", call)
    assert stream.next() == ERRORS["bad_role"]
    assert stream.ends()


def test_calls_keep_their_connection(framework: Framework) -> None:
    framework.call("SUPPRESS")
    first = framework._connection.sock
    assert first is not None
    assert framework.call("SUPPRESS") == (202, "")
    assert framework._connection.sock is first


def test_operator_endpoints(tmp_path_factory: pytest.TempPathFactory) -> None:
    expected = recorded("operator")
    with devcluster(tmp_path_factory.mktemp("operator")) as cluster:
        framework = Framework(cluster.master, capabilities=[{"type": "GPU_RESOURCES"}]).registered()
        framework.accept(framework.offer(), task("runs", "sleep 100"))
        framework.update()
        framework.update()
        framework.offer()
        get = {path: requests.get(f"http://{cluster.master}{path}", timeout=5) for path in PATHS}
        assert {path: response.status_code for path, response in get.items()} == dict.fromkeys(PATHS, 200)
        same_shape(expected["version"], get["/version"].json(), {"version", "git_tag"})
        for path, name in (("state", "master_state"), ("slaves", "slaves"), ("state-summary", "summary")):
            ours = get[f"/master/{path}"].json()
            assert ours.keys() == get[f"/{path}"].json().keys()
            same_shape(_one_resource(expected[name]), _one_resource(_without_flags(ours)), {"state", "version", "role"})
        assert get["/master/health"].content == b""
        redirect = requests.get(f"http://{cluster.master}/master/redirect", allow_redirects=False, timeout=5)
        assert (redirect.status_code, redirect.headers["Location"]) == (307, f"//{cluster.master}")
        ours = requests.get(f"http://{cluster.agent}/state", timeout=5).json()
        same_shape(_one_resource(expected["agent_state"]), _one_resource(_without_flags(ours)), {"state", "role"})
        assert requests.get(f"http://{cluster.agent}/slave(1)/state", timeout=5).json()["id"] == ours["id"]
        framework.call("TEARDOWN")
        ours = requests.get(f"http://{cluster.master}/master/state", timeout=5).json()
        assert ours["frameworks"] == []
        assert [task["id"] for task in ours["completed_frameworks"][0]["completed_tasks"]] == ["runs"]


PATHS = [
    "/version",
    "/health",
    "/master/health",
    *(f"{prefix}/{name}" for prefix in ("", "/master") for name in ("state", "slaves", "state-summary", "frameworks")),
]


@pytest.mark.parametrize("path", ["/nope", "/state.json", "/master/state.json", "/monitor/statistics.json"])
def test_names_of_old_are_not_found(cluster: Cluster, path: str) -> None:
    for address in (cluster.master, cluster.agent):
        response = requests.get(f"http://{address}{path}", timeout=5)
        assert (response.status_code, response.text) == (404, "404 Not Found.")


def _without_flags(document: dict[str, Any]) -> dict[str, Any]:
    """Flags are each program's own; and in recorded statuses of Docker tasks there is no executor_pid."""
    document.pop("flags", None)
    for framework in document.get("frameworks", []):
        tasks = list(framework.get("tasks", []))
        for executor in framework.get("executors", []):
            tasks += executor["tasks"]
        for known in tasks:
            for status in known["statuses"]:
                status.get("container_status", {}).pop("executor_pid", None)
            known["statuses"] = known["statuses"][:1]
    return document


def _one_resource(document: Any) -> Any:
    """Lists of resources are recorded with one element; which one comes first is not fixed in Mesos either."""
    if isinstance(document, dict):
        return {
            key: [r for r in value if r["name"] == "cpus"] if key.endswith("_resources_full") and value else value
            for key, value in ((key, _one_resource(value)) for key, value in document.items())
        }
    return [_one_resource(element) for element in document] if isinstance(document, list) else document
