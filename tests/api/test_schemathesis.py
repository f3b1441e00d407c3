"""Requests made up from the OpenAPI document, right and wrong ones: none is a 500, every answer fits the document.

script/fuzz runs the same for much longer, from a seed that it prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from scale_api import create_app, operations
from scale_core.domain.access import Role
from scale_core.settings import Settings
from tests.api.guarded import everybody
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
# The seed is fixed, so that more of them would ask the same again in each run: what is new is for script/fuzz to find.
EXAMPLES = int(os.environ.get("SCALE_FUZZ_EXAMPLES", "6"))


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


# -------------------------------------------------------------------------------------------------------- as each role

ROLE_EXAMPLES = max(1, EXAMPLES // 25)  # of each operation and role
# What would take away who asks: their account, token or session, by an id that happens to be theirs.
OWN = ("/accounts/{account_id}/", "/tokens/{token_id}/", "/session/password/", "/sign-out/", "/sign-in/")


@pytest.fixture(scope="module")
def guarded_api(full_app: Flask, guarded_app: Flask) -> schemathesis.BaseSchema:
    guarded_app.extensions["scale_sessions"] = full_app.extensions["scale_sessions"]
    return schemathesis.openapi.from_wsgi("/openapi.json", guarded_app)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", ["nobody", *Role])
def test_no_request_of_any_role_does_more_than_it_may(
    guarded_api: schemathesis.BaseSchema, guarded_app: Flask, who: str
) -> None:
    """Right requests, to every operation: refused where the table says so, whatever is in them, and nowhere else."""
    sessions = guarded_app.extensions["scale_sessions"]
    with sessions() as session:
        headers = {} if who == "nobody" else getattr(everybody(session), who)
    for operation in OPERATIONS:
        method, path = operation.split()
        needed = operations.NEEDED[operation]
        if path in OWN:
            continue
        allowed = needed is None or (who != "nobody" and Role(who).covers(needed))

        _probe(guarded_api[path][method], operation, headers, allowed)


def _probe(api: Any, operation: str, headers: dict[str, str], allowed: bool) -> None:
    @seed(SEED)
    @settings(
        max_examples=ROLE_EXAMPLES, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=api.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def requests(case: schemathesis.Case) -> None:
        case.headers = {}  # what is made up must not be who asks
        answer = case.call(headers={"Accept-Encoding": "identity", **headers})
        assert answer.status_code < 500 or answer.status_code == 503, (operation, answer.text)
        refused = answer.status_code in (401, 403)
        assert refused is not allowed or operation == "GET /sign-on/callback/", (operation, answer.text)
        assert not refused or answer.status_code == (403 if headers else 401), operation

    requests()
