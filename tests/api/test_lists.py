"""What all lists share: envelope, pages, time ranges, order, filters, and two queries however long the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core.queries import error, file, ingest, job, job_execution, job_type, node, recipe, workspace
from tests import factories
from tests.api.test_shapes import LISTS, fetch
from tests.api.world import World, make_world

PATHS = [path for path, _ in LISTS]

# how many statements a list may send: the count, the rows, and each collection that it shows or looks up
STATEMENTS = {
    "/job-types/status/": 3,
    "/job-types/running/": 3,
    "/job-types/system-failures/": 4,
    "/jobs/updates/": 3,
    "/recipes/jobs/": 3,
    "/jobs/executions/": 3,
    "/products/updates/": 4,
    "/queue/status/": 3,
    "/nodes/status/": 4,
}

ORDERS = {
    "/errors/": error.ORDER,
    "/workspaces/": workspace.ORDER,
    "/job-types/": job_type.ORDER,
    "/recipe-types/": recipe.TYPE_ORDER,
    "/recipes/": recipe.ORDER,
    "/jobs/": job.ORDER,
    "/jobs/updates/": job.UPDATES_ORDER,
    "/job-executions/": job_execution.ORDER,
    "/ingests/": ingest.ORDER,
    "/strikes/": ingest.STRIKE_ORDER,
    "/sources/": file.FILE_ORDER,
    "/products/": file.PRODUCT_ORDER,
    "/files/": file.FILE_ORDER,
    "/nodes/": node.ORDER,
}


@pytest.mark.parametrize("path", PATHS)
def test_the_number_of_queries_does_not_grow(
    client: FlaskClient, world: World, session: Session, count_queries: Callable[[], Any], path: str
) -> None:
    fetch(client, path)
    with count_queries() as few:
        before = len(fetch(client, path)["results"])
    for _ in range(3):
        make_world(session)
    session.commit()
    with count_queries() as many:
        after = len(fetch(client, path)["results"])
    assert after > before or path == "/errors/"
    assert len(many) == len(few) <= STATEMENTS.get(path, 2), "\n\n".join(many)


@pytest.mark.parametrize("path", PATHS)
def test_envelope(client: FlaskClient, world: World, session: Session, path: str) -> None:
    make_world(session)
    session.commit()
    whole = fetch(client, f"{path}?page_size=1000")
    assert whole["count"] == len(whole["results"]) >= 2
    assert whole["next"] is whole["previous"] is None
    first = fetch(client, f"{path}?page_size=1")
    assert first["count"] == whole["count"]
    assert first["results"] == whole["results"][:1]
    assert first["previous"] is None
    assert first["next"].startswith(f"http://localhost{path}?")
    second = fetch(client, first["next"])
    assert second["results"] == whole["results"][1:2]
    assert second["previous"] == f"http://localhost{path}?page_size=1"
    beyond = client.get(f"{path}?page={whole['count'] + 1}&page_size=1")
    assert (beyond.status_code, beyond.json) == (404, {"detail": "Invalid page."})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("parameter", ["page=0", "page=-1", "page=x", "page_size=0", "page_size=ten", "page=1.5"])
def test_bad_pages(client: FlaskClient, path: str, parameter: str) -> None:
    response = client.get(f"{path}?{parameter}")
    assert response.status_code == 400
    assert response.json["problems"][0]["path"] == parameter.partition("=")[0]


def test_a_page_size_above_the_maximum_counts_as_the_maximum(client: FlaskClient, session: Session) -> None:
    for _ in range(3):
        factories.make_workspace(session)
    session.commit()
    assert len(fetch(client, "/workspaces/?page_size=1000000")["results"]) == 3
    assert client.get("/workspaces/?page=99999999999999999999999").status_code == 404


def test_links_keep_every_parameter(client: FlaskClient, world: World) -> None:
    body = fetch(client, "/v3/jobs/?status=QUEUED&status=RUNNING&order=-id&order=status&page_size=1&x=%C3%BC%26")
    link = urlsplit(body["next"])
    assert f"{link.scheme}://{link.netloc}{link.path}" == "http://localhost/v3/jobs/"
    assert parse_qs(link.query) == {
        "order": ["-id", "status"],
        "page": ["2"],
        "page_size": ["1"],
        "status": ["QUEUED", "RUNNING"],
        "x": ["ü&"],
    }


@pytest.mark.parametrize("path", ORDERS)
def test_every_order(client: FlaskClient, world: World, session: Session, path: str) -> None:
    make_world(session)
    session.commit()
    expected = {row["id"] for row in fetch(client, path)["results"]}
    names = ORDERS[path].names
    forth = fetch(client, f"{path}?{urlencode([('order', name) for name in names])}")
    back = client.get(path, query_string={"order": [f"-{name.replace('__', '.')}" for name in names]}).json
    assert {row["id"] for row in forth["results"]} == {row["id"] for row in back["results"]} == expected
    ascending = [row["id"] for row in fetch(client, f"{path}?order=id")["results"]]
    assert ascending == sorted(expected)
    assert [row["id"] for row in fetch(client, f"{path}?order=-id")["results"]] == ascending[::-1]


@pytest.mark.parametrize("path", ORDERS)
@pytest.mark.parametrize("name", ["nonsense", "id;drop table job", "job__nothing", "__class__", "-", "data"])
def test_unknown_orders(client: FlaskClient, path: str, name: str) -> None:
    response = client.get(path, query_string={"order": name})
    assert response.status_code == 400
    assert response.json["problems"][0]["path"] == "order"


def test_several_orders(client: FlaskClient, world: World) -> None:
    rows = fetch(client, "/jobs/?order=job_type__name&order=-id")["results"]
    assert rows == sorted(rows, key=lambda row: (row["job_type"]["name"], -row["id"]))


@pytest.mark.parametrize("path", ORDERS)
def test_periods(client: FlaskClient, world: World, path: str) -> None:
    total = fetch(client, path)["count"]
    assert fetch(client, f"{path}?started=2000-01-01T00:00:00Z")["count"] == total
    assert fetch(client, f"{path}?started=2000-01-01T00:00:00%2B02:00&ended=2100-01-01T00:00:00Z")["count"] == total
    assert fetch(client, f"{path}?ended=2000-01-01T00:00:00Z")["count"] == 0
    assert fetch(client, f"{path}?started=P36500D&ended=")["count"] == total


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("started=2015-01-01T00:00:00Z&ended=2015-01-01T00:00:00Z", "Start and end values must be different"),
        ("started=2016-01-01T00:00:00Z&ended=2015-01-01T00:00:00Z", "Start time must come before end time"),
        ("started=yesterday", "is not an ISO 8601 time"),
        ("ended=2015-01-01T00:00:00", "lacks its time zone"),
        ("started=P1Y", "is not an ISO 8601 duration"),
        ("started=P999999999999D", "longer than Scale can count"),
    ],
)
@pytest.mark.parametrize("path", [*ORDERS, "/job-types/status/", "/nodes/status/"])
def test_bad_periods(client: FlaskClient, path: str, query: str, message: str) -> None:
    response = client.get(f"{path}?{query}")
    assert response.status_code == 400
    assert message in response.json["detail"]


def found(client: FlaskClient, path: str, **query: Any) -> list[int]:
    response = client.get(path, query_string={**query, "order": "id"})
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json["results"]]


@pytest.mark.parametrize("path", ["/jobs/", "/jobs/updates/", "/jobs/executions/"])
def test_job_filters(client: FlaskClient, world: World, session: Session, path: str) -> None:
    other = make_world(session)
    other.job_type.category = "other"
    session.commit()
    ours = [world.completed.id, world.failed.id, world.running.id, world.queued.id]
    theirs = [other.completed.id, other.failed.id, other.running.id, other.queued.id]
    assert found(client, path, job_type_id=world.job_type.id) == ours
    assert found(client, path, job_type_id=[world.job_type.id, other.job_type.id]) == ours + theirs
    assert found(client, path, job_type_name=other.job_type.name) == theirs
    assert found(client, path, job_type_category="other") == theirs
    assert found(client, path, status="FAILED") == [world.failed.id, other.failed.id]
    assert found(client, path, status=["FAILED", "QUEUED"], job_type_id=world.job_type.id) == [ours[1], ours[3]]
    assert found(client, path, status="NONSENSE") == []
    assert found(client, path, error_category="SYSTEM") == [world.failed.id, other.failed.id]
    assert found(client, path, error_category="DATA") == []
    assert found(client, path, job_id=[ours[0], theirs[3]]) == [ours[0], theirs[3]]
    assert found(client, path, unknown="ignored", job_id=ours[0]) == ours[:1]


def test_execution_filters(client: FlaskClient, world: World, session: Session) -> None:
    other = make_world(session)
    session.commit()
    path = "/job-executions/"
    assert found(client, path, node_id=world.node.id, status="COMPLETED") == [world.execution.id]
    assert len(found(client, path, job_type_id=world.job_type.id)) == 4
    assert found(client, path, job_type_name=other.job_type.name, status="COMPLETED") == [other.execution.id]
    assert len(found(client, path, job_type_category="test", status="QUEUED")) == 2


def test_a_part_of_the_name(client: FlaskClient, world: World, session: Session) -> None:
    other = make_world(session)
    for each, name in ((world, "Scene_100%.TIF"), (other, "scene-1000.tif")):
        for row in (each.source, each.product, each.ingest):
            row.file_name = name
    session.commit()
    for path, kind in (("/sources/", "source"), ("/products/", "product"), ("/ingests/", "ingest")):
        first, second = getattr(world, kind).id, getattr(other, kind).id
        assert found(client, path, file_name_part="SCENE") == [first, second]
        assert found(client, path, file_name_part="ene_1") == [first], "_ is a letter"
        assert found(client, path, file_name_part="100%") == [first], "% is a letter"
        assert found(client, path, file_name_part="e-1000.t") == [second]
        assert found(client, path, file_name_part="\\%\\") == []
        assert found(client, path, file_name_part="") == [first, second]
        assert found(client, path, file_name_part="scene", file_name="scene-1000.tif") == [second]
    assert len(found(client, "/files/", file_name_part="ene-100")) == 2
    refused = client.get("/files/?file_name_part=ab")
    assert refused.status_code == 400
    assert refused.json["problems"][0]["path"] == "file_name_part"
    assert client.get("/files/?file_name_part=ab%00c").status_code == 400


def test_other_filters(client: FlaskClient, world: World, session: Session) -> None:
    other = make_world(session)
    other.source.is_parsed = True
    other.product.is_operational = False
    other.node.is_active = False
    session.commit()
    assert found(client, "/ingests/", strike_id=other.strike.id) == [other.ingest.id]
    assert found(client, "/ingests/", file_name=world.ingest.file_name, status="INGESTED") == [world.ingest.id]
    assert found(client, "/ingests/", status=["QUEUED", "ERRORED"]) == []
    assert (
        found(client, "/sources/", is_parsed="True") == found(client, "/sources/", is_parsed="1") == [other.source.id]
    )
    assert found(client, "/sources/", is_parsed="F") == [world.source.id]
    assert found(client, "/sources/", file_name=world.source.file_name) == [world.source.id]
    assert found(client, "/products/", is_operational="false") == [other.product.id]
    assert found(client, "/products/", job_type_name=world.job_type.name) == [world.product.id]
    assert found(client, "/products/", job_type_id=other.job_type.id) == [other.product.id]
    assert found(client, "/products/", job_type_category="test") == [world.product.id, other.product.id]
    assert found(client, "/files/", file_name=other.product.file_name) == [other.product.id]
    assert found(client, "/recipe-types/", name=other.recipe_type.name) == [other.recipe_type.id]
    assert found(client, "/recipes/", type_id=world.recipe_type.id) == [world.recipe.id]
    assert found(client, "/recipes/", type_name=other.recipe_type.name) == [other.recipe.id]
    assert found(client, "/workspaces/", name=[world.raw.name, other.raw.name]) == [world.raw.id, other.raw.id]
    assert found(client, "/job-types/", name=world.job_type.name) == [world.job_type.id]
    assert len(found(client, "/job-types/", category="test")) == 2
    assert found(client, "/strikes/", name=world.strike.name) == [world.strike.id]
    assert found(client, "/nodes/") == [world.node.id]
    assert found(client, "/nodes/", include_inactive="t") == [world.node.id, other.node.id]


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/?job_id=x",
        "/jobs/?job_id=9223372036854775808",
        "/jobs/?job_type_id=1.5",
        "/job-executions/?node_id=one",
        "/sources/?is_parsed=maybe",
        "/products/?is_operational=2",
        "/nodes/?include_inactive=yes%20please",
        "/recipes/?type_id=-",
        "/ingests/?strike_id=%F0%9F%98%80",
    ],
)
def test_bad_filters(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 400
    name = path.partition("?")[2].partition("=")[0]
    assert name in response.json["detail"]


def shown_fields(row: Any, prefix: str = "") -> list[str]:
    """Names of all values of a row, those of related objects with their path."""
    names = []
    for name, value in row.items():
        path = f"{prefix}__{name}" if prefix else name
        names.append(path)
        if isinstance(value, dict) and name not in ("meta_data", "definition", "configuration", "description"):
            names += shown_fields(value, path)
    return names


# made by the list itself, not of the row
UNORDERED = {"input_files", "latest_job_exe", "update", "source_files", "countries"}


@pytest.mark.parametrize("path", ORDERS)
def test_order_by_every_field_that_is_shown(client: FlaskClient, world: World, path: str) -> None:
    wrong = []
    rows = fetch(client, path)["results"]
    for name in sorted({name for row in rows for name in shown_fields(row)}):
        if UNORDERED & set(name.split("__")):
            continue
        for spelled in (name, f"-{name.replace('__', '.')}"):
            if client.get(f"{path}?order={spelled}").status_code != 200:
                wrong.append(spelled)
    assert wrong == []
