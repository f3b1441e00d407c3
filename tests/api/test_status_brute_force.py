"""The status services on random worlds, beside plain computations; and none of them reads a whole table."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from scale_core.db.job import Error, Job, JobExecution, JobTypeRevision
from scale_core.db.queue import Queue
from scale_core.db.trigger import TriggerEvent
from scale_core.domain.job import ErrorCategory, ExecutionStatus, JobStatus
from scale_core.timestamps import utcnow
from tests import factories

SEEDS = range(3)
FINAL = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED)


def get(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.get_json()


def shown(moment: datetime | None) -> str | None:
    return moment and moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace(
        "+00:00", "Z"
    )


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class Chaos:
    """Jobs, executions and queue rows of all kinds, some minutes to two days old."""

    def __init__(self, session: Session, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = utcnow().replace(microsecond=0)
        self.errors = session.scalars(select(Error)).all()
        self.types = [factories.make_no_op_type(session) for _ in range(4)]
        self.types[0].is_paused = True
        self.nodes = [factories.make_node(session, is_active=n != 3, is_online=n != 2) for n in range(4)]
        self.event = TriggerEvent(type="USER", occurred=self.now)
        session.add(self.event)
        session.flush()
        self.revisions = {each.job_type_id: each.id for each in session.scalars(select(JobTypeRevision))}
        self.jobs = [self._job() for _ in range(300)]
        session.add_all(self.jobs)
        session.flush()
        self.executions = [self._execution(job) for job in self.jobs]
        session.add_all(self.executions)
        session.flush()
        pairs = zip(self.jobs, self.executions, strict=True)
        self.queue = [self._queued(job, exe) for job, exe in pairs if job.status is JobStatus.QUEUED]
        session.add_all(self.queue)
        session.commit()

    def _ago(self) -> datetime:
        return self.now - timedelta(minutes=self.chance.randrange(1, 2880), seconds=self.chance.randrange(60))

    def _job(self) -> Job:
        type_ = self.chance.choice(self.types[:3])  # the fourth has none
        status = self.chance.choice(list(JobStatus))
        changed = self._ago()
        return Job(
            job_type_id=type_.id, job_type_rev_id=self.revisions[type_.id], event_id=self.event.id, status=status,
            error_id=self.chance.choice(self.errors).id if status is JobStatus.FAILED else None, priority=1, timeout=9,
            max_tries=1, cpus_required=1, mem_required=1, last_status_change=changed,
            ended=changed if status in FINAL else None,
        )  # fmt: skip

    def _execution(self, job: Job) -> JobExecution:
        status = self.chance.choice(list(ExecutionStatus))
        at = self._ago()
        is_open = status in (ExecutionStatus.QUEUED, ExecutionStatus.RUNNING)
        return JobExecution(
            job_id=job.id, status=status, timeout=9, queued=at, last_modified=at, ended=None if is_open else at,
            error_id=self.chance.choice(self.errors).id if status is ExecutionStatus.FAILED else None,
            node_id=None if status is ExecutionStatus.QUEUED else self.chance.choice(self.nodes).id,
        )  # fmt: skip

    def _queued(self, job: Job, execution: JobExecution) -> Queue:
        return Queue(
            job_exe_id=execution.id, job_id=job.id, job_type_id=job.job_type_id, priority=self.chance.randrange(3),
            cpus_required=1, mem_required=1, disk_in_required=0, disk_out_required=0, disk_total_required=0,
            queued=self._ago(),
        )  # fmt: skip

    def category(self, error_id: int | None) -> str | None:
        return next((each.category.value for each in self.errors if each.id == error_id), None)

    def counts(self, rows: Iterable[tuple[str, int | None, datetime]]) -> list[dict[str, Any]]:
        """Of (status, error id, time) per status and category how many there are, and the latest."""
        groups: dict[tuple[str, str | None], list[datetime]] = defaultdict(list)
        for status, error_id, moment in rows:
            groups[status, self.category(error_id)].append(moment)
        return by_status(
            {"status": status, "category": category, "count": len(times), "most_recent": shown(max(times))}
            for (status, category), times in groups.items()
        )

    def job_counts(self, jobs: Iterable[Job]) -> list[dict[str, Any]]:
        return self.counts((job.status.value, job.error_id, job.last_status_change) for job in jobs)  # type: ignore[misc]


def by_status(counts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(counts, key=lambda each: (each["status"], each["category"] or ""))


@pytest.fixture(params=SEEDS)
def chaos(session: Session, request: pytest.FixtureRequest) -> Chaos:
    return Chaos(session, request.param)


def test_job_type_status(client: FlaskClient, chaos: Chaos) -> None:
    for query, since, until in (
        ("", chaos.now - timedelta(hours=3), chaos.now + timedelta(hours=1)),
        (f"started={iso(chaos.now - timedelta(hours=20))}&ended={iso(chaos.now - timedelta(hours=5))}",
         chaos.now - timedelta(hours=20), chaos.now - timedelta(hours=5)),
    ):  # fmt: skip
        found = {
            each["job_type"]["id"]: each["job_counts"] for each in get(client, f"/job-types/status/?{query}")["results"]
        }
        assert {each.id for each in chaos.types} <= set(found), "every type is shown"
        for type_ in chaos.types:
            jobs = [
                job for job in chaos.jobs
                if job.job_type_id == type_.id and job.last_status_change
                and (job.status is JobStatus.RUNNING or since <= job.last_status_change <= until)
            ]  # fmt: skip
            assert by_status(found[type_.id]) == chaos.job_counts(jobs)


def test_counts_of_6_12_and_24_hours(client: FlaskClient, chaos: Chaos) -> None:
    for type_ in chaos.types:
        details = get(client, f"/job-types/{type_.id}/")
        for hours in (6, 12, 24):
            since = chaos.now - timedelta(hours=hours)
            jobs = [
                job for job in chaos.jobs
                if job.job_type_id == type_.id and job.last_status_change and job.last_status_change >= since
            ]  # fmt: skip
            assert by_status(details[f"job_counts_{hours}h"]) == chaos.job_counts(jobs)


def test_running(client: FlaskClient, chaos: Chaos) -> None:
    running: dict[int, list[datetime]] = defaultdict(list)
    for job in chaos.jobs:
        if job.status is JobStatus.RUNNING and job.last_status_change:
            running[job.job_type_id].append(job.last_status_change)
    expected = sorted((min(times), type_id, len(times)) for type_id, times in running.items())
    found = get(client, "/job-types/running/")
    assert found["count"] == len(expected)
    assert [(each["longest_running"], each["job_type"]["id"], each["count"]) for each in found["results"]] == [
        (shown(since), type_id, count) for since, type_id, count in expected
    ]


def test_system_failures(client: FlaskClient, chaos: Chaos) -> None:
    groups: dict[tuple[int, int], list[datetime]] = defaultdict(list)
    for job in chaos.jobs:
        if job.error_id and job.last_status_change and chaos.category(job.error_id) == ErrorCategory.SYSTEM:
            groups[job.job_type_id, job.error_id].append(job.last_status_change)
    expected = sorted(groups.items(), key=lambda item: item[0])
    expected.sort(key=lambda item: max(item[1]), reverse=True)
    found = get(client, "/job-types/system-failures/?page_size=1000")
    assert found["count"] == len(expected)
    assert [
        (each["job_type"]["id"], each["error"]["id"], each["count"], each["first_error"], each["last_error"])
        for each in found["results"]
    ] == [(*key, len(times), shown(min(times)), shown(max(times))) for key, times in expected]


def test_queue_status(client: FlaskClient, chaos: Chaos) -> None:
    expected = []
    for type_ in chaos.types:
        rows = [row for row in chaos.queue if row.job_type_id == type_.id]
        if rows:
            highest, longest = min(row.priority for row in rows), min(row.queued for row in rows)
            expected.append((type_.is_paused, highest, longest, type_.id, len(rows)))
    found = get(client, "/queue/status/")["results"]
    assert [
        (each["highest_priority"], each["longest_queued"], each["job_type"]["id"], each["count"]) for each in found
    ] == [(highest, shown(longest), id_, count) for _, highest, longest, id_, count in sorted(expected)]


def test_node_status(client: FlaskClient, chaos: Chaos) -> None:
    for query, hours in (("", 3), (f"started={iso(chaos.now - timedelta(hours=30))}", 30)):
        since = chaos.now - timedelta(hours=hours)
        found = {each["node"]["id"]: each for each in get(client, f"/nodes/status/?{query}")["results"]}
        assert set(found) == {node.id for node in chaos.nodes if node.is_active}
        for node in chaos.nodes[:3]:
            mine = [each for each in chaos.executions if each.node_id == node.id]
            recent = [(e.status.value, e.error_id, e.last_modified) for e in mine if e.last_modified >= since]
            assert by_status(found[node.id]["job_exe_counts"]) == chaos.counts(recent)
            running = {each.id for each in mine if each.status is ExecutionStatus.RUNNING}
            assert {each["id"] for each in found[node.id]["job_exes_running"]} == running
            assert found[node.id]["is_online"] is node.is_online


@pytest.mark.parametrize(
    "path",
    ["/job-types/status/", "/job-types/running/", "/job-types/system-failures/", "/job-types/{type}/", "/nodes/status/",
     "/queue/status/", "/ingests/status/", "/ingests/status/?use_ingest_time=true", "/load/"],
)  # fmt: skip
def test_no_whole_table_is_read(client: FlaskClient, session: Session, path: str) -> None:
    """Where PostgreSQL may choose, it finds an index for each of the tables that grow for ever."""
    chaos = Chaos(session, 7)
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            sent.append((statement, parameters))

    connection = session.connection()
    event.listen(connection.engine, "before_cursor_execute", note)
    try:
        get(client, path.format(type=chaos.types[0].id))
    finally:
        event.remove(connection.engine, "before_cursor_execute", note)
    session.execute(text("SET LOCAL enable_seqscan = off"))
    plans = [plan(session, *each) for each in sent]
    assert plans
    for table in ("job", "job_exe", "ingest", "scale_file", "job_load"):
        assert not any(f"Seq Scan on {table} " in line for lines in plans for line in lines), table


def plan(session: Session, statement: str, parameters: Any) -> Sequence[str]:
    rows = session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return [row[0] for row in rows]
