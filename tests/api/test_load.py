"""Job load and ingest status beside plain computations on random rows."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.ingest import Ingest
from scale_core.db.job import Error, JobLoad
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import ErrorCategory, JobStatus
from scale_core.timestamps import utcnow
from tests import factories

HOUR = timedelta(hours=1)


def get(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.get_json()


def test_load(client: FlaskClient, session: Session) -> None:
    chance = random.Random(3)
    types = [factories.make_job_type(session, category=f"c{n % 2}", priority=n) for n in range(3)]
    latest = utcnow().replace(minute=0, second=0, microsecond=0)
    times = [latest - n * HOUR for n in range(30)]
    made = [
        JobLoad(job_type_id=type_.id, measured=time, pending_count=chance.randrange(9),
                queued_count=chance.randrange(9), running_count=chance.randrange(9), total_count=chance.randrange(9))
        for time in times for type_ in types if chance.random() < 0.8
    ]  # fmt: skip
    made.append(JobLoad(measured=latest - 40 * HOUR, pending_count=0, queued_count=0, running_count=0, total_count=0))
    made.append(
        JobLoad(job_type_id=types[0].id, measured=latest - timedelta(days=9), pending_count=1, queued_count=1,
                running_count=1, total_count=3)
    )  # fmt: skip
    session.add_all(made)
    session.commit()

    def check(query: str, rows: list[JobLoad]) -> None:
        shown = get(client, f"/load/?{query}")
        names = ("pending_count", "queued_count", "running_count", "total_count")
        sums = {row.measured: [0, 0, 0, 0] for row in rows}
        for row in rows:
            sums[row.measured] = [a + getattr(row, name) for a, name in zip(sums[row.measured], names, strict=True)]
        assert shown["count"] == len(sums)
        expected = [{"time": time.isoformat().replace("+00:00", "Z"), **dict(zip(names, sums[time], strict=True))}
                    for time in sorted(sums)]  # fmt: skip
        assert shown["results"] == expected

    week = [row for row in made if row.measured > utcnow() - timedelta(days=7)]
    check("", week)
    check("started=P10D", made)
    check(f"job_type_id={types[0].id}&job_type_id={types[2].id}",
          [row for row in week if row.job_type_id in (types[0].id, types[2].id)])  # fmt: skip
    check(f"job_type_name={types[1].name}", [row for row in week if row.job_type_id == types[1].id])
    check("job_type_category=c0", [row for row in week if row.job_type_id in (types[0].id, types[2].id)])
    check("job_type_priority=1", [row for row in week if row.job_type_id == types[1].id])
    second = get(client, "/load/?page=2&page_size=10")
    assert [row["time"] for row in second["results"]] == [row["time"] for row in get(client, "/load/")["results"]][
        10:20
    ]


@pytest.mark.parametrize("path", ["/load/", "/ingests/status/"])
def test_a_range_of_more_than_a_month(client: FlaskClient, path: str) -> None:
    response = client.get(f"{path}?started=2026-01-01T00:00:00Z&ended=2026-02-01T00:00:01Z")
    assert response.status_code == 400
    assert "31 days" in response.text
    assert client.get(f"{path}?started=2026-01-01T00:00:00Z&ended=2026-02-01T00:00:00Z").status_code == 200
    assert client.get(f"{path}?ended=0001-01-02T00:00:00Z").status_code == 200
    assert client.get(f"{path}?started=2015-01-01T00:00:00Z").status_code == 200


@pytest.mark.parametrize("by_ingest", [False, True])
def test_ingest_status(client: FlaskClient, session: Session, by_ingest: bool) -> None:
    chance = random.Random(5)
    store = factories.make_workspace(session)
    strikes = [factories.make_strike(session, store, mount=f"host:/{n}") for n in range(3)]
    start = datetime(2026, 4, 1, 10, 30, tzinfo=UTC)
    end = start + timedelta(days=2)
    made = []
    for _ in range(200):
        strike = chance.choice(strikes[:2])  # the third has none
        data, done = (start + timedelta(minutes=chance.randrange(-600, 4000)) for _ in range(2))
        source = factories.make_source(session, store, data_started=data if chance.random() < 0.9 else None)
        status = IngestStatus.INGESTED if chance.random() < 0.9 else IngestStatus.DUPLICATE
        made.append(
            Ingest(file_name=source.file_name, strike_id=strike.id, status=status, transfer_path="/x", file_size=100,
                   bytes_transferred=100, transfer_started=done, ingest_ended=done)
        )  # fmt: skip
        session.add(made[-1])
        made[-1].source_file = source
    session.commit()
    period = f"started={start.isoformat()[:-6]}Z&ended={end.isoformat()[:-6]}Z"
    shown = get(client, f"/ingests/status/?{period}&use_ingest_time={str(by_ingest).lower()}")["results"]
    assert [each["strike"]["id"] for each in shown] == [each.id for each in sorted(strikes, key=lambda s: s.name)]
    assert shown[0]["strike"]["job"]["job_type"]["name"] == "scale-strike"
    for each in shown:
        counted = {}
        for ingest in made:
            assert ingest.source_file is not None
            time = ingest.ingest_ended if by_ingest else ingest.source_file.data_started
            wanted = ingest.strike_id == each["strike"]["id"] and ingest.status is IngestStatus.INGESTED
            if wanted and time and start <= time <= end:
                counted[ingest] = time.replace(minute=0)
        assert each["files"] == len(counted)
        assert each["size"] == 100 * len(counted)
        latest = max((ingest.ingest_ended for ingest in counted if ingest.ingest_ended), default=None)
        assert each["most_recent"] == (latest and latest.isoformat().replace("+00:00", "Z"))
        hours = [datetime(2026, 4, 1, tzinfo=UTC) + n * HOUR for n in range(72)]
        numbers = [sum(hour == at for at in counted.values()) for hour in hours]
        assert each["values"] == [
            {"time": hour.isoformat().replace("+00:00", "Z"), "files": number, "size": 100 * number}
            for hour, number in zip(hours, numbers, strict=True)
        ]


def test_a_long_range_shows_only_hours_with_files(client: FlaskClient, session: Session) -> None:
    store = factories.make_workspace(session)
    strike = factories.make_strike(session, store)
    source = factories.make_source(session, store, data_started=datetime(2016, 5, 1, 12, 34, tzinfo=UTC))
    session.add(
        Ingest(file_name="a", strike_id=strike.id, status=IngestStatus.INGESTED, transfer_path="/x", file_size=7,
               bytes_transferred=7, transfer_started=utcnow(), ingest_ended=utcnow(), source_file_id=source.id)
    )  # fmt: skip
    session.commit()
    (status,) = get(client, "/ingests/status/?started=2015-01-01T00:00:00Z")["results"]
    assert status["values"] == [{"time": "2016-05-01T12:00:00Z", "files": 1, "size": 7}]


def test_ingest_status_of_the_last_week(client: FlaskClient, session: Session) -> None:
    factories.make_strike(session, factories.make_workspace(session))
    session.commit()
    values = get(client, "/ingests/status/")["results"][0]["values"]
    assert len(values) == 8 * 24
    assert values[-1]["time"] == utcnow().strftime("%Y-%m-%dT23:00:00Z")


def test_outcomes(client: FlaskClient, session: Session) -> None:
    chance = random.Random(11)
    error = session.scalars(select(Error).where(Error.category == ErrorCategory.DATA)).first()
    assert error is not None
    types = [factories.make_no_op_type(session) for _ in range(2)]
    hour = utcnow().replace(minute=0, second=0, microsecond=0)
    expected: dict[tuple[int, str, str, str | None], int] = {}
    for _ in range(40):
        job = factories.make_job(session, chance.choice(types))
        ended = hour - chance.randrange(1, 5) * HOUR + timedelta(minutes=chance.randrange(60))
        job.status = chance.choice([JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED])
        job.ended = ended
        job.error_id = error.id if job.status is JobStatus.FAILED else None
        category = "DATA" if job.error_id else None
        time = ended.replace(minute=0).isoformat().replace("+00:00", "Z")
        expected[job.job_type_id, time, job.status, category] = (
            expected.get((job.job_type_id, time, job.status, category), 0) + 1
        )
    factories.make_job(session, types[0])  # not ended
    session.commit()

    def shown(query: str = "") -> dict[tuple[str, str, str | None], int]:
        rows = get(client, f"/load/outcomes/?{query}")["results"]
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
        return {(row["time"], row["status"], row["category"]): row["count"] for row in rows}

    def summed(*job_types: int) -> dict[tuple[str, str, str | None], int]:
        sums: dict[tuple[str, str, str | None], int] = {}
        for (job_type, *key), number in expected.items():
            if job_type in job_types:
                sums[tuple(key)] = sums.get(tuple(key), 0) + number  # type: ignore[index]
        return sums

    assert shown() == summed(types[0].id, types[1].id)
    assert shown(f"job_type_id={types[0].id}") == summed(types[0].id)
    first = get(client, "/load/outcomes/?page_size=2")
    assert first["count"] == len(summed(types[0].id, types[1].id))
    assert len(get(client, "/load/outcomes/?page_size=2&page=2")["results"]) == 2
    assert client.get("/load/outcomes/?page_size=2&page=99").status_code == 404
    assert client.get("/load/outcomes/?started=PT0H&ended=PT1H").status_code == 400
