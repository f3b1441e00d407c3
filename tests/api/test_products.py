"""Products taken back, published again and deleted over HTTP, and what the updates tell of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile, Workspace
from scale_core.services import execution, queue
from scale_core.settings import Settings
from scale_worker.tasks import housekeeping
from tests import factories as make
from tests.api.world import World
from tests.conftest import NOW


def last_update(client: FlaskClient, product_id: int) -> dict[str, Any]:
    rows = client.get("/products/updates/").get_json()["results"]
    (row,) = [row for row in rows if row["id"] == product_id]
    assert row is rows[-1]  # what happened last comes last
    found: dict[str, Any] = row
    return found


def test_taken_back_and_published_again(client: FlaskClient, world: World) -> None:
    path = f"/products/{world.product.id}/"
    published = client.get(path).get_json()
    assert (published["is_published"], published["unpublished"]) == (True, None)

    answer = client.patch(path, json={"is_published": False})
    assert answer.status_code == 200
    hidden = answer.get_json()
    assert (hidden["is_published"], hidden["published"]) == (False, published["published"])
    update = last_update(client, world.product.id)
    assert update["update"] == {"action": "UNPUBLISHED", "when": hidden["unpublished"]}
    assert [file["id"] for file in update["source_files"]] == [world.source.id]

    again = client.patch(path, json={"is_published": True}).get_json()
    assert (again["is_published"], again["published"]) == (True, published["published"])
    update = last_update(client, world.product.id)["update"]
    assert update == {"action": "PUBLISHED", "when": again["last_modified"]}


def test_deleted_for_good(client: FlaskClient, world: World) -> None:
    path = f"/products/{world.product.id}/"
    for _ in range(2):
        answer = client.delete(path)
        assert (answer.status_code, answer.data) == (204, b"")
    gone = client.get(path).get_json()
    assert (gone["is_deleted"], gone["is_published"]) == (True, False)
    update = last_update(client, world.product.id)
    assert update["update"] == {"action": "DELETED", "when": gone["deleted"]}
    assert [file["id"] for file in update["source_files"]] == [world.source.id]
    assert client.get(f"/files/{world.product.id}/content/").status_code == 404
    assert client.patch(path, json={"is_published": True}).status_code == 409


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_what_is_no_product_or_wrong_is_refused(client: FlaskClient, world: World, method: str) -> None:
    request = getattr(client, method)
    assert request(f"/products/{world.source.id}/", json={"is_published": False}).status_code == 404
    assert request("/products/999999999/", json={"is_published": False}).status_code == 404
    wrong = client.patch(f"/products/{world.product.id}/", json={"is_published": "perhaps"})
    assert (wrong.status_code, wrong.get_json()["problems"][0]["path"]) == (400, "is_published")


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_an_edit_of_what_was_changed_meanwhile_is_refused(client: FlaskClient, world: World, method: str) -> None:
    path = f"/products/{world.product.id}/"
    seen = client.get(path).headers["ETag"]
    client.patch(path, json={"is_published": False}, headers={"If-Match": seen})
    late = getattr(client, method)(path, json={"is_published": True}, headers={"If-Match": seen})
    assert late.status_code == 412
    assert client.get(path).get_json()["is_published"] is False


def test_superseded_products_say_so_and_can_be_filtered(client: FlaskClient, session: Session, world: World) -> None:
    store = world.products
    products = []
    for _ in range(2):
        job = queue.queue_new_job(session, world.job_type.id, make.job_data(world.source, store), NOW)
        ended = make.end(session, make.run(session, job), files=(make.stored_file("out", store),))
        execution.finish(session, [ended.id], NOW)
        products.append(session.query(ScaleFile).filter_by(job_exe_id=ended.id).one().id)
    session.commit()
    old, new = (client.get(f"/products/{id_}/").get_json() for id_ in products)
    assert (old["is_superseded"], old["is_published"]) == (True, False)
    assert old["superseded"] == old["unpublished"]
    assert (new["is_superseded"], new["superseded"], new["is_published"]) == (False, None, True)

    def ids(query: str) -> set[int]:
        return {row["id"] for row in client.get(f"/products/?{query}").get_json()["results"]}

    assert ids("is_superseded=true") == {products[0]}
    assert ids("is_published=true") == {products[1], world.product.id}
    actions = {row["id"]: row["update"]["action"] for row in client.get("/products/updates/").get_json()["results"]}
    assert (actions[products[0]], actions[products[1]]) == ("UNPUBLISHED", "PUBLISHED")


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, sessions: Any, settings: Settings) -> None:
    """The worker's tasks in this process, on the test's database."""
    monkeypatch.setattr(housekeeping, "sessions", lambda: sessions)
    monkeypatch.setattr(housekeeping, "settings", lambda: settings)


@pytest.mark.usefixtures("worker")
def test_the_worker_removes_the_files_of_deleted_products(
    client: FlaskClient, session: Session, world: World, tmp_path: Path
) -> None:
    root = tmp_path / "away"
    _place(session, world.products, root)
    client.delete(f"/products/{world.product.id}/")
    housekeeping.remove_files()  # the workspace is not mounted now: that is not the same as removed
    session.expire_all()
    assert world.product.removal_due is not None

    content = root / world.product.file_path
    content.parent.mkdir(parents=True)
    content.write_text("content")
    (root / "other").write_text("stays")
    world.product.removal_due = NOW  # a while later
    session.commit()
    for _ in range(2):
        housekeeping.remove_files()
        session.expire_all()
        assert world.product.removal_due is None
        assert not content.exists()
    assert (root / "other").read_text() == "stays"


def _place(session: Session, workspace: Workspace, root: Path) -> None:
    workspace.json_config = {"version": "1.0", "broker": {"type": "host", "host_path": str(root)}}
    session.commit()
