"""Requests made up from the OpenAPI document, right and wrong ones: none is a 500, every answer fits the document.

script/fuzz runs the same for much longer, from a seed that it prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from scale_api import create_app
from scale_core.settings import Settings
from tests.conftest import empty
from tests.specification.rich_world import make_rich_world

SEED = int(os.environ.get("SCALE_FUZZ_SEED", "20261124"))
OPERATIONS = sorted(
    f"{method.upper()} {path}"
    for path, item in create_app(Settings.from_environ({"SCALE_DATABASE_URL": "postgresql+psycopg2://"}))
    .test_client()
    .get("/openapi.json")
    .get_json()["paths"]
    .items()
    for method in item
    if method != "parameters"
)
# What a schema calls right or wrong can differ from what is accepted at the edges (``page=``). Hypothesis makes values
# out of all code that is loaded, so that a seed alone does not fix them: these two checks are for script/fuzz.
FUZZING = "SCALE_FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("SCALE_FUZZ_EXAMPLES", "25"))


@pytest.fixture(scope="module")
def full_app(shared_app: Flask, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application on rows that requests may find, change and break."""
    before = shared_app.extensions["scale_sessions"]
    sessions = sessionmaker(engine, expire_on_commit=False)
    with sessions() as session:
        world = make_rich_world(session).world
        store = tmp_path_factory.mktemp("store")
        for file in (world.source, world.product):
            file.workspace.json_config = {"version": "1.0", "broker": {"type": "host", "host_path": str(store)}}
            (store / file.file_path).parent.mkdir(parents=True, exist_ok=True)
            (store / file.file_path).write_text("content")
        session.commit()
    shared_app.extensions["scale_sessions"] = sessions
    yield shared_app
    shared_app.extensions["scale_sessions"] = before
    empty(engine)


def _describes_itself(case: schemathesis.Case) -> bool:
    """Whether a schema can say all that makes the request valid.

    Not so for documents, of two times which is the earlier, and which columns the metrics of a name have.
    """
    both = {"started", "ended"} <= set(case.query or {})
    return case.method == "GET" and not both and case.path != "/metrics/{name}/plot-data/"


def _leaves_something_empty(case: schemathesis.Case) -> bool:
    """``page=`` is no number and yet no mistake: it counts as absent, which a schema of numbers cannot say."""
    values = (each if isinstance(each, list) else [each] for each in (case.query or {}).values())
    return any(value in ("", None, {}) for several in values for value in several or [""])


@pytest.fixture(scope="module")
def api(full_app: Flask) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_wsgi("/openapi.json", full_app)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_request_breaks_the_api(api: schemathesis.BaseSchema, operation: str, mode: GenerationMode) -> None:
    method, path = operation.split()
    cases = api[path][method].as_strategy(generation_mode=mode)

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def requests(case: schemathesis.Case) -> None:
        # the test client does not unpack; that gzip changes nothing is tested elsewhere
        response = case.call(headers={"Accept-Encoding": "identity"})
        excluded = [ignored_auth]
        if not (FUZZING and _describes_itself(case)):
            excluded.append(positive_data_acceptance)
        if not FUZZING or _leaves_something_empty(case):
            excluded.append(negative_data_rejection)
        case.validate_response(response, excluded_checks=excluded)

    try:
        requests()
    except Unsatisfiable:
        if mode is GenerationMode.POSITIVE:
            raise
        pytest.skip("any request fits: the document asks nothing of it")
