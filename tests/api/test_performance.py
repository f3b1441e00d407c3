"""How types did beside plain computations on random rows, and the revisions that they have had."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from statistics import quantiles
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scale_core.db.job import Error, Job, JobType
from scale_core.domain.job import ExecutionStatus, JobStatus
from scale_core.queries import performance
from scale_core.timestamps import utcnow
from tests import factories

SPREADS = ("queued_s", "pre_s", "job_s", "post_s", "total_s", "cpus", "mem", "disk_out")


def get(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.get_json()


def end(session: Session, job_type: JobType, status: JobStatus, age: timedelta, seconds: float, **used: Any) -> Job:
    """A job that ended `age` ago; each phase of its execution took a multiple of `seconds`."""
    job = factories.make_job(session, job_type)
    execution = factories.run(session, job)
    job.status, job.ended = status, utcnow() - age
    session.flush()
    if status is JobStatus.COMPLETED:
        execution.status = ExecutionStatus.COMPLETED
    else:
        execution.status = ExecutionStatus(status.value)
    start = job.ended - timedelta(seconds=10 * seconds)
    execution.queued, execution.started, execution.ended = start - timedelta(seconds=7 * seconds), start, job.ended
    execution.pre_started, execution.pre_completed = start, start + timedelta(seconds=seconds)
    execution.job_started, execution.job_completed = start, start + timedelta(seconds=2 * seconds)
    execution.post_started, execution.post_completed = start, start + timedelta(seconds=3 * seconds)
    execution.used = used
    session.flush()
    session.execute(update(Job).where(Job.id == job.id).values(last_modified=job.ended))
    return job


def test_performance(client: FlaskClient, session: Session) -> None:
    chance = random.Random(23)
    errors = list(session.scalars(select(Error).order_by(Error.id).limit(2)))
    job_type, other = (factories.make_job_type(session) for _ in range(2))
    seconds, peaks = [], []
    failures: Counter[int] = Counter()
    for number in range(50):
        seconds.append(chance.randrange(1, 900) / 8)
        peaks.append(chance.randrange(1, 400) / 4)
        end(session, job_type, JobStatus.COMPLETED, timedelta(hours=number), seconds[-1],
            mem_peak=peaks[-1], cpu_s=seconds[-1], disk_out=0.5)  # fmt: skip
    for _ in range(9):
        error = chance.choice(errors)
        end(session, job_type, JobStatus.FAILED, timedelta(hours=1), 1).error_id = error.id
        failures[error.id] += 1
    end(session, job_type, JobStatus.CANCELED, timedelta(hours=1), 1)
    end(session, job_type, JobStatus.COMPLETED, timedelta(days=20), 9000)
    end(session, other, JobStatus.COMPLETED, timedelta(hours=1), 1)
    factories.make_job(session, job_type)  # still waits
    session.commit()

    shown = get(client, f"/job-types/{job_type.id}/performance/")
    assert (shown["completed"], shown["failed"], shown["canceled"], shown["measured"]) == (50, 9, 1, 50)
    assert {each["error"]["id"]: each["count"] for each in shown["failures"]} == failures
    assert [each["count"] for each in shown["failures"]] == sorted(failures.values(), reverse=True)
    for name, times in (("queued_s", 7), ("pre_s", 1), ("job_s", 2), ("post_s", 3), ("total_s", 10)):
        assert shown[name] == spread([times * each for each in seconds]), name
    assert shown["mem"] == spread(peaks)
    assert shown["cpus"] == spread([0.5] * 50)
    assert shown["disk_out"] == spread([0.5] * 50)

    month = get(client, f"/job-types/{job_type.id}/performance/?started=P30D&ended=P10D")
    assert (month["completed"], month["failed"], month["measured"]) == (1, 0, 1)
    assert month["total_s"] == spread([90000])
    assert month["mem"] is None
    assert month["ended"]


def spread(values: list[float]) -> Any:
    cuts = quantiles(values, n=20, method="inclusive") if len(values) > 1 else values * 19
    return {"p50": pytest.approx(cuts[9]), "p95": pytest.approx(cuts[18]), "max": pytest.approx(max(values))}


def test_a_type_that_never_ran(client: FlaskClient, session: Session) -> None:
    job_type = factories.make_job_type(session)
    session.commit()
    shown = get(client, f"/job-types/{job_type.id}/performance/")
    assert (shown["completed"], shown["failed"], shown["measured"], shown["failures"]) == (0, 0, 0, [])
    assert [shown[name] for name in SPREADS] == [None] * len(SPREADS)


def test_the_newest_are_measured_and_no_more(
    client: FlaskClient, session: Session, count_queries: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performance, "SAMPLE", 3)
    job_type = factories.make_job_type(session)
    for number in range(8):
        end(session, job_type, JobStatus.COMPLETED, timedelta(hours=number), number + 1)
    path = f"/job-types/{job_type.id}/performance/"
    session.commit()
    with count_queries() as queries:
        shown = get(client, path)
    assert (shown["completed"], shown["measured"], shown["pre_s"]["max"]) == (8, 3, 3)
    assert len(queries) == 3


@pytest.mark.parametrize(
    ("query", "field"), [("started=soon", "started"), ("started=PT1H&ended=PT2H", "started"), ("ended=x", "ended")]
)
def test_periods_that_are_none(client: FlaskClient, session: Session, query: str, field: str) -> None:
    job_type = factories.make_job_type(session)
    session.commit()
    response = client.get(f"/job-types/{job_type.id}/performance/?{query}")
    assert response.status_code == 400
    assert response.get_json()["problems"][0]["path"] == field


@pytest.mark.parametrize("noun", ["job", "recipe"])
def test_revisions(client: FlaskClient, session: Session, count_queries: Callable[[], Any], noun: str) -> None:
    job_type = factories.make_no_op_type(session)
    name, first, second = (
        ("interface", factories.interface(), {**factories.interface(), "command": "other"})
        if noun == "job"
        else ("definition", factories.definition(factories.place("a", job_type)),
              factories.definition(factories.place("b", job_type)))
    )  # fmt: skip
    if noun == "job":
        type_id = factories.make_job_type(session, interface=first).id
    else:
        type_id = factories.make_recipe_type(session, first).id
    session.commit()
    path = f"/{noun}-types/{type_id}/"
    before = get(client, path)[name]
    assert client.patch(path, json={name: second}).status_code == 200
    assert client.patch(path, json={"title": "No revision"}).status_code == 200
    with count_queries() as queries:
        shown = get(client, f"{path}revisions/")
    assert len(queries) == 1
    assert shown["count"] == 2
    assert [each["revision_num"] for each in shown["results"]] == [2, 1]
    assert [each[name] for each in shown["results"]] == [get(client, path)[name], before]
    assert shown["results"][0][f"{noun}_type"] == {"id": type_id}
    page = get(client, f"{path}revisions/?page_size=1&page=2")
    assert (page["count"], [each["revision_num"] for each in page["results"]]) == (2, [1])


@pytest.mark.parametrize("path", ["job-types/{}/revisions/", "job-types/{}/performance/", "recipe-types/{}/revisions/"])
def test_types_that_do_not_exist(client: FlaskClient, path: str) -> None:
    response = client.get(f"/{path.format(987654321)}")
    assert response.status_code == 404
    assert "987654321" in response.get_json()["detail"]
