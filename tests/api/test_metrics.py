"""Metrics services: descriptions, choices, and plots of random figures beside a plain computation."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core.db.metrics import MetricsIngest, MetricsJobType
from scale_core.domain.metrics import JOB_TYPES, TYPES, Aggregate
from tests import factories
from tests.api.world import World

DAY = date(2026, 3, 1)
COLUMNS = [column.name for column in JOB_TYPES.columns]


def get(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.get_json()


def test_types(client: FlaskClient) -> None:
    listed = get(client, "/metrics/")
    assert [each["name"] for each in listed["results"]] == ["job-types", "ingests", "errors"]
    assert listed["count"] == 3
    filters = {each["name"]: [filter["param"] for filter in each["filters"]] for each in listed["results"]}
    assert filters == {"job-types": ["name", "version"], "ingests": ["name"], "errors": ["name", "category"]}
    for each in listed["results"]:
        groups = {group["name"] for group in each["groups"]}
        assert {column["group"] for column in each["columns"]} == groups
        for column in each["columns"]:
            assert set(column) == {"name", "title", "description", "units", "group", "aggregate"}
            suffix = column["name"].rpartition("_")[2]
            assert column["aggregate"] == ("sum" if suffix == "count" else suffix)
            assert column["units"] in ("count", "seconds", "bytes")
    titles = {column["name"]: column["title"] for column in listed["results"][0]["columns"]}
    assert (titles["stage_time_max"], titles["pre_time_avg"]) == ("Stage Time (Max)", "Pre-task Time (Avg)")
    assert len(titles) == 31


@pytest.mark.parametrize("name", TYPES)
def test_every_column_is_stored(name: str) -> None:
    models = {"job-types": MetricsJobType, "ingests": MetricsIngest}
    if name in models:
        stored = {column.key for column in models[name].__table__.columns}
        assert {column.name for column in TYPES[name].columns} == stored - {
            "id", "occurred", "created", "job_type_id", "strike_id",
        }  # fmt: skip


def test_choices(client: FlaskClient, world: World) -> None:
    job_types = get(client, "/metrics/job-types/")["choices"]
    assert world.job_type.id in [each["id"] for each in job_types]
    assert {"version", "category", "icon_code", "is_paused"} <= set(job_types[0])
    assert world.strike.id in [each["id"] for each in get(client, "/metrics/ingests/")["choices"]]
    assert "unknown" in [each["name"] for each in get(client, "/metrics/errors/")["choices"]]
    assert client.get("/metrics/nothing/").status_code == 404


@pytest.fixture
def figures(session: Session) -> list[MetricsJobType]:
    """Random figures of three job types on twenty days, some of them missing."""
    chance = random.Random(7)
    made = []
    for job_type in [factories.make_job_type(session) for _ in range(3)]:
        for number in range(20):
            if chance.random() < 0.2:
                continue
            values: dict[str, int | None] = {name: chance.randrange(50) for name in COLUMNS}
            if chance.random() < 0.3:  # nothing completed: nothing was measured
                values = {name: None if "time" in name else value for name, value in values.items()}
                values["completed_count"] = 0
            made.append(MetricsJobType(job_type_id=job_type.id, occurred=DAY + timedelta(number), **values))
    session.add_all(made)
    session.commit()
    return made


def expected(rows: list[MetricsJobType], name: str, by_choice: bool) -> list[dict[str, Any]]:
    """The values of one column, computed one by one."""
    groups: dict[tuple[date, int], list[MetricsJobType]] = defaultdict(list)
    for row in rows:
        groups[row.occurred, row.job_type_id if by_choice else 0].append(row)
    values = []
    aggregate = next(column.aggregate for column in JOB_TYPES.columns if column.name == name)
    for (day, choice), members in sorted(groups.items()):
        stored = [value for row in members if (value := getattr(row, name)) is not None]
        if aggregate is Aggregate.AVG:
            sums = [(getattr(row, name.replace("_avg", "_sum")), row.completed_count) for row in members]
            known = [(total, count) for total, count in sums if total is not None]
            count = sum(count for _, count in known)
            value = None if not count else sum(total for total, _ in known) / count
        else:
            value = {"sum": sum, "min": min, "max": max}[aggregate.value](stored) if stored else None
        if value is not None:
            values.append({"id": choice, "date": day.isoformat(), "value": value} if by_choice else
                          {"date": day.isoformat(), "value": value})  # fmt: skip
    return values


@pytest.mark.parametrize("choices", [0, 1, 2, 3])
def test_plot_data(client: FlaskClient, figures: list[MetricsJobType], choices: int) -> None:
    chosen = sorted({row.job_type_id for row in figures})[:choices]
    query = "&".join(f"choice_id={each}" for each in chosen)
    rows = [row for row in figures if not chosen or row.job_type_id in chosen]
    plots = get(client, f"/metrics/job-types/plot-data/?{query}")["results"]
    assert [plot["column"]["name"] for plot in plots] == COLUMNS
    for plot in plots:
        values = expected(rows, plot["column"]["name"], by_choice=choices > 1)
        assert len(plot["values"]) == len(values)
        for shown, value in zip(plot["values"], values, strict=True):
            assert {**shown, "value": 0} == {**value, "value": 0}
            assert abs(shown["value"] - value["value"]) <= 0.5
        heights = [shown["value"] for shown in plot["values"]]
        assert (plot["min_y"], plot["max_y"]) == (min(heights), max(heights))
        days = [shown["date"] for shown in plot["values"]]
        assert (plot["min_x"], plot["max_x"]) == (min(days), max(days))


def test_columns_come_as_they_were_asked_for(client: FlaskClient, count_queries: Callable[[], Any]) -> None:
    query = "column=total_count&column=completed_count&group=errors&column=total_count"
    with count_queries() as statements:
        plots = get(client, f"/metrics/job-types/plot-data/?{query}&page_size=4")
    names = [plot["column"]["name"] for plot in plots["results"]]
    assert names == ["total_count", "completed_count", "error_system_count", "error_data_count"]
    assert plots["count"] == 5
    assert plots["results"][0]["values"] == []
    assert plots["results"][0]["min_y"] is None
    assert len(statements) == 1


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("started=2026-03-05", 16),
        ("started=2026-03-05T18:00:00Z", 16),
        ("ended=2026-03-05", 5),
        ("started=2026-03-05&ended=2026-03-06", 2),
        ("started=2026-03-05T00:00:00Z&ended=2026-03-05T23:00:00Z", 1),
        ("started=PT1H", 0),
    ],
)
def test_days_of_the_period_count_whole(client: FlaskClient, session: Session, query: str, days: int) -> None:
    job_type = factories.make_job_type(session)
    session.add_all(MetricsJobType(job_type_id=job_type.id, occurred=DAY + timedelta(n)) for n in range(20))
    session.commit()
    plots = get(client, f"/metrics/job-types/plot-data/?column=total_count&{query}")
    assert len(plots["results"][0]["values"]) == days


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/metrics/nothing/plot-data/", 404, "job-types"),
        ("/metrics/job-types/plot-data/?column=file_size_sum", 400, "completed_count"),
        ("/metrics/errors/plot-data/?group=run_time", 400, "overview"),
        ("/metrics/errors/plot-data/?choice_id=x", 400, "choice_id"),
        ("/metrics/errors/plot-data/?started=2026-13-01", 400, "started"),
    ],
)
def test_bad_requests(client: FlaskClient, path: str, status: int, word: str) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert word in response.text
