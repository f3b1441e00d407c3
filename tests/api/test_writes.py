"""Creating and changing through REST: the documented journeys, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core.domain.ingest import IngestStatus
from tests import factories
from tests.api.test_shapes import (
    ERROR,
    JOB,
    JOB_DETAILS,
    JOB_TYPE_DETAILS,
    NODE,
    RECIPE_DETAILS,
    RECIPE_TYPE,
    STRIKE_LISTED,
    WORKSPACE,
    fetch,
)
from tests.api.world import World
from tests.conftest import NOW

BROKER = {"version": "1.0", "broker": {"type": "host", "host_path": "/data"}}


def create(client: FlaskClient, path: str, body: dict[str, Any]) -> Any:
    """POST, check 201 and that Location shows what was answered."""
    response = client.post(path, json=body)
    assert response.status_code == 201, response.text
    assert fetch(client, response.headers["Location"]) == response.json
    return response.json


def refused(response: Any, status: int = 400) -> str:
    assert response.status_code == status, response.text
    text: str = response.text if response.mimetype == "text/plain" else response.json["detail"]
    return text


def test_errors(client: FlaskClient) -> None:
    body = {"name": "e", "title": "E", "description": "An error", "category": "DATA", "id": 7, "extra": 1}
    made = create(client, "/errors/", body)
    assert set(made) == ERROR
    assert made["is_builtin"] is False
    path = f"/errors/{made['id']}/"
    edited = client.patch(path, json={"title": "New", "category": "ALGORITHM", "name": "ignored"})
    assert edited.status_code == 200
    assert (edited.json["title"], edited.json["category"], edited.json["name"]) == ("New", "ALGORITHM", "e")
    refused(client.post("/errors/", json=body), 409)
    assert "category" in refused(client.post("/errors/", json={**body, "name": "f", "category": "SYSTEM"}))
    builtin = fetch(client, "/errors/")["results"][0]
    refused(client.patch(f"/errors/{builtin['id']}/", json={"title": "x"}))
    refused(client.patch("/errors/987654/", json={"title": "x"}), 404)


def test_workspaces(client: FlaskClient) -> None:
    made = create(client, "/workspaces/", {"name": "w", "json_config": BROKER, "title": None})
    assert set(made) == WORKSPACE | {"json_config"}
    edited = client.patch(f"/workspaces/{made['id']}/", json={"base_url": "http://x/", "is_active": False})
    assert (edited.status_code, edited.json["base_url"], edited.json["is_active"]) == (200, "http://x/", False)
    assert edited.json["archived"] is not None
    refused(client.post("/workspaces/", json={"name": "w", "json_config": BROKER}), 409)
    assert "json_config" in refused(client.post("/workspaces/", json={"name": "v"}))
    assert "broker" in refused(client.post("/workspaces/", json={"name": "v", "json_config": {"version": "1.0"}}))
    nfs = {"version": "1.0", "broker": {"type": "nfs", "mount": "host:/x"}}
    warned = client.post("/workspaces/validation/", json={"name": "w", "json_config": nfs})
    assert (warned.status_code, [w["id"] for w in warned.json["warnings"]]) == (200, ["broker_type"])


def test_job_types(client: FlaskClient) -> None:
    body = {
        "name": "my-job", "version": "1.0", "interface": factories.interface(), "timeout": 60, "max_scheduled": 2,
        "created": "2015-03-11T00:00:00Z", "uses_docker": True, "error_mapping": {"exit_codes": {"1": "unknown"}},
    }  # fmt: skip
    (warning,) = client.post("/job-types/validation/", json=body).json["warnings"]
    assert warning == {"id": "read-only", "details": "created cannot be set and is ignored"}
    made = create(client, "/job-types/", body)
    assert set(made) == JOB_TYPE_DETAILS
    assert (made["revision_num"], made["uses_docker"], made["trigger_rule"]) == (1, False, None)
    assert [error["name"] for error in made["errors"]] == ["unknown"]
    refused(client.post("/job-types/", json=body), 409)
    path = f"/job-types/{made['id']}/"
    edited = client.patch(path, json={"is_paused": True, "interface": factories.interface(command="other")})
    assert (edited.json["revision_num"], edited.json["is_paused"]) == (2, True)
    assert edited.json["paused"] is not None
    assert "interface" in refused(client.patch(path, json={"interface": {"version": "1.0"}}))
    problems = client.post("/job-types/", json={"timeout": "soon", "is_paused": "perhaps"}).json["problems"]
    assert {problem["path"] for problem in problems} == {"name", "version", "interface", "timeout", "is_paused"}
    refused(client.patch("/job-types/987654/", json={"title": "x"}), 404)


def test_recipe_types(client: FlaskClient, session: Session) -> None:
    job_type = factories.make_job_type(session)
    session.commit()
    place = factories.place("one", job_type, recipe_inputs=[{"recipe_input": "file", "job_input": "in"}])
    definition = factories.definition(place, inputs=[{"name": "file", "type": "file"}])
    body = {"name": "my-recipe", "version": "1.0", "definition": definition}
    assert client.post("/recipe-types/validation/", json=body).status_code == 200
    made = create(client, "/recipe-types/", body)
    assert set(made) == RECIPE_TYPE | {"job_types"}
    assert [each["id"] for each in made["job_types"]] == [job_type.id]
    edited = client.patch(f"/recipe-types/{made['id']}/", json={"title": "T", "trigger_rule": None})
    assert (edited.status_code, edited.json["title"], edited.json["revision_num"]) == (200, "T", 1)
    unknown = {**definition, "jobs": [{**place, "job_type": {"name": "nothing", "version": "9"}}]}
    assert "nothing" in refused(client.post("/recipe-types/", json={**body, "name": "b", "definition": unknown}))


def test_strikes(client: FlaskClient, session: Session, tmp_path: Path) -> None:
    mount = f"localhost:{tmp_path}"
    store = factories.make_workspace(session)
    session.commit()
    body = {"name": "s", "configuration": factories.strike_configuration(store, mount)}
    assert client.post("/strikes/validation/", json=body).json == {"warnings": []}
    response = client.post("/strike/create/", json=body)
    assert (response.status_code, set(response.json)) == (200, {"strike_id"})
    strike = fetch(client, f"/strikes/{response.json['strike_id']}/")
    assert strike["job"]["job_type"]["name"] == "scale-strike"
    refused(client.post("/strike/create/", json=body), 409)
    made = create(client, "/strikes/", {**body, "name": "t", "description": None})
    assert set(made) == STRIKE_LISTED | {"configuration"}
    edited = client.patch(f"/strikes/{made['id']}/", json={"title": "T"})
    assert (edited.status_code, edited.json["title"]) == (200, "T")
    shared = client.post("/strikes/validation/", json={**body, "name": "third"}).json["warnings"]
    assert [w["id"] for w in shared] == ["mount_shared", "mount_shared"]
    assert "The Strike 's' watches the same directory" in shared[0]["details"]
    moved = {**body, "configuration": factories.strike_configuration(store, "localhost:/opt")}
    assert [w["id"] for w in client.post("/strikes/validation/", json=moved).json["warnings"]] == ["mount_change"]
    bad = factories.strike_configuration(store, mount, filename_regex="(")
    assert "regex" in refused(client.post("/strike/create/", json={"name": "u", "configuration": bad}))


@pytest.mark.parametrize(
    ("mount", "sentence"),
    [
        ("localhost:/no/such/directory", "the directory /no/such/directory does not exist on this machine"),
        ("localhost:/dev/../no/such", "'localhost:/dev/../no/such' is not a mount of the form host:/path"),
        (
            "localhost:/etc/cron.d",
            "the directory /etc/cron.d belongs to the operating system; choose one",
        ),
        ("localhost:/", "the directory / belongs to the operating system"),
        ("filer:/exports/feed", "filer:/exports/feed is not mounted here: add filer:/path=/local/path to SCALE_MOUNTS"),
    ],
)
def test_a_strike_of_a_directory_that_is_not_here(
    client: FlaskClient, session: Session, tmp_path: Path, mount: str, sentence: str
) -> None:
    store = factories.make_workspace(session)
    session.commit()
    good = {"name": "s", "configuration": factories.strike_configuration(store, f"localhost:{tmp_path}")}
    bad = {"name": "t", "configuration": factories.strike_configuration(store, mount)}
    strike_id = client.post("/strike/create/", json=good).json["strike_id"]
    answers = [client.post(path, json=bad) for path in ("/strike/create/", "/strikes/", "/strikes/validation/")]
    for answer in [*answers, client.patch(f"/strikes/{strike_id}/", json=bad)]:
        assert sentence in refused(answer)
        assert "configuration.mount" in refused(answer)
    assert [strike["id"] for strike in client.get("/strikes/").json["results"]] == [strike_id]


def test_queue_new_job(client: FlaskClient, session: Session) -> None:
    job_type = factories.make_job_type(session)
    store = factories.make_workspace(session)
    source = factories.make_source(session, store)
    session.commit()
    body = {"job_type_id": job_type.id, "job_data": factories.job_data(source, store)}
    response = client.post("/queue/new-job/", json=body)
    assert response.status_code == 201, response.text
    job = response.json
    assert set(job) == JOB_DETAILS
    assert (job["status"], job["inputs"][0]["value"]["id"]) == ("QUEUED", source.id)
    execution = fetch(client, response.headers["Location"])
    assert (execution["job"]["id"], execution["status"]) == (job["id"], "QUEUED")
    assert fetch(client, "/status/")["queue_depth"] == 1
    refused(client.post("/queue/new-job/", json={**body, "job_type_id": 987654}), 404)
    missing = {**body, "job_data": {"version": "1.0", "input_data": [], "output_data": []}}
    assert "in" in refused(client.post("/queue/new-job/", json=missing))
    assert "job_data" in refused(client.post("/queue/new-job/", json={"job_type_id": job_type.id}))


def test_queue_new_recipe(client: FlaskClient, world: World) -> None:
    data = {
        "version": "1.0",
        "input_data": [{"name": "file", "file_id": world.source.id}],
        "workspace_id": world.products.id,
    }
    made = create(client, "/queue/new-recipe/", {"recipe_type_id": world.recipe_type.id, "recipe_data": data})
    assert set(made) == RECIPE_DETAILS
    assert [part["job"]["status"] for part in made["jobs"]] == ["QUEUED"]
    refused(client.post("/queue/new-recipe/", json={"recipe_type_id": 987654, "recipe_data": data}), 404)


def test_cancel(client: FlaskClient, world: World) -> None:
    path = f"/jobs/{world.queued.id}/"
    response = client.patch(path, json={"status": "CANCELED"})
    assert (response.status_code, set(response.json), response.json["status"]) == (200, JOB_DETAILS, "CANCELED")
    for body in ({"status": "RUNNING"}, {}, {"status": "CANCELED"}):
        again = client.patch(path, json=body)
        assert (again.status_code, again.mimetype) == (400, "text/plain")
    unexpected = client.patch(path, json={"status": "CANCELED", "priority": 1, "data": {}})
    assert "data, priority" in refused(unexpected)
    unknown = client.patch("/jobs/987654/", json={"status": "CANCELED"})
    assert (unknown.status_code, unknown.mimetype) == (404, "text/plain")


def test_requeue(client: FlaskClient, world: World) -> None:
    response = client.post("/queue/requeue-jobs/", json={"job_type_ids": [world.job_type.id], "priority": 7})
    assert response.status_code == 200, response.text
    assert response.json["count"] == 1
    (job,) = response.json["results"]
    assert set(job) == JOB
    assert (job["id"], job["status"], job["priority"]) == (world.failed.id, "QUEUED", 7)
    ids = [world.completed.id, world.failed.id]
    both = client.post("/queue/requeue-jobs/?page_size=1", json={"job_ids": ids}).json
    assert (both["count"], len(both["results"])) == (2, 1)
    assert fetch(client, f"/jobs/{world.completed.id}/")["status"] == "COMPLETED"
    refused(client.post("/queue/requeue-jobs/", json={"job_ids": [987654]}), 404)
    assert "job_ids" in refused(client.post("/queue/requeue-jobs/", json={"job_ids": 5}))
    times = {"started": "2015-01-02T00:00:00Z", "ended": "2015-01-01T00:00:00Z"}
    assert "started" in refused(client.post("/queue/requeue-jobs/", json=times))


def test_nodes(client: FlaskClient, world: World) -> None:
    path = f"/nodes/{world.node.id}/"
    response = client.patch(path, json={"is_paused": True, "pause_reason": "repair"})
    assert response.status_code == 201, response.text
    assert response.headers["Location"] == f"http://localhost{path}"
    assert set(response.json) == NODE | {"job_exes_running", "resources"}
    assert (response.json["is_paused"], response.json["pause_reason"]) == (True, "repair")
    whole = {"hostname": "new", "port": 5052, "pause_reason": None, "is_paused": False}
    replaced = client.put(path, json=whole)
    assert (replaced.status_code, replaced.json["hostname"], replaced.json["pause_reason"]) == (201, "new", None)


@pytest.mark.parametrize(
    ("method", "body", "message"),
    [
        ("PATCH", {}, "No fields"),
        ("PATCH", {"slave_id": "x", "colour": 1}, "Unexpected fields: colour, slave_id"),
        ("PATCH", {"port": 70000}, "port"),
        ("PATCH", {"is_paused": "perhaps"}, "is_paused"),
        ("PUT", {"hostname": "x"}, "port"),
        ("PUT", {"hostname": "x", "port": 1, "pause_reason": None, "is_paused": False, "id": 1}, "Unexpected fields"),
    ],
)
def test_bad_node_edits(client: FlaskClient, world: World, method: str, body: dict[str, Any], message: str) -> None:
    response = client.open(f"/nodes/{world.node.id}/", method=method, json=body)
    assert (response.status_code, response.mimetype) == (400, "text/plain")
    assert message in response.text


def test_unknown_node(client: FlaskClient) -> None:
    response = client.patch("/nodes/987654/", json={"is_paused": True})
    assert (response.status_code, response.mimetype) == (404, "text/plain")


def test_scheduler(client: FlaskClient) -> None:
    response = client.patch("/scheduler/", json={"is_paused": True})
    assert (response.status_code, response.json) == (201, {"is_paused": True})
    assert response.headers["Location"] == "http://localhost/scheduler/"
    assert fetch(client, "/scheduler/") == {"is_paused": True}
    assert fetch(client, "/status/")["scheduler"]["is_paused"] is True
    for body in ({}, {"is_paused": "abc"}, {"is_paused": True, "port": 1}):
        bad = client.patch("/scheduler/", json=body)
        assert (bad.status_code, bad.mimetype) == (400, "text/plain")


def test_an_errored_ingest_is_tried_again(client: FlaskClient, session: Session, world: World) -> None:
    path = f"/ingests/{world.ingest.id}/retry/"
    assert "only an ERRORED one can be tried again" in refused(client.post(path), 409)
    refused(client.post("/ingests/999999/retry/"), 404)
    world.ingest.status, world.ingest.transfer_ended = IngestStatus.ERRORED, NOW
    session.commit()
    shown = client.post(path)
    assert (shown.status_code, shown.json["status"], shown.json["reason"]) == (200, "QUEUED", None)
    assert shown.json == fetch(client, f"/ingests/{world.ingest.id}/")
