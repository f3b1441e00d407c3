"""GET /queue/: what waits, where it stands, and why; and the same in the details of a job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, text, update
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.job import JobType
from scale_core.db.node import Scheduler
from scale_core.db.session import QUEUE_CHANNEL, read_queue_news
from scale_core.services import queue, scheduling
from scale_core.services.scheduling import Heartbeat
from scale_core.timestamps import utcnow
from tests import factories as make
from tests.conftest import NOW
from tests.patience import wait_for

EMPTY = {"version": "1.0", "input_data": []}


def beat(session: Session, waiting: dict[int, str] | None = None) -> None:
    scheduling.load_scheduler(session)
    scheduling.heartbeat(session, Heartbeat("here", "master", 5050, True, waiting or {}), utcnow())


def put(session: Session, kind: JobType, seconds: float = 0) -> int:
    return queue.queue_new_job(session, kind.id, EMPTY, NOW + timedelta(seconds=seconds)).id


def test_entries_come_in_order_with_their_place_and_reason(client: FlaskClient, session: Session) -> None:
    beat(session)
    make.make_node(session, resources={"total": {"cpus": 8.0, "mem": 4000.0, "disk": 10000.0}}, is_online=True)
    usual = make.make_no_op_type(session)
    urgent = make.make_no_op_type(session, priority=1)
    huge = make.make_no_op_type(session, cpus_required=64.0, priority=500)
    first, second = put(session, usual, 1), put(session, usual, 2)
    third, last = put(session, urgent, 3), put(session, huge)
    session.commit()
    answer = client.get("/queue/").get_json()
    assert answer["count"] == 4
    rows = answer["results"]
    assert [(row["position"], row["job_id"]) for row in rows] == [(1, third), (2, first), (3, second), (4, last)]
    assert [row["reason"] for row in rows] == [
        "it is next: it starts with the next offer",
        "1 job is ahead of it",
        "2 jobs are ahead of it",
        "no node could ever hold it: needs 64 cpus, the largest node has 8",
    ]
    assert rows[0]["job_type"]["name"] == urgent.name
    assert (rows[3]["cpus_required"], rows[3]["priority"]) == (64.0, 500)
    details = client.get(f"/jobs/{second}/").get_json()
    assert details["waiting"] == {"position": 3, "reason": "2 jobs are ahead of it"}


def test_filters_keep_the_place_in_the_whole_queue(client: FlaskClient, session: Session) -> None:
    beat(session)
    one, other = make.make_no_op_type(session), make.make_no_op_type(session, priority=3)
    jobs = [put(session, one, second) for second in range(3)]
    put(session, other)
    session.commit()
    for query in (f"job_type_id={one.id}", f"job_type_name={one.name}", "priority=100"):
        answer = client.get(f"/queue/?{query}&page_size=2&page=2").get_json()
        assert (answer["count"], [row["position"] for row in answer["results"]]) == (3, [4])
    (row,) = client.get(f"/queue/?job_id={jobs[1]}").get_json()["results"]
    assert (row["job_id"], row["position"]) == (jobs[1], 3)


def test_what_the_last_round_said_and_who_is_paused(client: FlaskClient, session: Session) -> None:
    kind = make.make_no_op_type(session)
    job_id = put(session, kind)
    session.commit()

    def reason() -> str:
        (row,) = client.get("/queue/").get_json()["results"]
        assert client.get(f"/jobs/{job_id}/").get_json()["waiting"]["reason"] == row["reason"]
        return str(row["reason"])

    assert reason() == "no offer handler is running"
    beat(session, {kind.id: "needs 1 cpus, best node has 0.5 free"})
    session.commit()
    assert reason() == "needs 1 cpus, best node has 0.5 free"
    client.patch(f"/job-types/{kind.id}/", json={"is_paused": True})
    assert reason() == "its job type is paused"
    session.execute(update(Scheduler).values(is_paused=True))
    session.commit()
    assert reason() == "scheduling is paused"


def test_the_number_of_queries_does_not_grow_with_the_page(
    client: FlaskClient, session: Session, count_queries: Callable[[], Any]
) -> None:
    beat(session)
    kinds = [make.make_no_op_type(session) for _ in range(3)]
    counts = []
    for _ in range(2):
        for kind in kinds:
            put(session, kind)
        session.commit()
        with count_queries() as statements:
            client.get("/queue/")
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 6


def test_a_job_that_does_not_wait_has_no_place(client: FlaskClient, session: Session) -> None:
    job = make.make_job(session)
    make.run(session, job)
    session.commit()
    assert client.get(f"/jobs/{job.id}/").get_json()["waiting"] is None


def test_another_priority_is_another_place(client: FlaskClient, session: Session) -> None:
    beat(session)
    kind = make.make_no_op_type(session)
    first, second, third = (put(session, kind, seconds) for seconds in (1, 2, 3))
    session.commit()
    cancel = client.patch(f"/jobs/{second}/", json={"status": "CANCELED"})
    assert cancel.status_code == 200

    body = {"job_ids": [second, third, 10**9], "priority": 5}
    answer = client.post("/queue/prioritise-jobs/", json=body)

    assert (answer.status_code, answer.get_json()) == (200, {"job_ids": [third]}), "what has ended stays"
    rows = client.get("/queue/").get_json()["results"]
    assert [(row["job_id"], row["priority"]) for row in rows] == [(third, 5), (first, kind.priority)]
    assert [client.get(f"/jobs/{job}/").get_json()["priority"] for job in (second, third)] == [kind.priority, 5]
    assert client.post("/queue/prioritise-jobs/", json=body).get_json() == {"job_ids": []}, "it has it already"
    for wrong, field in (({"job_ids": [], "priority": 1}, "job_ids"), ({"job_ids": [first]}, "priority"),
                         ({"job_ids": [first], "priority": "soon"}, "priority")):  # fmt: skip
        refused = client.post("/queue/prioritise-jobs/", json=wrong)
        assert refused.status_code == 400
        assert refused.get_json()["problems"][0]["path"].startswith(field)


def test_a_better_priority_is_told_to_the_offer_handler(engine: Engine, committed: sessionmaker[Session]) -> None:
    """It may have gone past the place that the job now has: the news names that place."""
    with committed.begin() as session:
        job = put(session, make.make_no_op_type(session))
    with engine.connect() as listening:
        listening.execute(text(f"LISTEN {QUEUE_CHANNEL}"))
        listening.commit()
        with committed.begin() as session:
            assert queue.prioritise(session, [job], 2) == [job]
        driver: Any = listening.connection.driver_connection
        wait_for("the news", lambda: driver.poll() or driver.notifies)
        assert [read_queue_news(each.payload) for each in driver.notifies] == [(2, NOW)]
        listening.execute(text("UNLISTEN *"))
