"""Promises of the documentation that an earlier implementation broke, and defects of it that its clients met.

Each case is a request and what must come of it. What concerns manifests, products and triggers is tested where it is
done (tests/services, tests/journeys).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from scale_api import create_app
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import JobStatus
from scale_core.settings import Settings
from tests import factories
from tests.api.world import World, make_world


@pytest.fixture
def world(staged_world: World) -> World:
    return staged_world


def job_type(**fields: Any) -> dict[str, Any]:
    return {"name": "fresh", "version": "1", "interface": factories.interface(), **fields}


def test_media_types_of_inputs_are_enforced(client: FlaskClient, world: World, session: Session) -> None:
    picky = factories.make_job_type(
        session, interface=factories.interface([{"name": "in", "type": "file", "media_types": ["image/png"]}])
    )
    session.commit()
    body = {"job_type_id": picky.id, "job_data": factories.job_data(world.source, world.products)}
    refused = client.post("/queue/new-job/", json=body)
    assert refused.status_code == 400
    assert all(word in refused.text for word in ("input_data[in]", "text/plain", "image/png"))


WRONG_DATA: list[dict[str, Any]] = [
    {"input_data": [{"name": "in", "file_id": 0}]},
    {"input_data": [{"name": "in", "file_id": "SOURCE"}, {"name": "more", "value": "x"}]},
    {"input_data": [{"name": "in", "value": "x"}]},
    {"input_data": [{"name": "in", "file_id": "SOURCE"}], "output_data": []},
    {"input_data": [{"name": "in", "file_id": "SOURCE"}], "output_data": [{"name": "out", "workspace_id": 0}]},
    {"input_data": [{"name": "in", "file_id": "SOURCE"}, {"name": "in", "file_id": "SOURCE"}]},
    {"input_data": {}},
    {"version": "2.0", "input_data": []},
]
CASES = [("job", data) for data in WRONG_DATA]
CASES += [("recipe", data) for data in WRONG_DATA if "output_data" not in data]  # one workspace for all outputs


@pytest.mark.parametrize(("kind", "data"), CASES)
def test_wrong_data_is_a_400_and_queues_nothing(
    client: FlaskClient, world: World, kind: str, data: dict[str, Any]
) -> None:
    text = json.dumps(data).replace('"SOURCE"', str(world.source.id))
    if kind == "recipe":
        text = text.replace('"in"', '"file"')
    filled = {"output_data": [{"name": "out", "workspace_id": world.products.id}], **json.loads(text)}
    if kind == "recipe":
        filled = {"workspace_id": world.products.id, **{k: v for k, v in filled.items() if k != "output_data"}}
    before = client.get("/jobs/").get_json()["count"]
    type_id = world.job_type.id if kind == "job" else world.recipe_type.id
    refused = client.post(f"/queue/new-{kind}/", json={f"{kind}_type_id": type_id, f"{kind}_data": filled})
    assert refused.status_code == 400, refused.text
    assert client.get("/jobs/").get_json()["count"] == before


def test_deleted_files_are_refused(client: FlaskClient, world: World, session: Session) -> None:
    world.source.is_deleted = True
    session.commit()
    body = {"job_type_id": world.job_type.id, "job_data": factories.job_data(world.source, world.products)}
    refused = client.post("/queue/new-job/", json=body)
    assert (refused.status_code, "deleted" in refused.text) == (400, True)


def test_archived_types_and_workspaces_are_refused(client: FlaskClient, world: World, session: Session) -> None:
    body = {"job_type_id": world.job_type.id, "job_data": factories.job_data(world.source, world.products)}
    client.patch(f"/workspaces/{world.products.id}/", json={"is_active": False})
    refused = client.post("/queue/new-job/", json=body)
    assert (refused.status_code, "archived" in refused.text) == (400, True)
    client.patch(f"/workspaces/{world.products.id}/", json={"is_active": True})
    client.patch(f"/job-types/{world.job_type.id}/", json={"is_active": False})
    assert client.post("/queue/new-job/", json=body).status_code == 400


def test_job_types_can_be_archived_and_long_running(client: FlaskClient) -> None:
    made = client.post("/job-types/", json=job_type(is_long_running=True, is_active=False, timeout=0, max_tries=0))
    assert made.status_code == 201, made.text
    document = made.get_json()
    assert (document["is_long_running"], document["is_active"], document["timeout"]) == (True, False, 0)
    assert document["archived"] is not None
    path = f"/job-types/{document['id']}/"
    assert client.patch(path, json={"is_active": True}).get_json()["archived"] is None
    paused = client.patch(path, json={"is_paused": True}).get_json()
    assert (paused["is_paused"], paused["paused"] is not None) == (True, True)
    assert client.patch(path, json={"is_paused": False}).get_json()["paused"] is None


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"interface": {}}, "interface"),
        ({"interface": "text"}, "interface"),
        ({"interface": factories.interface([{"name": "x", "type": "file"}], [{"name": "x", "type": "file"}])}, "'x'"),
        ({"interface": factories.interface(arguments="${nobody}")}, "nobody"),
        ({"interface": factories.interface([{"name": "job_output_dir", "type": "file"}])}, "job_output_dir"),
        ({"interface": {**factories.interface(), "version": "2.0"}}, "interface.version"),
        ({"error_mapping": {"exit_codes": {"1": "nobody"}}}, "nobody"),
        ({"cpus_required": -1}, "cpus_required"),
        ({"cpus_required": None}, "cpus_required"),
        ({"mem_required": 1e300}, "mem_required"),
        ({"cpus_required": "much"}, "cpus_required"),
        ({"mem_required": float("inf")}, "mem_required"),
        ({"timeout": -1}, "timeout"),
        ({"priority": 2**40}, "priority"),
        ({"title": "x" * 51}, "title"),
        ({"name": ""}, "name"),
        ({"trigger_rule": {"type": "INGEST"}}, "configuration"),
        ({"trigger_rule": {"configuration": {}}}, "type"),
        ({"trigger_rule": {"type": "CLOCK", "configuration": {"data": {}}}}, "CLOCK"),
    ],
)
@pytest.mark.parametrize("path", ["/job-types/", "/job-types/validation/"])
def test_wrong_job_types_are_refused_by_name(client: FlaskClient, path: str, body: dict[str, Any], word: str) -> None:
    given = job_type(**body)
    if body.get("mem_required") == float("inf"):
        text = '{"name": "a", "version": "1", "mem_required": 1e999, "interface": {}}'
        refused = client.post(path, data=text, content_type="application/json")
        assert refused.status_code == 400
        return
    refused = client.post(path, json=given)
    assert refused.status_code == 400, refused.text
    assert word in refused.text


def test_duplicates_are_conflicts(client: FlaskClient, world: World) -> None:
    error = {"name": "e", "title": "E", "description": "d", "category": "DATA"}
    recipe_type = {"name": "r", "version": "1", "definition": {"jobs": []}}
    for path, body in (("/job-types/", job_type()), ("/errors/", error), ("/recipe-types/", recipe_type)):
        assert client.post(path, json=body).status_code == 201
        again = client.post(path, json=body)
        assert again.status_code == 409
        assert "already" in again.get_json()["detail"]


def test_system_objects_are_protected(client: FlaskClient) -> None:
    listed = client.get("/job-types/?category=system").get_json()["results"]
    for each in listed:
        refused = client.patch(f"/job-types/{each['id']}/", json={"title": "mine"})
        assert (refused.status_code, "system job type" in refused.text) == (400, True)
    unknown = next(each for each in client.get("/errors/").get_json()["results"] if each["name"] == "unknown")
    assert client.patch(f"/errors/{unknown['id']}/", json={"title": "mine"}).status_code == 400
    body = {"name": "e", "title": "E", "description": "d", "category": "SYSTEM"}
    assert client.post("/errors/", json=body).status_code == 400


def test_requeueing_raises_the_limit_and_takes_any_priority(
    committed: sessionmaker[Session], settings: Settings
) -> None:
    with committed() as session:
        failed = make_world(session).failed.id
        session.commit()
    client = create_app(settings, committed).test_client()
    before = client.get(f"/jobs/{failed}/").get_json()
    answer = client.post("/queue/requeue-jobs/", json={"job_ids": [failed], "priority": 0}).get_json()
    assert [job["id"] for job in answer["results"]] == [failed]
    after = client.get(f"/jobs/{failed}/").get_json()
    assert after["max_tries"] > before["max_tries"]
    assert (after["priority"], after["status"], after["error"]) == (0, "QUEUED", None)
    assert client.post("/queue/requeue-jobs/", json={"job_ids": [0]}).status_code == 404


def test_an_empty_requeue_leaves_alone_what_cannot_be_requeued(client: FlaskClient, world: World) -> None:
    answer = client.post("/queue/requeue-jobs/", json={}).get_json()
    assert [job["id"] for job in answer["results"]] == [world.failed.id]
    assert client.get(f"/jobs/{world.completed.id}/").get_json()["status"] == JobStatus.COMPLETED


@pytest.mark.parametrize("name", ["completed", "failed", "running", "queued"])
def test_cancel(client: FlaskClient, world: World, name: str) -> None:
    path = f"/jobs/{getattr(world, name).id}/"
    answer = client.patch(path, json={"status": "CANCELED"})
    if name == "completed":
        assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    else:
        assert (answer.status_code, answer.get_json()["status"]) == (200, "CANCELED")
        again = client.patch(path, json={"status": "CANCELED"})
        assert again.status_code == 400
        assert "CANCELED" in again.text


def test_products_by_their_own_flag(client: FlaskClient, world: World, session: Session) -> None:
    world.product.is_operational = False
    session.commit()
    assert world.job_type.is_operational
    assert client.get("/products/?is_operational=true").get_json()["count"] == 0
    assert client.get("/products/?is_operational=false").get_json()["count"] == 1


def test_files_by_any_name(client: FlaskClient, world: World, session: Session) -> None:
    for name in ("a-b c.txt", "ünï (1).tif", "x" * 250, "semi;colon", "50%25.txt"):
        world.source.file_name = world.ingest.file_name = world.product.file_name = name
        session.commit()
        for kind in ("sources", "products", "ingests"):
            found = client.get(f"/{kind}/{quote(name)}/")
            assert found.status_code == 200, (kind, name)
            assert found.get_json()["file_name"] == name


def test_ingests_in_every_status(client: FlaskClient, world: World) -> None:
    for status in IngestStatus:
        found = client.get(f"/ingests/?status={status}").get_json()["count"]
        assert found == (status is IngestStatus.INGESTED)


def test_pausing_a_node(client: FlaskClient, world: World) -> None:
    path = f"/nodes/{world.node.id}/"
    before = client.get(path).get_json()
    answer = client.patch(path, json={"is_paused": True, "pause_reason": "checks"})
    assert answer.status_code == 201
    after = answer.get_json()
    assert set(before) == set(after), "the whole node is answered"
    assert after["last_modified"] > before["last_modified"]
    assert (after["archived"], after["is_active"], after["pause_reason"]) == (None, True, "checks")
    assert client.patch(path, json={"is_paused": False}).get_json()["pause_reason"] in (None, "")
    assert after["resources"]["used"]["cpus"] == 1.5, "what is used is told"


def test_only_booleans_pause_the_scheduler(client: FlaskClient) -> None:
    for wrong in ("abc", 2, None, [], {}):
        refused = client.patch("/scheduler/", json={"is_paused": wrong})
        assert refused.status_code == 400
        assert client.get("/scheduler/").get_json() == {"is_paused": False}


def test_optional_fields_are_optional(client: FlaskClient, world: World, tmp_path: Path) -> None:
    config = {"version": "1.0", "broker": {"type": "host", "host_path": "/data"}}
    made = client.post("/workspaces/", json={"name": "w", "json_config": config})
    assert (made.status_code, made.get_json()["is_active"]) == (201, True)
    configuration = factories.strike_configuration(world.raw, f"localhost:{tmp_path}", workspace_path="/my/path")
    strike = {"name": "s", "configuration": configuration}
    assert client.post("/strike/create/", json=strike).status_code == 200
    definition = {"input_data": [{"name": "f", "type": "file"}], "jobs": []}
    body = {"name": "r", "version": "1", "definition": definition}
    assert client.post("/recipe-types/validation/", json=body).status_code == 200
    made = client.post("/recipe-types/", json=body)
    assert made.status_code == 201
    assert made.get_json()["title"] == "r"


def test_a_post_without_slash_is_not_turned_into_a_list(client: FlaskClient) -> None:
    assert client.post("/job-types", json=job_type()).status_code == 308
    assert client.post("/job-types", json=job_type(), follow_redirects=True).status_code == 201
    assert client.get("/job-types").status_code == 301


def test_an_unchanged_interface_makes_no_revision(client: FlaskClient) -> None:
    made = client.post("/job-types/", json=job_type()).get_json()
    path = f"/job-types/{made['id']}/"
    assert client.patch(path, json={"interface": made["interface"]}).get_json()["revision_num"] == 1
    changed = {**made["interface"], "command": "other"}
    assert client.patch(path, json={"interface": changed}).get_json()["revision_num"] == 2


def test_an_edit_that_breaks_a_recipe_says_which(client: FlaskClient, world: World) -> None:
    interface = factories.interface([{"name": "renamed", "type": "file"}])
    refused = client.patch(f"/job-types/{world.job_type.id}/", json={"interface": interface, "trigger_rule": None})
    assert refused.status_code == 400
    assert world.recipe_type.name in refused.text
    assert "renamed" in refused.text


def test_names_of_recipe_jobs_may_be_long(client: FlaskClient, world: World) -> None:
    place = factories.place("n" * 255, world.job_type, recipe_inputs=[{"recipe_input": "f", "job_input": "in"}])
    definition = factories.definition(place, inputs=[{"name": "f", "type": "file"}])
    made = client.post("/recipe-types/", json={"name": "long", "version": "1", "definition": definition})
    assert made.status_code == 201, made.text
    data = {"input_data": [{"name": "f", "file_id": world.source.id}], "workspace_id": world.products.id}
    queued = client.post("/queue/new-recipe/", json={"recipe_type_id": made.get_json()["id"], "recipe_data": data})
    assert queued.status_code == 201
    assert queued.get_json()["jobs"][0]["job_name"] == "n" * 255


@pytest.mark.parametrize(
    "query",
    ["order=id; drop table job", "order=nothing", "page_size=x", "page=0", "started=9999-99-99",
     "started=2015-01-01T00:00", "started=P1Y", "ended=yesterday", "job_id=1.5",
     "started=2015-01-02T00:00:00Z&ended=2015-01-01T00:00:00Z",
     "job_id=99999999999999999999999", "job_type_name=%00", "page=" + "9" * 5000],
)  # fmt: skip
def test_bad_queries_are_refused_by_name(client: FlaskClient, world: World, query: str) -> None:
    refused = client.get(f"/jobs/?{query}")
    assert refused.status_code == 400, refused.text
    assert refused.get_json()["detail"]


@pytest.mark.parametrize(
    "query",
    ["page_size=1000000000", "status=NOTHING", "job_type_category=" + "c" * 5000, "unknown=1&colour=red", "job_id=-1",
     "job_type_name=%F0%9F%8C%8D", "started=", "order=-job_type.name&order=id",
     "job_id=1&job_id=2&status=FAILED&status=RUNNING"],
)  # fmt: skip
def test_odd_queries_are_answered(client: FlaskClient, world: World, query: str) -> None:
    assert client.get(f"/jobs/?{query}").status_code == 200


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{" * 200_000, 400),
        (b'{"a":' * 100 + b"1" + b"}" * 100, 400),
        (b"", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"null", 400),
        (b"{} trailing", 400),
        (b'{"name": NaN}', 400),
        (b'{"name": 1e400}', 400),
        (b'{"name": "\\ud800"}', 400),
        (b'{"name": "a\\u0000b", "version": "1"}', 400),
        (b'{"name": "a", "name": "b"}', 400),
        (b"\xff\xfe", 400),
        (b'{"name": "' + b"x" * (20 << 20) + b'"}', 400),
        (b" " * (33 << 20), 413),
    ],
)
def test_bad_bodies(client: FlaskClient, content: bytes, status: int) -> None:
    answer = client.post("/job-types/", data=content, content_type="application/json")
    assert answer.status_code == status
    assert answer.get_json()["detail"]


@pytest.mark.parametrize(
    "field", ["cpus_required", "mem_required", "disk_out_const_required", "disk_out_mult_required", "gpus_required"]
)
@pytest.mark.parametrize("value", [1e308, 10**9 + 1, -0.5])
def test_resources_that_no_machine_has(client: FlaskClient, world: World, field: str, value: float) -> None:
    path = f"/job-types/{world.job_type.id}/"
    for refused in (
        client.post("/job-types/", json=job_type(**{field: value})),
        client.post("/job-types/validation/", json=job_type(**{field: value})),
        client.patch(path, json={field: value}),
    ):
        assert (refused.status_code, refused.get_json()["problems"][0]["path"]) == (400, field)


def test_gpus_of_a_job_type(client: FlaskClient, world: World) -> None:
    path = f"/job-types/{world.job_type.id}/"
    refused = client.patch(path, json={"gpus_required": 0.5})
    assert (refused.status_code, refused.get_json()["problems"][0]["path"]) == (400, "gpus_required")
    assert client.patch(path, json={"gpus_required": 2}).get_json()["gpus_required"] == 2.0
    assert client.post("/job-types/", json=job_type(gpus_required=1)).get_json()["gpus_required"] == 1.0


def test_other_content_types(client: FlaskClient) -> None:
    answer = client.post("/job-types/", data="name=a", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "application/json" in answer.text


@pytest.mark.parametrize("name", ["ünïcødé", "日本", "🌍", "a/b", "a b", "<script>", "'; drop table job; --"])
def test_names_of_all_kinds(client: FlaskClient, name: str) -> None:
    made = client.post("/job-types/", json=job_type(name=name))
    assert made.status_code == 201
    listed = client.get("/job-types/", query_string={"name": name}).get_json()
    assert [each["name"] for each in listed["results"]] == [name]
