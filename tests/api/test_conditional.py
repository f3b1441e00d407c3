"""ETags and gzip: reading again without a body, edits of what has changed meanwhile, compressed answers."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from scale_api import create_app
from scale_core.settings import Settings
from scale_core.timestamps import utcnow
from tests import factories
from tests.api.test_lists import PATHS
from tests.api.world import World

EDITS: dict[str, tuple[str, dict[str, Any]]] = {
    "job_type": ("/job-types/{}/", {"title": "edited"}),
    "recipe_type": ("/recipe-types/{}/", {"title": "edited"}),
    "products": ("/workspaces/{}/", {"title": "edited"}),
    "strike": ("/strikes/{}/", {"title": "edited"}),
    "node": ("/nodes/{}/", {"is_paused": True}),
    "queued": ("/jobs/{}/", {"status": "CANCELED"}),
}


@pytest.mark.parametrize("path", [*PATHS, "/status/", "/version/", "/scheduler/", "/load/", "/ingests/status/"])
def test_reading_again_costs_no_body(client: FlaskClient, world: World, path: str) -> None:
    first = client.get(path)
    tag = first.headers["ETag"]
    again = client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert client.get(path, headers={"If-None-Match": "*"}).status_code == 304
    assert client.get(path, headers={"If-None-Match": f'"other", W/{tag}'}).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"other"'}).data == first.data


def test_a_change_changes_the_tag(client: FlaskClient, world: World) -> None:
    paths = ("/job-types/", f"/job-types/{world.job_type.id}/")
    before = [client.get(path).headers["ETag"] for path in paths]
    client.patch(paths[1], json={"title": "edited"})
    for path, tag in zip(paths, before, strict=True):
        changed = client.get(path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["ETag"] != tag


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_what_was_read(client: FlaskClient, world: World, session: Session, name: str) -> None:
    path, change = EDITS[name]
    path = path.format(getattr(world, name).id)
    tag = client.get(path).headers["ETag"]
    stale = client.patch(path, json=change, headers={"If-Match": '"19700101t000000z-0"'})
    assert stale.status_code == 412
    assert "read it again" in stale.text
    if name == "queued":
        assert client.get(path).json["status"] == "QUEUED"
    edited = client.patch(path, json=change, headers={"If-Match": f'"x-y", {tag}'})
    assert edited.status_code in (200, 201)
    assert edited.headers["ETag"] == client.get(path).headers["ETag"]
    late = client.patch(path, json=change, headers={"If-Match": tag})
    assert late.status_code == 412
    assert client.patch(path, json=change, headers={"If-Match": "*"}).status_code in (200, 201, 400)


@pytest.mark.parametrize("header", ["", '"', ",,,", '""', "W/", "nothing", '"a","b'])
def test_a_misspelt_tag_lets_no_edit_pass(client: FlaskClient, world: World, header: str) -> None:
    path = f"/job-types/{world.job_type.id}/"
    refused = client.patch(path, json={"title": "edited"}, headers={"If-Match": header})
    assert refused.status_code == 412
    assert client.get(path).json["title"] != "edited"


def test_the_scheduler_and_errors(client: FlaskClient) -> None:
    tag = client.get("/scheduler/").headers["ETag"]
    assert client.patch("/scheduler/", json={"is_paused": True}, headers={"If-Match": tag}).status_code == 201
    assert client.patch("/scheduler/", json={"is_paused": True}, headers={"If-Match": tag}).status_code == 412
    body = {"name": "e", "title": "E", "description": "d", "category": "DATA"}
    created = client.post("/errors/", json=body)
    read = client.get(created.headers["Location"])
    headers = {"If-Match": read.headers["ETag"]}
    assert client.patch(created.headers["Location"], json={"title": "F"}, headers=headers).status_code == 200
    assert client.patch(created.headers["Location"], json={"title": "G"}, headers=headers).status_code == 412
    assert client.patch("/errors/0/", json={"title": "G"}, headers=headers).status_code == 404


def test_counts_that_move_do_not_refuse_an_edit(client: FlaskClient, world: World, session: Session) -> None:
    path = f"/job-types/{world.job_type.id}/"
    tag = client.get(path).headers["ETag"]
    world.failed.last_status_change = utcnow() - timedelta(minutes=1)
    session.commit()
    assert client.get(path).headers["ETag"] != tag
    assert client.patch(path, json={"title": "x"}, headers={"If-Match": tag}).status_code == 200


def test_of_two_edits_at_once_one_wins(committed: sessionmaker[Session], settings: Settings) -> None:
    with committed() as session:
        job_type = factories.make_job_type(session)
        session.commit()
    app = create_app(settings, committed)
    path = f"/job-types/{job_type.id}/"
    for round_ in range(5):
        tag = app.test_client().get(path).headers["ETag"]

        def edit(number: int, tag: str = tag, round_: int = round_) -> int:
            body = {"title": f"{round_}-{number}"}
            return app.test_client().patch(path, json=body, headers={"If-Match": tag}).status_code

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(edit, range(4))) == [200, 412, 412, 412]


def test_concurrent_edits_lose_no_revision(committed: sessionmaker[Session], settings: Settings) -> None:
    with committed() as session:
        job_type = factories.make_job_type(session)
        session.commit()
    app = create_app(settings, committed)

    def edit(number: int) -> int:
        interface = factories.interface(command=f"run-{number}")
        return app.test_client().patch(f"/job-types/{job_type.id}/", json={"interface": interface}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(edit, range(8))) == {200}
    assert app.test_client().get(f"/job-types/{job_type.id}/").json["revision_num"] == 9


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("*", True), ("br, gzip;q=0.1", True), ("gzip;q=0", False), ("gzip;q=0, *", False),
     ("*;q=0", False), ("br", False), ("identity", False), ("", False)],
)  # fmt: skip
def test_gzip_for_those_who_take_it(client: FlaskClient, world: World, accepted: str, packed: bool) -> None:
    answer = client.get("/job-types/", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_gzip(client: FlaskClient, world: World) -> None:
    plain = client.get("/job-types/")
    assert "Content-Encoding" not in plain.headers
    packed = client.get("/job-types/", headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    for tag in (plain.headers["ETag"], packed.headers["ETag"]):
        again = client.get("/job-types/", headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
    path = f"/job-types/{world.job_type.id}/"
    tag = client.get(path, headers={"Accept-Encoding": "gzip"}).headers["ETag"]
    assert client.patch(path, json={"title": "x"}, headers={"If-Match": tag}).status_code == 200
    small = client.get("/version/", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers
