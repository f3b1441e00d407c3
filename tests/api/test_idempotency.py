"""Idempotency-Key: the same request under the same key is done once, whatever happens in between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from scale_api import create_app
from scale_core.db.idempotency import IdempotencyKey
from scale_core.db.job import Job
from scale_core.db.recipe import Recipe
from scale_core.db.session import make_engine, make_sessions
from scale_core.domain.job import JobStatus
from scale_core.services import idempotency
from scale_core.settings import CHECKOUT, Settings
from scale_core.timestamps import utcnow
from tests import factories
from tests.api.world import World, make_world

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def new_job(world: World) -> dict[str, Any]:
    return {"job_type_id": world.job_type.id, "job_data": factories.job_data(world.source, world.products)}


def new_recipe(world: World) -> dict[str, Any]:
    data = {"input_data": [{"name": "file", "file_id": world.source.id}], "workspace_id": world.products.id}
    return {"recipe_type_id": world.recipe_type.id, "recipe_data": data}


@pytest.mark.parametrize(
    ("path", "body", "model"), [("/queue/new-job/", new_job, Job), ("/queue/new-recipe/", new_recipe, Recipe)]
)
def test_done_once(
    client: FlaskClient, world: World, session: Session, path: str, body: Callable[[World], Any], model: Any
) -> None:
    before = session.scalar(select(func.count()).select_from(model))
    first = client.post(path, json=body(world), headers=KEY)
    assert first.status_code == 201, first.text
    assert "Idempotent-Replayed" not in first.headers
    for _ in range(2):
        again = client.post(path, json=body(world), headers=KEY)
        assert (again.status_code, again.data) == (201, first.data)
        assert again.headers["Location"] == first.headers["Location"]
        assert again.headers["Idempotent-Replayed"] == "true"
    assert session.scalar(select(func.count()).select_from(model)) == (before or 0) + 1
    other = client.post(path, json={**body(world), "more": 1}, headers=KEY)
    assert other.status_code == 422
    assert "another request" in other.text
    assert client.post(path, json=body(world), headers={"Idempotency-Key": "second"}).data != first.data


def test_requeue(committed: sessionmaker[Session], settings: Settings) -> None:
    with committed() as session:
        failed = make_world(session).failed.id
        session.commit()
    client = create_app(settings, committed).test_client()
    body = {"job_ids": [failed]}
    first = client.post("/queue/requeue-jobs/", json=body, headers=KEY)
    assert first.get_json()["results"][0]["status"] == "QUEUED"
    client.patch(f"/jobs/{failed}/", json={"status": "CANCELED"})
    again = client.post("/queue/requeue-jobs/", json=body, headers=KEY)
    assert again.data == first.data
    assert client.get(f"/jobs/{failed}/").get_json()["status"] == "CANCELED"
    assert client.post("/queue/requeue-jobs/?page_size=5", json=body, headers=KEY).status_code == 422


def test_a_refused_request_may_be_mended(client: FlaskClient, world: World) -> None:
    body = new_job(world)
    refused = client.post("/queue/new-job/", json={**body, "job_type_id": 0}, headers=KEY)
    assert refused.status_code == 404
    assert client.post("/queue/new-job/", json=body, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "grüße", '""'])
def test_bad_keys(client: FlaskClient, world: World, key: str) -> None:
    response = client.post("/queue/new-job/", json=new_job(world), headers={"Idempotency-Key": key})
    assert response.status_code == 400
    assert "Idempotency-Key" in response.text


def test_a_quoted_key_is_the_key(client: FlaskClient, world: World) -> None:
    first = client.post("/queue/new-job/", json=new_job(world), headers={"Idempotency-Key": '"a"'})
    assert client.post("/queue/new-job/", json=new_job(world), headers={"Idempotency-Key": "a"}).data == first.data


def test_two_at_once(committed: sessionmaker[Session], settings: Settings) -> None:
    with committed() as session:
        world = make_world(session)
        session.commit()
        body = new_job(world)
        before = session.scalar(select(func.count()).select_from(Job)) or 0
    app = create_app(settings, committed)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: app.test_client().post("/queue/new-job/", json=body, headers=KEY), range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    with committed() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == before + 1


def test_one_that_waits_too_long_is_told_to_come_again(committed: sessionmaker[Session], settings: Settings) -> None:
    """Such as behind a requeue of very many jobs, whose key stays claimed until it is done."""
    with committed() as session:
        world = make_world(session)
        session.commit()
        body = new_job(world)
    engine = make_engine(settings.database_url.replace("postgresql://", "postgresql+psycopg2://", 1))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("SET LOCAL lock_timeout = '100ms'"))
    client = create_app(settings, make_sessions(engine)).test_client()
    with committed() as first:
        assert idempotency.claim(first, KEY["Idempotency-Key"], "of the first") is None
        late = client.post("/queue/new-job/", json=body, headers=KEY)
    assert (late.status_code, late.headers["Retry-After"]) == (503, "5")
    assert "Others are changing the same" in late.text
    assert client.post("/queue/new-job/", json=body, headers=KEY).status_code == 201
    engine.dispose()


def test_a_crash_between_work_and_answer_leaves_neither(
    committed: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with committed() as session:
        world = make_world(session)
        session.commit()
        body = new_job(world)
        before = session.scalar(select(func.count()).select_from(Job))
    client = create_app(settings, committed).test_client()

    def crash(*_: Any) -> None:
        raise RuntimeError("the process dies")

    with monkeypatch.context() as broken:
        broken.setattr("scale_api.idempotency.services.store", crash)
        assert client.post("/queue/new-job/", json=body, headers=KEY).status_code == 500
    with committed() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == before
    assert client.post("/queue/new-job/", json=body, headers=KEY).status_code == 201


def test_a_requeue_goes_on_after_a_crash(
    committed: sessionmaker[Session], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with committed() as session:
        world = make_world(session)
        ids = [factories.make_job(session).id for _ in range(5)]
        session.execute(update(Job).where(Job.id.in_(ids)).values(status=JobStatus.CANCELED, ended=utcnow()))
        session.commit()
        assert world
    client = create_app(settings, committed).test_client()
    monkeypatch.setattr("scale_api.resources.queue.REQUEUE_CHUNK", 2)
    real, calls = idempotency.store, []

    def crash(*_: Any) -> None:
        calls.append(1)
        raise RuntimeError("the process dies")

    body = {"job_ids": ids}
    with monkeypatch.context() as broken:
        broken.setattr("scale_api.idempotency.services.store", crash)
        assert client.post("/queue/requeue-jobs/", json=body, headers=KEY).status_code == 500
    assert calls
    assert idempotency.store is real
    done = client.post("/queue/requeue-jobs/", json=body, headers=KEY)
    assert [job["num_exes"] for job in done.json["results"]] == [2] * 5


def test_old_keys_are_forgotten(client: FlaskClient, world: World, session: Session) -> None:
    client.post("/queue/new-job/", json=new_job(world), headers=KEY)
    assert idempotency.forget(session, utcnow()) == 0
    assert idempotency.forget(session, utcnow() + timedelta(hours=25)) == 1
    assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0


def test_beat_has_old_keys_forgotten(committed: sessionmaker[Session], settings: Settings) -> None:
    """In a worker's process: what beat sends is a task that is known, on a queue that is taken from."""
    with committed() as session:
        answer = idempotency.StoredAnswer(201, {}, "{}")
        for key, age in (("old", timedelta(hours=25)), ("young", timedelta(hours=23))):
            idempotency.store(session, key, "f", answer, utcnow() - age)
        session.commit()
    program = """
from scale_worker.celery_app import app
app.loader.import_default_modules()
for entry in app.conf.beat_schedule.values():
    assert entry["task"] in app.tasks, entry
    assert app.amqp.router.route({}, entry["task"])["queue"].name in app.amqp.queues.consume_from, entry
app.tasks[app.conf.beat_schedule["forget-expired"]["task"]]()
"""
    environment = {**os.environ, "SCALE_HOME": str(settings.home), "SCALE_DATABASE_URL": settings.database_url}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, cwd=CHECKOUT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    with committed() as session:
        assert list(session.scalars(select(IdempotencyKey.key))) == ["young"]
