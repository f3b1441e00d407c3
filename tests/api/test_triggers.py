"""Trigger services."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core.db.trigger import RuleType
from scale_core.services import job_type as job_types
from scale_core.services import trigger
from tests.api.world import World
from tests.conftest import NOW


def get(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.get_json()


def test_rules(client: FlaskClient, world: World, session: Session) -> None:
    (rule,) = get(client, "/trigger-rules/?type=INGEST")["results"]
    assert rule["job_type"]["id"] == world.job_type.id
    assert rule["recipe_type"] is None
    assert rule["configuration"]["condition"]["media_type"] == "image/png"
    assert get(client, f"/trigger-rules/{rule['id']}/") == rule
    assert {"scale-daily-metrics", "scale-job-load"} <= {
        each["name"] for each in get(client, "/trigger-rules/?type=CLOCK")["results"]
    }
    job_types.edit(session, world.job_type.id, {"trigger_rule": None}, NOW)
    session.commit()
    archived = get(client, f"/trigger-rules/{rule['id']}/")
    assert (archived["is_active"], archived["job_type"]) == (False, None)


@pytest.mark.parametrize(
    ("query", "count"),
    [("type=INGEST", 1), ("type=PARSE", 0), ("type=NO", 0), ("type=INGEST&type=CLOCK", 3), ("media_type=image/png", 1),
     ("media_type=a/b", 0), ("type=INGEST&is_active=true", 1), ("type=INGEST&is_active=false", 0), ("name=nobody", 0),
     ("started=2020-01-01T00:00:00Z&type=INGEST", 1), ("ended=2020-01-01T00:00:00Z", 0)],
)  # fmt: skip
def test_rule_filters(client: FlaskClient, world: World, query: str, count: int) -> None:
    assert get(client, f"/trigger-rules/?{query}")["count"] == count


def test_events(client: FlaskClient, world: World, session: Session) -> None:
    world.source.media_type = "image/png"
    session.flush()
    assert trigger.fire(session, RuleType.INGEST, [world.source], NOW, NOW) == 1
    session.commit()
    (event,) = get(client, f"/trigger-events/?type=INGEST&file_id={world.source.id}")["results"]
    assert event["description"]["file_name"] == world.source.file_name
    assert event["error"] is None
    details = get(client, f"/trigger-events/{event['id']}/")
    assert details["rule"]["id"] == event["rule"]["id"]
    assert [job["job_type"]["id"] for job in details["jobs"]] == [world.job_type.id]
    assert details["recipes"] == []
    for query, count in (
        (f"rule_id={event['rule']['id']}", 1), ("rule_id=0", 0), (f"file_name={world.source.file_name}", 1),
        ("file_name=x", 0), ("file_id=0", 0), (f"rule_name={details['rule']['name']}", 1), ("rule_name=x", 0),
        ("type=INGEST", 1), ("type=X", 0), ("type=INGEST&order=-rule__name", 1),
    ):  # fmt: skip
        assert get(client, f"/trigger-events/?{query}")["count"] == count, query


@pytest.mark.parametrize("path", ["/trigger-rules/0/", "/trigger-events/0/"])
def test_unknown(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
