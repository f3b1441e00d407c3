"""Import and export: what is exported, what an import changes, refuses and warns of, and the way there and back."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scale_api import create_app
from scale_core.db.job import JobType, JobTypeRevision
from scale_core.db.recipe import RecipeType
from scale_core.services import error as errors
from scale_core.settings import Settings
from tests import factories
from tests.conftest import NOW, empty

TEXT = [{"name": "in", "type": "file", "required": True, "media_types": ["text/plain"]}]


def get(client: FlaskClient, path: str = "/configuration/") -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.get_json()


def load(client: FlaskClient, document: Any, path: str = "/configuration/", status: int = 200) -> Any:
    response = client.post(path, json={"import": document})
    assert response.status_code == status, response.text
    return response.get_json()


def make(session: Session, name: str = "one") -> None:
    """An error, a job type with a rule that maps to it, and a recipe type of it."""
    store = factories.make_workspace(session, name="store")
    errors.create(session, {"name": f"{name}-bad", "title": "Bad", "description": "d", "category": "DATA"}, NOW)
    rule = {
        "type": "INGEST",
        "configuration": {
            "version": "1.0",
            "condition": {"media_type": "text/plain", "data_types": ["a"]},
            "data": {"input_data_name": "in", "workspace_name": store.name},
        },
    }
    mapping = {"version": "1.0", "exit_codes": {"3": f"{name}-bad"}}
    job_type = factories.make_job_type(
        session,
        name=name,
        title="T",
        docker_image="i:1",
        trigger_rule=rule,
        error_mapping=mapping,
        priority=7,
        interface=factories.interface(TEXT),
    )
    place = factories.place("first", job_type, recipe_inputs=[{"recipe_input": "file", "job_input": "in"}])
    definition = factories.definition(place, inputs=[{"name": "file", "type": "file", "media_types": ["text/plain"]}])
    factories.make_recipe_type(session, definition, name=f"{name}-recipe")
    session.commit()


def test_export(client: FlaskClient, session: Session) -> None:
    make(session)
    document = get(client)
    assert document["version"] == "1.0"
    (job_type,) = document["job_types"]
    assert set(job_type) == {
        "name", "version", "title", "description", "category", "author_name", "author_url", "is_system",
        "is_long_running", "is_active", "is_operational", "icon_code", "uses_docker", "docker_privileged",
        "docker_image", "priority", "timeout", "max_scheduled", "max_tries", "cpus_required", "mem_required",
        "disk_out_const_required", "disk_out_mult_required", "gpus_required", "interface", "error_mapping",
        "trigger_rule",
    }  # fmt: skip
    assert set(job_type["trigger_rule"]) == {"type", "name", "is_active", "configuration"}
    assert [each["name"] for each in document["recipe_types"]] == ["one-recipe"]
    assert "one-bad" in [each["name"] for each in document["errors"]]
    assert not {"unknown", "database"} & {each["name"] for each in document["errors"]}, "SYSTEM errors stay"


@pytest.mark.parametrize(
    ("query", "recipe_types", "job_types", "error_names"),
    [
        ("include=errors&error_name=one-bad", None, None, {"one-bad"}),
        ("include=job_types&include=recipe_types", {"one-recipe", "two-recipe"}, {"one", "two"}, None),
        ("recipe_type_name=one-recipe", {"one-recipe"}, {"one"}, {"one-bad"}),
        ("job_type_name=two", {"two-recipe"}, {"two"}, {"two-bad"}),
        ("job_type_category=none", set(), set(), set()),
        ("job_type_name=one&job_type_name=two", {"one-recipe", "two-recipe"}, {"one", "two"}, {"one-bad", "two-bad"}),
        ("recipe_type_name=one-recipe&job_type_name=two", {"one-recipe"}, {"two"}, {"two-bad"}),
        ("error_name=one-bad", {"one-recipe", "two-recipe"}, {"one", "two"}, {"one-bad"}),
        ("recipe_type_id=0", set(), set(), set()),
    ],
)
def test_filters(
    client: FlaskClient, session: Session, query: str, recipe_types: Any, job_types: Any, error_names: Any
) -> None:
    make(session)
    store = {"name": "two", "title": "T", "interface": factories.interface()}
    factories.make_job_type(session, **store, error_mapping={"exit_codes": {"1": "one-bad"}})
    errors.create(session, {"name": "two-bad", "title": "B", "description": "d", "category": "DATA"}, NOW)
    two = session.scalars(select(JobType).where(JobType.name == "two")).one()
    two.error_mapping = {"version": "1.0", "exit_codes": {"1": "two-bad"}}
    factories.make_recipe_type(
        session,
        factories.definition(
            factories.place("a", two, recipe_inputs=[{"recipe_input": "f", "job_input": "in"}]),
            inputs=[{"name": "f", "type": "file"}],
        ),
        name="two-recipe",
    )
    session.commit()
    document = get(client, f"/configuration/?{query}")
    found = {kind: {each["name"] for each in document[kind]} for kind in document if kind != "version"}
    expected = {"recipe_types": recipe_types, "job_types": job_types, "errors": error_names}
    assert found == {kind: names for kind, names in expected.items() if names is not None}
    assert client.get("/configuration/?include=nodes").status_code == 400


def test_there_and_back(committed: sessionmaker[Session], settings: Settings) -> None:
    client = create_app(settings, committed).test_client()
    with committed() as session:
        make(session)
        archived = factories.make_job_type(session, name="archived", is_active=False, is_long_running=True)
        factories.make_recipe_type(session, {"jobs": []}, name="nothing")
        assert archived.category is None
        session.commit()
        engine = session.get_bind()
    exported = get(client)
    empty(engine)  # type: ignore[arg-type]
    with committed() as session:
        factories.make_workspace(session, name="store")
        session.commit()
    assert load(client, exported) == {"warnings": []}
    assert get(client) == exported


def test_what_is_so_already_is_not_written(client: FlaskClient, session: Session) -> None:
    make(session)
    document = get(client)
    before = (
        client.get("/job-types/").get_json(),
        client.get("/recipe-types/").get_json(),
        client.get("/errors/").get_json(),
    )
    assert load(client, document) == {"warnings": []}
    after = (
        client.get("/job-types/").get_json(),
        client.get("/recipe-types/").get_json(),
        client.get("/errors/").get_json(),
    )
    assert before == after
    document["job_types"][0]["priority"] = 8
    load(client, {"job_types": [{key: document["job_types"][0][key] for key in ("name", "version", "priority")}]})
    (edited,) = client.get("/job-types/?name=one").get_json()["results"]
    assert (edited["priority"], edited["revision_num"], edited["title"]) == (8, 1, "T")


def test_interface_and_recipe_change_together(client: FlaskClient, session: Session) -> None:
    make(session)
    document = get(client)
    job_type, recipe_type = document["job_types"][0], document["recipe_types"][0]
    job_type["interface"]["input_data"][0]["name"] = "other"
    job_type["interface"]["command_arguments"] = "${other}"
    job_type["trigger_rule"]["configuration"]["data"]["input_data_name"] = "other"
    refused = load(client, {"job_types": [job_type]}, status=400)
    assert "one-recipe" in refused["detail"]
    recipe_type["definition"]["jobs"][0]["recipe_inputs"][0]["job_input"] = "other"
    load(client, document)
    session.expire_all()
    assert session.scalars(select(JobType.revision_num).where(JobType.name == "one")).one() == 2
    assert len(session.scalars(select(JobTypeRevision).join(JobType).where(JobType.name == "one")).all()) == 2
    assert session.scalars(select(RecipeType.revision_num).where(RecipeType.name == "one-recipe")).one() == 2


def test_every_problem_at_once_and_nothing_done(client: FlaskClient, session: Session) -> None:
    make(session)
    document = get(client)
    bad = copy.deepcopy(document)
    bad["errors"] = [
        {"name": "new", "title": "t", "description": "d", "category": "DATA"},
        {"name": "unknown", "title": "mine now", "description": "d", "category": "DATA"},
        {"name": "sys", "title": "t", "description": "d", "category": "SYSTEM"},
    ]
    bad["job_types"][0]["interface"]["input_data"][0]["type"] = "directory"
    bad["job_types"] += [
        {"name": "scale-ingest", "version": "1.0"},
        {"name": "fresh", "version": "1"},
        {"name": "fresh", "version": "1"},
        {"name": "mapped", "version": "1", "interface": factories.interface(),
         "error_mapping": {"exit_codes": {"1": "nobody"}}},
    ]  # fmt: skip
    bad["recipe_types"][0]["definition"]["jobs"][0]["job_type"]["version"] = "9"
    for path in ("/configuration/", "/configuration/validation/"):
        refused = load(client, bad, path, status=400)
        paths = [problem["path"] for problem in refused["problems"]]
        assert paths == [
            "import.errors[1]",
            "import.errors[2].category",
            "import.job_types[0].interface.input_data[0].type",
            "import.job_types[1]",
            "import.job_types[2].interface",
            "import.job_types[3]",
            "import.job_types[4].error_mapping.exit_codes.1",
            "import.recipe_types[0].definition.jobs[first].job_type",
        ]
    assert get(client) == document


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"version": "2.0"}, "import.version"),
        ({"errors": {}}, "import.errors"),
        ({"errors": [{}]}, "import.errors[0].name"),
        ({"job_types": [{"name": "a", "version": "1", "cpus_required": "many"}]}, "import.job_types[0].cpus_required"),
        ({"job_types": [{"name": "a" * 51, "version": "1"}]}, "import.job_types[0].name"),
        ({"recipe_types": ["a"]}, "import.recipe_types[0]"),
        ([], "import"),
    ],
)
def test_malformed(client: FlaskClient, document: Any, path: str) -> None:
    refused = load(client, document, status=400)
    assert path in [problem["path"] for problem in refused["problems"]]


def test_warnings(client: FlaskClient, session: Session) -> None:
    make(session)
    document = get(client)
    document["nodes"] = []
    document["job_types"][0] |= {"id": 7, "revision_num": 3, "colour": "red", "docker_image": None,
                                 "docker_privileged": True}  # fmt: skip
    document["job_types"][0]["trigger_rule"]["configuration"]["condition"]["media_type"] = "image/png"
    for path in ("/configuration/validation/", "/configuration/"):
        warnings = load(client, document, path)["warnings"]
        assert {(each["id"], each["details"].split()[0]) for each in warnings} == {
            ("unknown-field", "import.nodes"),
            ("read-only", "import.job_types[0].id"),
            ("read-only", "import.job_types[0].revision_num"),
            ("unknown-field", "import.job_types[0].colour"),
            ("docker_privileged", "docker_privileged"),
            ("media_type", "Invalid"),
        }


def test_validation_leaves_no_trace(client: FlaskClient, session: Session) -> None:
    make(session)
    document = get(client)
    changed = copy.deepcopy(document)
    changed["job_types"][0]["priority"] = 1
    changed["errors"].append({"name": "new", "title": "t", "description": "d", "category": "DATA"})
    assert load(client, changed, "/configuration/validation/") == {"warnings": []}
    session.expire_all()
    assert get(client) == document


def test_download(client: FlaskClient, session: Session) -> None:
    make(session)
    response = client.get("/configuration/download/?job_type_name=one")
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename=scale-export_2")
    assert len(disposition) == len("attachment; filename=scale-export_2015-01-01_00-00-00.json")
    assert response.get_json() == get(client, "/configuration/?job_type_name=one")


def test_upload(client: FlaskClient, session: Session) -> None:
    make(session)
    document = get(client)
    content = json.dumps(document).encode()

    def form(name: str, *more: str) -> dict[str, Any]:
        return {key: (io.BytesIO(content), name) for key in ("import", *more)}

    assert client.post("/configuration/upload/", data=form("export.json")).get_json() == {"warnings": []}
    headers = {"X-File-Name": "my%20export.JSON"}
    assert client.post("/configuration/upload/", data=content, headers=headers).get_json() == {"warnings": []}
    wrapped = json.dumps({"import": document})
    assert client.post("/configuration/upload/", data=wrapped, headers=headers).status_code == 200
    for arguments, word in (
        ({"data": {}}, "one file"),
        ({"data": content}, "one file"),
        ({"data": form("a.json", "second")}, "one file"),
        ({"data": form("a.txt")}, ".json"),
        ({"data": b"{]", "headers": headers}, "JSON"),
        ({"data": b"[]", "headers": headers}, "object"),
        ({"data": b'{"errors": 1}', "headers": headers}, "import.errors"),
    ):
        response = client.post("/configuration/upload/", **arguments)
        assert response.status_code == 400
        assert word in response.text
    assert client.post("/configuration/upload/", data=b" " * (33 << 20), headers=headers).status_code == 413
