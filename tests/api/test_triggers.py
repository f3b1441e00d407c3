"""Trigger services."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.trigger import RuleType, TriggerEvent
from scale_core.domain.ingest import IngestStatus
from scale_core.errors import Invalid
from scale_core.seed import CLOCK_RULES
from scale_core.services import clock, trigger
from scale_core.services import job_type as job_types
from tests import factories
from tests.api.guarded import bearer, make_account, make_token, sign_in
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
    [("type=INGEST", 1), ("type=PARSE", 0), ("type=NO", 0), ("type=INGEST&type=CLOCK", 1 + len(CLOCK_RULES)),
     ("media_type=image/png", 1),
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
        ("type=INGEST", 1), ("type=X", 0), ("type=INGEST&has_error=true", 0), ("type=INGEST&has_error=false", 1),
        ("type=INGEST&order=-rule__name", 1),
    ):  # fmt: skip
        assert get(client, f"/trigger-events/?{query}")["count"] == count, query


def test_a_clock_rule_that_cannot_fire_is_seen_in_the_events(client: FlaskClient, session: Session) -> None:
    (rule,) = [each for each in clock.active_rules(session) if each.name == "scale-job-load"]
    wrong = clock.Due(rule.id, rule.name, {"event_type": "JOB_LOAD", "schedule": "hourly"})
    with pytest.raises(Invalid) as problem:
        clock.fire(session, wrong, NOW)
    clock.record_error(session, wrong, NOW, str(problem.value))
    session.commit()
    (event,) = get(client, f"/trigger-events/?rule_id={rule.id}&has_error=true")["results"]
    assert get(client, f"/trigger-events/?rule_id={rule.id}&has_error=false")["count"] == 0
    assert "schedule" in event["error"]
    details = get(client, f"/trigger-events/{event['id']}/")
    assert (details["rule"]["name"], details["jobs"]) == ("scale-job-load", [])


@pytest.mark.parametrize("path", ["/trigger-rules/0/", "/trigger-events/0/"])
def test_unknown(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def preview(client: FlaskClient, status: int = 200, **body: Any) -> Any:
    response = client.post("/trigger-rules/preview/", json=body)
    assert response.status_code == status, response.text
    return response.get_json()


def rule_for(name: str, workspace: str, type_: str = "INGEST", **condition: Any) -> dict[str, Any]:
    data = {"input_data_name": name, "workspace_name": workspace}
    return {"type": type_, "configuration": {"version": "1.0", "condition": condition, "data": data}}


def test_preview_names_the_files_that_fire_and_changes_nothing(
    client: FlaskClient, world: World, session: Session
) -> None:
    wanted = [
        factories.make_source(session, world.raw, f"{number}.png", "image/png", data_type=["a", "b"], created=NOW)
        for number in range(3)
    ]
    factories.make_source(session, world.raw, "tagless.png", "image/png", created=NOW)
    factories.make_source(session, world.raw, "old.png", "image/png", data_type=["a"], created=NOW - timedelta(days=9))
    before = session.scalar(select(func.count(TriggerEvent.id)))
    session.commit()
    found = preview(
        client,
        trigger_rule=rule_for("in", world.products.name, media_type="image/png", data_types=["a"]),
        job_type_id=world.job_type.id,
        started=(NOW - timedelta(days=1)).isoformat(),
        ended=(NOW + timedelta(days=1)).isoformat(),
    )
    assert (found["count"], found["jobs"], found["job_type"]["id"]) == (3, 1, world.job_type.id)
    assert [each["file"]["id"] for each in found["results"]] == [file.id for file in reversed(wanted)]
    assert session.scalar(select(func.count(TriggerEvent.id))) == before
    parse = rule_for("in", world.products.name, "PARSE", media_type="image/png")
    assert preview(client, trigger_rule=parse, job_type_id=world.job_type.id)["count"] == 0


def test_preview_agrees_with_firing(client: FlaskClient, world: World, session: Session) -> None:
    """What the preview calls an error is recorded as one when the rule fires, and the file stays as it was."""
    spec = {"name": "in", "type": "file", "media_types": ["image/png"]}
    rule = rule_for("in", world.products.name, data_types=["odd"])
    type_ = factories.make_job_type(session, interface=factories.interface([spec]), trigger_rule=rule)
    files = [
        factories.make_source(session, world.raw, f"odd{number}", kind, data_type=["odd"], created=NOW)
        for number, kind in enumerate(["image/png", "text/plain"])
    ]
    session.commit()
    found = preview(client, trigger_rule=rule, job_type_id=type_.id)
    said = {each["file"]["id"]: each["error"] for each in found["results"]}
    trigger.fire(session, RuleType.INGEST, files, NOW, NOW)
    session.commit()
    for file in files:
        (event,) = get(client, f"/trigger-events/?type=INGEST&file_id={file.id}&rule_id={type_.trigger_rule_id}")[
            "results"
        ]
        assert (event["error"] is None) == (said[file.id] is None)
        jobs = get(client, f"/trigger-events/{event['id']}/")["jobs"]
        assert len(jobs) == (0 if event["error"] else 1)
    assert [said[file.id] is None for file in files] == [True, False]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"trigger_rule": {"type": "INGEST"}}, "trigger_rule.configuration"),
        ({"trigger_rule": {}}, "trigger_rule"),
        ({"trigger_rule": rule_for("in", "nowhere")}, "workspace_name"),
        ({"trigger_rule": {"type": "CLOCK", "configuration": {"a": 1}}}, "trigger_rule.type"),
        ({"job_type_id": None}, "job_type_id"),
        ({"recipe_type_id": 1}, "job_type_id"),
        ({"started": "yesterday"}, "started"),
    ],
)
def test_preview_refuses_a_rule_that_could_not_be_saved(
    client: FlaskClient, world: World, change: dict[str, Any], field: str
) -> None:
    body = {"trigger_rule": rule_for("in", world.products.name), "job_type_id": world.job_type.id, **change}
    assert field in str(preview(client, 400, **body))


def test_preview_for_a_recipe_type(client: FlaskClient, world: World, session: Session) -> None:
    type_ = factories.make_no_op_type(session)
    document = factories.definition(
        factories.place("a", type_), factories.place("b", type_, ["a"]), inputs=[{"name": "file", "type": "file"}]
    )
    recipe_type = factories.make_recipe_type(session, document)
    factories.make_source(session, world.raw, "x.bin", "application/x", created=NOW)
    session.commit()
    rule = rule_for("file", world.products.name, media_type="application/x")
    found = preview(client, trigger_rule=rule, recipe_type_id=recipe_type.id)
    assert (found["count"], found["jobs"], found["recipe_type"]["id"]) == (1, 2, recipe_type.id)
    assert preview(client, 404, trigger_rule=rule, recipe_type_id=2**40)


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "once"}])
def test_events_of_users_name_them(guarded: FlaskClient, session: Session, world: World, key: dict[str, str]) -> None:
    owner = make_account(session, "operator", "ada")
    by_token = bearer(make_token(session, owner, name="nightly")[1])
    by_session = sign_in(guarded, make_account(session, "operator", "bob").name)
    data = factories.job_data(world.source, world.products)
    recipe = {
        "version": "1.0", "input_data": [{"name": "file", "file_id": world.source.id}],
        "workspace_id": world.products.id,
    }  # fmt: skip
    world.ingest.status, world.ingest.transfer_ended = IngestStatus.ERRORED, NOW
    session.commit()
    asked = {
        "/queue/new-job/": {"job_type_id": world.job_type.id, "job_data": data},
        "/queue/new-recipe/": {"recipe_type_id": world.recipe_type.id, "recipe_data": recipe},
    }
    for headers, said in ((by_token, {"user": "ada", "token": "nightly"}), (by_session, {"user": "bob"})):
        for path, body in asked.items():
            own = {name: f"{value}-{path}-{said['user']}".replace("/", "") for name, value in key.items()}
            answer = guarded.post(path, json=body, headers={**headers, **own})
            assert answer.status_code == 201, answer.text
            assert answer.get_json()["event"]["description"] == said
            shown = guarded.get(f"/trigger-events/{answer.get_json()['event']['id']}/", headers=headers).get_json()
            assert (shown["type"], shown["description"]) == ("USER", said)
    answer = guarded.post(f"/ingests/{world.ingest.id}/retry/", headers=by_token)
    assert answer.status_code in (200, 202), answer.text
    newest = session.scalars(select(TriggerEvent).order_by(TriggerEvent.id.desc())).first()
    assert newest is not None
    assert newest.description == {"user": "ada", "token": "nightly"}


def test_events_of_users_name_nobody_where_nobody_is_asked(client: FlaskClient, world: World) -> None:
    body = {"job_type_id": world.job_type.id, "job_data": factories.job_data(world.source, world.products)}
    made = client.post("/queue/new-job/", json=body).get_json()
    assert made["event"]["description"] == {"user": "Anonymous"}
