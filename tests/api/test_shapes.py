"""Every resource shows exactly the documented fields, and the few that are ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core import tracing
from scale_core.services import node_health
from scale_core.timestamps import utcnow
from tests.api.world import World


def words(text: str) -> set[str]:
    return set(text.split())


ERROR = words("id name title description category is_builtin created last_modified")
WORKSPACE = words("id name title description base_url is_active used_size total_size created archived last_modified")
JOB_TYPE_BASE = words(
    "id name version title description category author_name author_url is_system is_long_running is_active"
    " is_operational is_paused icon_code"
)
JOB_TYPE = JOB_TYPE_BASE | words(
    "uses_docker docker_privileged docker_image revision_num priority timeout max_scheduled max_tries cpus_required"
    " mem_required gpus_required disk_out_const_required disk_out_mult_required created archived paused last_modified"
)
JOB_TYPE_DETAILS = JOB_TYPE | words(
    "interface error_mapping trigger_rule errors job_counts_6h job_counts_12h job_counts_24h"
)
TRIGGER_RULE = words("id type name is_active configuration created archived last_modified")
COUNT = words("status count most_recent category")
FILE = words(
    "id workspace file_name media_type file_size data_type is_deleted uuid url created deleted data_started"
    " data_ended geometry center_point meta_data countries last_modified"
)
SOURCE = FILE | words("is_parsed parsed")
PRODUCT = FILE | words(
    "is_operational is_published published unpublished is_superseded superseded job_type job job_exe"
)
EVENT = words("id type rule occurred")
EVENT_DETAILS = EVENT | words("description trace_id")
JOB = words(
    "id job_type job_type_rev event error status reason priority num_exes timeout max_tries cpus_required"
    " mem_required gpus_required disk_in_required disk_out_required created queued started ended last_status_change"
    " last_modified"
)
JOB_DETAILS = JOB | words("retry waiting data results recipes job_exes inputs outputs input_files products")
JOB_IN_EXECUTION = words("id job_type job_type_rev event error status priority num_exes")
EXECUTION = words(
    "id status command_arguments timeout pre_started pre_completed pre_exit_code job_started job_completed"
    " job_exit_code post_started post_completed post_exit_code created queued started ended last_modified"
    " job node error message"
)
SCHEDULED = words(
    "cpus_scheduled mem_scheduled disk_in_scheduled disk_out_scheduled disk_total_scheduled gpus_scheduled"
)
EXECUTION_DETAILS = (
    EXECUTION | SCHEDULED | words("environment used results current_stdout_url current_stderr_url results_manifest")
)
LOGS = EXECUTION | words("is_finished stdout stderr")
NODE_REF = words("id hostname port slave_id")
NODE = NODE_REF | words("pause_reason is_paused is_paused_errors is_active archived created last_offer last_modified")
RECIPE_TYPE_BASE = words("id name version title description")
RECIPE_TYPE = RECIPE_TYPE_BASE | words("is_active definition revision_num created last_modified archived trigger_rule")
RECIPE = words("id recipe_type recipe_type_rev event created completed last_modified")
RECIPE_DETAILS = RECIPE | words("data input_files jobs")
STRIKE = words("id name title description job created last_modified last_scan last_error files_seen")
STRIKE_LISTED = STRIKE | words("lag errors")
INGEST = words(
    "id file_name strike status reason bytes_transferred transfer_started transfer_ended media_type file_size"
    " data_type ingest_started ingest_ended job source_file created last_modified"
)
REFERENCE = {"id"}


def fetch(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.json


LISTS = [
    ("/errors/", ERROR),
    ("/workspaces/", WORKSPACE),
    ("/job-types/", JOB_TYPE),
    ("/job-types/status/", words("job_type job_counts")),
    ("/job-types/running/", words("job_type count longest_running")),
    ("/job-types/system-failures/", words("job_type error count first_error last_error")),
    ("/recipe-types/", RECIPE_TYPE),
    ("/recipes/", RECIPE),
    ("/recipes/jobs/", RECIPE | {"jobs"}),
    ("/jobs/", JOB),
    ("/jobs/updates/", JOB | {"input_files"}),
    ("/jobs/executions/", JOB | {"latest_job_exe"}),
    ("/job-executions/", EXECUTION),
    ("/ingests/", INGEST),
    ("/strikes/", STRIKE_LISTED),
    ("/sources/", SOURCE),
    ("/sources/updates/", SOURCE | {"update"}),
    ("/products/", PRODUCT),
    ("/products/updates/", PRODUCT | words("update source_files")),
    ("/files/", FILE),
    ("/queue/status/", words("job_type count longest_queued highest_priority reason")),
    ("/nodes/", NODE),
    ("/nodes/status/", words("node is_online usage job_exe_counts job_exes_running")),
]


@pytest.mark.parametrize(("path", "expected"), LISTS, ids=[path for path, _ in LISTS])
def test_list_fields(client: FlaskClient, world: World, path: str, expected: set[str]) -> None:
    body = fetch(client, path)
    assert body["results"]
    for result in body["results"]:
        assert set(result) == expected


def test_job(client: FlaskClient, world: World) -> None:
    listed = next(job for job in fetch(client, "/jobs/")["results"] if job["id"] == world.completed.id)
    assert set(listed["job_type"]) == JOB_TYPE_BASE
    assert set(listed["job_type_rev"]) == words("id job_type revision_num")
    assert listed["job_type_rev"]["job_type"] == {"id": world.job_type.id}
    assert set(listed["event"]) == EVENT

    job = fetch(client, f"/jobs/{world.completed.id}/")
    assert set(job) == JOB_DETAILS
    assert set(job["job_type"]) == {*JOB_TYPE, "job_type_rev"}
    assert set(job["job_type_rev"]) == words("id job_type revision_num interface created")
    assert set(job["event"]) == EVENT_DETAILS
    assert job["event"]["rule"] is None
    assert set(job["recipes"][0]) == RECIPE
    assert job["recipes"][0]["id"] == world.recipe.id
    assert set(job["recipes"][0]["recipe_type"]) == RECIPE_TYPE_BASE
    assert [exe["id"] for exe in job["job_exes"]] == [world.execution.id]
    assert set(job["job_exes"][0]) == EXECUTION
    assert job["job_exes"][0]["job"] == {"id": world.completed.id}
    assert job["job_exes"][0]["node"] == {"id": world.node.id}
    assert job["job_exes"][0]["error"] is None
    (given,) = job["inputs"]
    assert (given["name"], given["type"], given["value"]["id"]) == ("in", "file", world.source.id)
    assert set(given["value"]) == FILE
    (made,) = job["outputs"]
    assert (made["name"], made["type"], made["value"]["id"]) == ("out", "file", world.product.id)
    assert set(made["value"]) == PRODUCT
    assert made["value"]["job_type"] == {"id": world.job_type.id}
    assert [file["id"] for file in job["input_files"]] == [world.source.id]
    assert [file["id"] for file in job["products"]] == [world.product.id]


def test_failed_job(client: FlaskClient, world: World) -> None:
    job = fetch(client, f"/jobs/{world.failed.id}/")
    assert set(job["error"]) == ERROR
    assert job["job_exes"][0]["message"] == "it went wrong"
    assert job["outputs"] == [{"name": "out", "type": "file", "value": None}]
    assert job["recipes"] == []


def test_execution(client: FlaskClient, world: World) -> None:
    listed = next(exe for exe in fetch(client, "/job-executions/")["results"] if exe["id"] == world.execution.id)
    assert set(listed["job"]) == JOB_IN_EXECUTION
    assert set(listed["job"]["job_type"]) == JOB_TYPE_BASE
    assert set(listed["job"]["job_type_rev"]) == set(listed["job"]["event"]) == REFERENCE
    assert set(listed["node"]) == NODE_REF
    assert listed["node"]["slave_id"] == world.node.agent_id
    execution = fetch(client, f"/job-executions/{world.execution.id}/")
    assert set(execution) == EXECUTION_DETAILS
    assert set(execution["node"]) == NODE
    assert execution["current_stdout_url"] is None
    logs = fetch(client, f"/job-executions/{world.execution.id}/logs/")
    assert set(logs) == LOGS
    assert (logs["is_finished"], logs["stdout"], logs["stderr"]) == (True, "grüße\n", "")


def test_job_type(client: FlaskClient, world: World) -> None:
    job_type = fetch(client, f"/job-types/{world.job_type.id}/")
    assert set(job_type) == JOB_TYPE_DETAILS
    assert job_type["uses_docker"] is True
    assert set(job_type["trigger_rule"]) == TRIGGER_RULE
    assert [error["name"] for error in job_type["errors"]] == ["unknown"]
    status = fetch(client, "/job-types/status/?started=2026-05-04T00:00:00Z")["results"]
    counts = next(entry for entry in status if entry["job_type"]["id"] == world.job_type.id)["job_counts"]
    assert all(set(count) == COUNT for count in counts)
    assert {(c["status"], c["count"], c["category"]) for c in counts} == {
        ("COMPLETED", 1, None),
        ("FAILED", 1, "SYSTEM"),
        ("QUEUED", 1, None),
        ("RUNNING", 1, None),
    }
    assert set(status[0]["job_type"]) == JOB_TYPE_BASE


def test_recipe(client: FlaskClient, world: World) -> None:
    recipe = fetch(client, f"/recipes/{world.recipe.id}/")
    assert set(recipe) == RECIPE_DETAILS
    assert set(recipe["recipe_type"]) == RECIPE_TYPE - words("revision_num trigger_rule") | {"recipe_type_rev"}
    assert set(recipe["recipe_type_rev"]) == words("id recipe_type revision_num definition created")
    assert set(recipe["event"]) == EVENT_DETAILS
    assert [file["id"] for file in recipe["input_files"]] == [world.source.id]
    (part,) = recipe["jobs"]
    assert set(part) == words("job_name job recipe")
    assert part["job_name"] == "one"
    assert set(part["job"]) == JOB
    recipe_type = fetch(client, f"/recipe-types/{world.recipe_type.id}/")
    assert set(recipe_type) == RECIPE_TYPE | {"job_types"}
    assert [set(each) for each in recipe_type["job_types"]] == [JOB_TYPE_BASE | {"interface"}]


def test_ingest_and_strike(client: FlaskClient, world: World) -> None:
    ingest = fetch(client, f"/ingests/{world.ingest.id}/")
    assert set(ingest) == INGEST | words("transfer_path file_path ingest_path trace_id")
    assert set(ingest["strike"]) == STRIKE | {"configuration"}
    assert set(ingest["strike"]["job"]) == JOB_IN_EXECUTION
    assert set(ingest["source_file"]) == SOURCE
    assert fetch(client, f"/ingests/{world.ingest.file_name}/") == ingest
    strike = fetch(client, f"/strikes/{world.strike.id}/")
    assert set(strike) == STRIKE_LISTED | {"configuration"}
    assert set(strike["job"]) == JOB_IN_EXECUTION | {"job_exes"}
    assert [set(each) for each in strike["job"]["job_exes"]] == [EXECUTION]
    listed = fetch(client, f"/ingests/?strike_id={world.strike.id}")["results"][0]
    assert set(listed["strike"]) == STRIKE
    assert listed["strike"]["job"] == {"id": world.strike.job_id}


def test_files(client: FlaskClient, world: World) -> None:
    source = fetch(client, f"/sources/{world.source.id}/")
    assert set(source) == SOURCE | words("ingests products")
    assert source["url"] == f"http://localhost/files/{world.source.id}/content/"
    assert source["geometry"] == "POLYGON ((0 0, 0 2, 2 2, 2 0, 0 0))"
    assert source["center_point"] == "POINT (1 1)"
    assert len(source["countries"]) == 1
    assert [ingest["id"] for ingest in source["ingests"]] == [world.ingest.id]
    assert [product["id"] for product in source["products"]] == [world.product.id]
    assert fetch(client, f"/sources/{world.source.file_name}/") == source
    product = fetch(client, f"/products/{world.product.id}/")
    assert set(product) == PRODUCT | words("sources ancestors descendants")
    assert product["url"] == f"http://files.example/products/jobs/{world.completed.id}/a%20name%20%26%20more.txt"
    assert set(product["job_type"]) == JOB_TYPE_BASE
    assert product["job_exe"] == {"id": world.execution.id}
    assert [each["id"] for each in product["sources"]] == [world.source.id]
    assert fetch(client, f"/products/{world.product.file_name}/") == product
    update = fetch(client, "/products/updates/")["results"][0]
    assert update["update"] == {"action": "PUBLISHED", "when": "2026-05-04T12:05:00Z"}
    assert [set(each) for each in update["source_files"]] == [SOURCE]
    assert fetch(client, "/sources/updates/")["results"][0]["update"]["action"] == "CREATED"
    assert set(fetch(client, f"/files/{world.product.id}/")) == FILE


def test_node(client: FlaskClient, world: World) -> None:
    node = fetch(client, f"/nodes/{world.node.id}/")
    assert set(node) == NODE | words("job_exes_running resources")
    (running,) = node["job_exes_running"]
    assert set(running) == EXECUTION | SCHEDULED
    assert running["node"] == {"id": world.node.id}
    assert set(running["job"]) == JOB_IN_EXECUTION
    assert node["resources"] == {
        "total": {"cpus": 8.0, "mem": 4096.0, "disk": 10000.0, "gpus": 0.0},
        "scheduled": {"cpus": 1.0, "mem": 64.0, "disk": 74.0, "gpus": 0.0},
        "used": {"cpus": 1.5, "mem": 0.0, "disk": 0.0, "gpus": 0.0},
    }
    (status,) = fetch(client, "/nodes/status/?started=2026-05-04T00:00:00Z")["results"]
    assert status["is_online"] is True
    assert {(c["status"], c["category"]) for c in status["job_exe_counts"]} == {
        ("RUNNING", None),
        ("COMPLETED", None),
        ("FAILED", "SYSTEM"),
    }


def test_queue_status(client: FlaskClient, world: World) -> None:
    body = fetch(client, "/queue/status/")
    assert set(body) == words("queue_status count next previous results")
    entry = next(each for each in body["queue_status"] if each["job_type_name"] == world.job_type.name)
    assert entry == {
        "count": 1,
        "longest_queued": "2026-05-04T12:00:00Z",
        "job_type_name": world.job_type.name,
        "job_type_version": "1.0",
        "highest_priority": 100,
        "is_job_type_paused": False,
    }


def test_system(client: FlaskClient, world: World) -> None:
    status = fetch(client, "/status/")
    assert set(status) == words("master scheduler queue_depth resources access_control")
    assert set(status["master"]) == words("is_online hostname port")
    assert set(status["scheduler"]) == words("is_online is_paused hostname")
    assert status["scheduler"]["is_online"] is False
    assert status["resources"]["scheduled"] == {"cpus": 1.0, "mem": 64.0, "disk": 74.0, "gpus": 0.0}
    assert fetch(client, "/version/") == {"version": "3.0.0"}
    assert fetch(client, "/scheduler/") == {"is_paused": False}


def test_the_environment_of_an_execution(client: FlaskClient, world: World, session: Session) -> None:
    path = f"/job-executions/{world.execution.id}/"
    in_container = fetch(client, path)["environment"]
    assert in_container == {
        "version": "1.0",
        "variables": {
            "SCALE_JOB_ID": str(world.completed.id),
            "SCALE_JOB_EXE_ID": str(world.execution.id),
            "SCALE_OUTPUT_DIR": "/scale/output_data",
            "SCALE_INPUT_DIR": "/scale/input_data",
            "TRACEPARENT": tracing.header(world.completed.event.trace_id, world.execution.id),
        },
    }
    world.job_type.docker_image, world.execution.directory = None, "/sandbox/1"
    session.commit()
    assert fetch(client, path)["environment"]["variables"]["SCALE_OUTPUT_DIR"] == "/sandbox/1/output"
    (waiting,) = fetch(client, f"/jobs/{world.queued.id}/")["job_exes"]
    assert fetch(client, f"/job-executions/{waiting['id']}/")["environment"] == {}


def test_what_a_node_really_uses_and_how_it_fares(client: FlaskClient, world: World, session: Session) -> None:
    node_health.set_usage(session, {world.node.agent_id: {"cpus": 3.25, "mem": 700.0, "disk": 9.0}}, utcnow())
    world.node.health = {"since": "2026-11-26T00:00:00Z", "next_probe": "2026-11-26T00:00:30Z", "failures": 0}
    session.commit()
    node = fetch(client, f"/nodes/{world.node.id}/")
    assert node["resources"]["used"] == {"cpus": 3.25, "mem": 700.0, "disk": 9.0, "gpus": 0.0}
    assert node["health"]["next_probe"] == "2026-11-26T00:00:30Z"
    (status,) = fetch(client, "/nodes/status/")["results"]
    assert {**status["usage"], "measured": ""} == {"cpus": 3.25, "mem": 700.0, "disk": 9.0, "measured": ""}
    assert status["usage"]["measured"].endswith("Z")


def test_what_a_node_used_once_is_not_shown_as_what_it_uses(
    client: FlaskClient, world: World, session: Session
) -> None:
    past = utcnow() - timedelta(minutes=4)
    node_health.set_usage(session, {world.node.agent_id: {"cpus": 3.25, "mem": 700.0, "disk": 9.0}}, past)
    session.commit()
    (status,) = fetch(client, "/nodes/status/")["results"]
    assert status["usage"] is None
    node = fetch(client, f"/nodes/{world.node.id}/")
    assert node["resources"]["used"]["cpus"] == float((world.node.resources.get("used") or {}).get("cpus") or 0.0)
