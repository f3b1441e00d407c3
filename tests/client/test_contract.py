"""Every call that the client can make, against the real API: as its OpenAPI document has it, with answers as typed."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from scale_client import ApiError, NotFound, Scale, client, models
from tests import factories
from tests.api.world import World, make_world
from tests.client.served import served

NOUNS = {
    name: getattr(client, type_name)
    for name, type_name in {
        "jobs": "Jobs",
        "executions": "Executions",
        "job_types": "JobTypes",
        "recipes": "Recipes",
        "recipe_types": "RecipeTypes",
        "queue": "Queue",
        "ingests": "Ingests",
        "strikes": "Strikes",
        "workspaces": "Workspaces",
        "files": "Files",
        "nodes": "Nodes",
        "errors": "Errors",
        "configuration": "Configurations",
    }.items()
}


@pytest.fixture
def world(staged_world: World) -> World:
    return staged_world


@pytest.fixture
def scale(shared_app: Flask, sessions: Callable[[], Session]) -> Iterator[Scale]:
    shared_app.extensions["scale_sessions"] = sessions
    with served(shared_app) as address:
        yield Scale(address)


@pytest.fixture(scope="module")
def document(shared_app: Flask) -> dict[str, Any]:
    found = shared_app.test_client().get("/openapi.json").get_json()
    assert isinstance(found, dict)
    return found


def calls(world: World, tmp_path: Path) -> dict[str, Callable[[Scale], Any]]:
    """One for each method of each noun."""
    recipe_data = {
        "version": "1.0",
        "input_data": [{"name": "file", "file_id": world.source.id}],
        "workspace_id": world.products.id,
    }
    interface = {"version": "1.0", "command": "/bin/true", "command_arguments": ""}
    job_type = {
        "name": "made-by-client",
        "version": "1.0",
        "title": "T",
        "interface": interface,
        "docker_image": "a/b:1",
    }
    strike = {
        "name": "made-by-client",
        "configuration": {
            "version": "1.0",
            "mount": f"localhost:{tmp_path}",
            "transfer_suffix": "_tmp",
            "files_to_ingest": [
                {"filename_regex": ".*", "workspace_path": "a", "workspace_name": world.raw.name, "data_types": []}
            ],
        },
    }
    workspace = {"name": "made-by-client", "json_config": {"broker": {"type": "host", "host_path": "/data/made"}}}
    recipe_type = {"name": "made-by-client", "version": "1.0", "definition": {"version": "1.0", "jobs": []}}
    return {
        "jobs.list": lambda scale: scale.jobs.list(
            status="FAILED", error_category="SYSTEM", job_type=world.job_type.name
        ),
        "jobs.get": lambda scale: scale.jobs.get(world.completed.id),
        "jobs.run": lambda scale: scale.jobs.run(world.job_type.id, factories.job_data(world.source, world.products)),
        "jobs.cancel": lambda scale: scale.jobs.cancel(world.queued.id),
        "jobs.prioritise": lambda scale: scale.jobs.prioritise([world.queued.id], 7),
        "jobs.requeue": lambda scale: scale.jobs.requeue(
            job_ids=[world.failed.id],
            status="FAILED",
            job_types=[world.job_type.name],
            error_categories=["SYSTEM", "DATA", "ALGORITHM"],
            started="2020-01-01T00:00:00Z",
            ended="2040-01-01T00:00:00Z",
            priority=3,
        ),
        "jobs.wait": lambda scale: scale.jobs.wait(world.completed.id),
        "executions.list": lambda scale: scale.executions.list(status="COMPLETED"),
        "executions.get": lambda scale: scale.executions.get(world.execution.id),
        "executions.logs": lambda scale: scale.executions.logs(world.execution.id),
        "job_types.list": lambda scale: scale.job_types.list(name=world.job_type.name),
        "job_types.get": lambda scale: scale.job_types.get(world.job_type.id),
        "job_types.create": lambda scale: scale.job_types.create(job_type),
        "job_types.edit": lambda scale: scale.job_types.edit(world.job_type.id, {"title": "Other"}),
        "job_types.validate": lambda scale: scale.job_types.validate(job_type),
        "job_types.find": lambda scale: scale.job_types.find(f"{world.job_type.name}:{world.job_type.version}"),
        "recipe_types.list": lambda scale: scale.recipe_types.list(),
        "recipe_types.get": lambda scale: scale.recipe_types.get(world.recipe_type.id),
        "recipe_types.create": lambda scale: scale.recipe_types.create(recipe_type),
        "recipe_types.edit": lambda scale: scale.recipe_types.edit(world.recipe_type.id, {"title": "Other"}),
        "recipe_types.validate": lambda scale: scale.recipe_types.validate(recipe_type),
        "recipe_types.find": lambda scale: scale.recipe_types.find(world.recipe_type.name),
        "recipes.list": lambda scale: scale.recipes.list(recipe_type=world.recipe_type.name),
        "recipes.get": lambda scale: scale.recipes.get(world.recipe.id),
        "recipes.run": lambda scale: scale.recipes.run(world.recipe_type.id, recipe_data),
        "recipes.wait": lambda scale: scale.recipes.wait(world.recipe.id),
        "queue.list": lambda scale: scale.queue.list(job_type=world.job_type.name),
        "ingests.list": lambda scale: scale.ingests.list(status="INGESTED", strike_id=world.strike.id),
        "ingests.get": lambda scale: scale.ingests.get(world.ingest.id),
        "ingests.retry": lambda scale: _refused(lambda: scale.ingests.retry(world.ingest.id)),
        "strikes.list": lambda scale: scale.strikes.list(name=world.strike.name),
        "strikes.get": lambda scale: scale.strikes.get(world.strike.id),
        "strikes.create": lambda scale: scale.strikes.create(strike),
        "strikes.edit": lambda scale: scale.strikes.edit(world.strike.id, {"title": "Other"}),
        "strikes.validate": lambda scale: scale.strikes.validate(strike),
        "strikes.find": lambda scale: scale.strikes.find(world.strike.name),
        "workspaces.list": lambda scale: scale.workspaces.list(name=world.raw.name),
        "workspaces.create": lambda scale: scale.workspaces.create(workspace),
        "workspaces.edit": lambda scale: scale.workspaces.edit(world.raw.id, {"title": "Other"}),
        "workspaces.validate": lambda scale: scale.workspaces.validate(workspace),
        "workspaces.find": lambda scale: scale.workspaces.find(str(world.raw.id)),
        "files.list": lambda scale: scale.files.list(
            file_name=world.source.file_name, file_name_part=world.source.file_name[:4]
        ),
        "files.get": lambda scale: scale.files.get(world.source.id),
        "files.products": lambda scale: scale.files.products(job_type=world.job_type.name),
        "files.sources": lambda scale: scale.files.sources(file_name=world.source.file_name),
        "files.download": lambda scale: _refused(lambda: scale.files.download(world.source.id, tmp_path / "to")),
        "nodes.list": lambda scale: scale.nodes.list(include_inactive=True),
        "nodes.status": lambda scale: scale.nodes.status(),
        "nodes.pause": lambda scale: scale.nodes.pause(world.node.id, "disk"),
        "nodes.resume": lambda scale: scale.nodes.resume(world.node.id),
        "nodes.find": lambda scale: scale.nodes.find(world.node.hostname),
        "errors.list": lambda scale: scale.errors.list(),
        "configuration.export": lambda scale: scale.configuration.export(job_type_name=world.job_type.name),
        "configuration.validate": lambda scale: scale.configuration.validate({"version": "1.0", "job_types": []}),
        "configuration.load": lambda scale: scale.configuration.load({"version": "1.0", "job_types": []}),
    }


REFUSED = object()


def _refused(call: Callable[[], Any]) -> object:
    """What this world cannot give; that the operation is there and says why it will not is what counts."""
    with pytest.raises(ApiError):
        call()
    return REFUSED


METHODS = sorted(
    f"{noun}.{name}"
    for noun, kind in NOUNS.items()
    for name, _ in inspect.getmembers(kind, inspect.isfunction)
    if not name.startswith("_")
)
COMMITS = {"jobs.requeue"}  # in several transactions, which the one connection of a test cannot have


@pytest.mark.parametrize("method", [method for method in METHODS if method not in COMMITS])
def test_what_the_client_asks_for_is_in_the_document_and_answers_are_as_typed(
    method: str, scale: Scale, world: World, document: dict[str, Any], tmp_path: Path
) -> None:
    asked: list[requests.PreparedRequest] = []
    scale.http.session.hooks["response"].append(lambda answer, **_: asked.append(answer.request))
    answered = calls(world, tmp_path)[method](scale)
    if isinstance(answered, Iterator):
        answered = list(answered)
        assert answered, "the world has at least one of everything"
    assert asked
    for request in asked:
        check_request(document, request)
    if answered is REFUSED:
        return
    noun, _, name = method.partition(".")
    hints = typing.get_type_hints(getattr(NOUNS[noun], name))
    check(hints["return"], answered, method)


def test_requeue(shared_app: Flask, committed: sessionmaker[Session], document: dict[str, Any], tmp_path: Path) -> None:
    with committed() as session:
        world = make_world(session)
        session.commit()
        shared_app.extensions["scale_sessions"] = committed
        with served(shared_app) as address:
            scale = Scale(address)
            scale.http.session.hooks["response"].append(lambda answer, **_: check_request(document, answer.request))
            assert calls(world, tmp_path)["jobs.requeue"](scale) == 1
            assert scale.jobs.get(world.failed.id)["status"] == "QUEUED"


def test_the_scale_itself(scale: Scale, world: World) -> None:
    check(models.Status, scale.status(), "status")
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", scale.version())
    scale.set_paused(True)
    assert scale.status()["scheduler"]["is_paused"]
    scale.set_paused(False)


def check_request(document: dict[str, Any], request: requests.PreparedRequest) -> None:
    """The request is an operation of the document, with parameters that it has."""
    parts = urlsplit(request.url or "")
    for path, operations in document["paths"].items():
        operation = operations.get((request.method or "").lower())
        if operation and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), parts.path):
            known = {parameter["name"] for parameter in operation.get("parameters", ())}
            assert set(parse_qs(parts.query)) <= known, f"{request.method} {path}"
            if "Idempotency-Key" in request.headers:
                assert "Idempotency-Key" in known
            return
    raise AssertionError(f"{request.method} {parts.path} is not in the OpenAPI document")


def check(expected: Any, value: Any, where: str) -> None:
    """`value` is what the annotation says."""
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if expected is Any:
        return
    if expected is None or expected is type(None):
        assert value is None, where
    elif typing.is_typeddict(expected):
        assert isinstance(value, dict), where
        for name, hint in typing.get_type_hints(expected).items():
            assert name in value, f"{where}.{name} is missing"
            check(hint, value[name], f"{where}.{name}")
    elif origin in (list, Sequence, typing.get_origin(Iterator[int])):
        for item in value:
            check(arguments[0], item, f"{where}[]")
    elif origin in (types.UnionType, typing.Union):
        for one in arguments:
            try:
                check(one, value, where)
            except AssertionError:
                continue
            return
        raise AssertionError(f"{where} is {value!r}, not {expected}")
    elif origin is dict:
        assert isinstance(value, dict), where
    elif expected is float:
        assert isinstance(value, int | float), f"{where} is {value!r}"
    else:
        assert isinstance(value, expected), f"{where} is {value!r}, not {expected}"


def test_a_download_is_whole_or_not_there(scale: Scale, world: World, session: Session, tmp_path: Path) -> None:
    world.raw.json_config = {"version": "1.0", "broker": {"type": "host", "host_path": str(tmp_path / "kept")}}
    path = tmp_path / "kept" / world.source.file_path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * world.source.file_size)
    session.commit()
    assert scale.files.download(world.source.id, tmp_path / "got") == world.source.file_size
    assert (tmp_path / "got").read_bytes() == path.read_bytes()
    path.unlink()
    with pytest.raises(ApiError):
        scale.files.download(world.source.id, tmp_path / "other")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["got", "kept"]


def test_errors_are_told_in_the_words_of_the_api(scale: Scale, world: World) -> None:
    with pytest.raises(NotFound, match="There is no job with the id 999999"):
        scale.jobs.get(999999)
    with pytest.raises(ApiError, match="started") as caught:
        list(scale.jobs.list(started="nonsense"))
    assert caught.value.status == 400
    with pytest.raises(NotFound, match="there is no Strike nobody"):
        scale.strikes.find("nobody")


def test_pages_are_asked_for_as_they_are_needed(scale: Scale, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scale_client.connection.PAGE_SIZE", 2)
    asked: list[str] = []
    scale.http.session.hooks["response"].append(lambda answer, **_: asked.append(answer.request.url))
    assert len({job["id"] for job in scale.jobs.list(limit=3)}) == 3
    assert len(asked) == 2
    everything = list(scale.jobs.list())
    assert len(everything) == len({job["id"] for job in everything}) >= 4
