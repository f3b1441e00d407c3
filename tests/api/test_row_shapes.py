"""Lists are read straight from the rows; they show what their schema makes of the objects."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from scale_core.db.account import Account, ApiToken, Audit
from scale_core.db.file import ScaleFile, Workspace
from scale_core.db.ingest import Ingest, Strike
from scale_core.db.job import Error, Job, JobExecution, JobType, JobTypeRevision
from scale_core.db.node import Node
from scale_core.db.recipe import Recipe, RecipeType, RecipeTypeRevision
from scale_core.db.trigger import TriggerEvent, TriggerRule
from tests.api.guarded import make_account, make_token
from tests.api.world import World
from tests.conftest import NOW

# path of the list -> the model of its rows, and what the list adds to them
LISTS: dict[str, tuple[Any, set[str]]] = {
    "/errors/": (Error, set()),
    "/workspaces/": (Workspace, set()),
    "/job-types/": (JobType, set()),
    "/job-types/<id:job_type_id>/revisions/": (JobTypeRevision, set()),
    "/recipe-types/": (RecipeType, set()),
    "/recipe-types/<id:recipe_type_id>/revisions/": (RecipeTypeRevision, set()),
    "/recipes/": (Recipe, set()),
    "/recipes/jobs/": (Recipe, {"jobs"}),
    "/jobs/": (Job, set()),
    "/jobs/updates/": (Job, {"input_files"}),
    "/jobs/executions/": (Job, {"latest_job_exe"}),
    "/job-executions/": (JobExecution, set()),
    "/ingests/": (Ingest, set()),
    "/strikes/": (Strike, set()),
    "/files/": (ScaleFile, set()),
    "/sources/": (ScaleFile, set()),
    "/sources/updates/": (ScaleFile, {"update"}),
    "/products/": (ScaleFile, set()),
    "/products/updates/": (ScaleFile, {"update", "source_files"}),
    "/nodes/": (Node, set()),
    "/trigger-rules/": (TriggerRule, {"job_type", "recipe_type"}),
    "/trigger-events/": (TriggerEvent, set()),
    "/accounts/": (Account, set()),
    "/tokens/": (ApiToken, set()),
    "/audit/": (Audit, set()),
}

# lists whose rows are put together here: which of their values are rows, of which model
COMPOSED: dict[str, dict[str, Any]] = {
    "/job-types/status/": {"job_type": JobType},
    "/job-types/running/": {"job_type": JobType},
    "/job-types/system-failures/": {"job_type": JobType, "error": Error},
    "/nodes/status/": {"node": Node, "job_exes_running": JobExecution},
    "/queue/": {"job_type": JobType},
    "/files/<id:file_id>/ancestors/": {"file": ScaleFile},
    "/files/<id:file_id>/descendants/": {"file": ScaleFile},
}


@pytest.fixture(autouse=True)
def _somebody(session: Session) -> None:
    make_token(session, make_account(session))
    session.add(Audit(occurred=NOW, via="open", operation="x", object_type="job", before={"a": 1}, after=None))
    session.commit()


@pytest.mark.parametrize("path", LISTS)
def test_rows_are_what_the_schema_says(
    shared_app: Flask, client: FlaskClient, world: World, session: Session, path: str
) -> None:
    model, added = LISTS[path]
    schema = _schemas(shared_app)[path]()
    address = path.replace("<id:job_type_id>", str(world.job_type.id))
    shown = client.get(address.replace("<id:recipe_type_id>", str(world.recipe_type.id))).get_json()["results"]
    assert shown
    session.expire_all()
    with shared_app.test_request_context(path):
        dumped = [schema.dump(session.get(model, row["id"])) for row in shown]
    for row, expected in zip(shown, dumped, strict=True):
        assert list(row) == [*expected, *(name for name in row if name in added)]
        assert set(row) == set(schema.dump_fields)
        assert {name: value for name, value in row.items() if name not in added} == orjson.loads(orjson.dumps(expected))


@pytest.mark.parametrize("path", COMPOSED)
def test_parts_are_what_their_schema_says(
    shared_app: Flask, client: FlaskClient, world: World, session: Session, path: str
) -> None:
    schema = _schemas(shared_app)[path]()
    file = world.product if "ancestors" in path else world.source
    shown = client.get(path.replace("<id:file_id>", str(file.id))).get_json()["results"]
    session.expire_all()
    assert all(list(row) == list(schema.dump_fields) for row in shown)
    for name, model in COMPOSED[path].items():
        field = schema.dump_fields[name]
        part = field.inner.schema if isinstance(field, fields.List) else field.schema
        seen = [each for row in shown for each in (row[name] if isinstance(row[name], list) else [row[name]])]
        assert seen
        with shared_app.test_request_context("/"):
            dumped = [part.dump(session.get(model, each["id"])) for each in seen]
        assert seen == orjson.loads(orjson.dumps(dumped))


def test_every_list_of_rows_is_in_a_table(shared_app: Flask) -> None:
    assert set(_schemas(shared_app)) == {*LISTS, *COMPOSED}


def _schemas(app: Flask) -> dict[str, type[Schema]]:
    """Of every list that is not dumped by its schema, by path."""
    views = {
        rule.rule: getattr(app.view_functions[rule.endpoint], "view_class", None) for rule in app.url_map.iter_rules()
    }
    return {path: view.get.item for path, view in views.items() if hasattr(getattr(view, "get", None), "item")}
