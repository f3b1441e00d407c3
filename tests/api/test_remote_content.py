"""Downloads from remote workspaces, and what REST shows of these workspaces."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile, Workspace
from scale_core.settings import parse_networks
from tests import factories
from tests.remote_servers import HERE, PASSWORD, SECRETS, FtpServer, S3Server, ftp_server, s3_server

CONTENT = os.urandom(3 * 1024**2 + 17)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.client().put_object(Bucket="scale", Key="dir/a b.tif", Body=CONTENT)
        yield server


@pytest.fixture(scope="module")
def ftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    with ftp_server(tmp_path_factory.mktemp("ftp")) as server:
        (server.root / "dir").mkdir()
        (server.root / "dir" / "a b.tif").write_bytes(CONTENT)
        yield server


@pytest.fixture(params=["s3", "ftp"])
def server(request: pytest.FixtureRequest) -> S3Server | FtpServer:
    found: S3Server | FtpServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def file(session: Session, server: S3Server | FtpServer, client: FlaskClient) -> Iterator[ScaleFile]:
    extensions = client.application.extensions
    settings = extensions["scale_settings"]
    extensions["scale_settings"] = replace(settings, secrets=SECRETS, remote_networks=parse_networks(HERE))
    store = factories.make_workspace(session)
    store.json_config = {"version": "1.0", "broker": server.config()}
    made = factories.make_source(
        session, store, "a b.tif", "image/tiff", file_path="dir/a b.tif", file_size=len(CONTENT), checksum="c0ffee"
    )
    session.commit()
    yield made
    extensions["scale_settings"] = settings


def test_download(client: FlaskClient, file: ScaleFile) -> None:
    url = f"/files/{file.id}/content/"
    response = client.get(url)
    assert (response.status_code, response.content_length) == (200, len(CONTENT))
    assert response.data == CONTENT
    assert response.headers["Content-Type"] == "image/tiff"
    head = client.head(url)
    assert (head.status_code, head.content_length, head.data) == (200, len(CONTENT), b"")
    cached = client.get(url, headers={"If-None-Match": response.headers["ETag"]})
    assert (cached.status_code, cached.data) == (304, b"")


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=2000000-", 2000000, len(CONTENT)), ("bytes=1000-3000", 1000, 3001)],
)
def test_ranges(client: FlaskClient, file: ScaleFile, header: str, start: int, end: int) -> None:
    response = client.get(f"/files/{file.id}/content/", headers={"Range": header})
    assert (response.status_code, response.data) == (206, CONTENT[start:end])
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


def test_what_cannot_be_read(client: FlaskClient, session: Session, file: ScaleFile) -> None:
    file.file_path = "dir/absent"
    session.commit()
    answer = client.get(f"/files/{file.id}/content/")
    assert (answer.status_code, "there is no such file" in answer.json["detail"]) == (503, True)
    extensions = client.application.extensions
    extensions["scale_settings"] = replace(extensions["scale_settings"], secrets={})
    answer = client.get(f"/files/{file.id}/content/")
    assert answer.status_code == 503
    assert "the environment variable SCALE_SECRET_" in answer.json["detail"]
    assert answer.headers["Retry-After"]


def config(**more: Any) -> dict[str, Any]:
    reference = {"env": "SCALE_SECRET_USER"}
    credentials = {"username": reference, "password": {"file": "/run/secrets/password"}}
    return {"version": "1.0", "broker": {"type": "ftp", "host": "ftp.example.org", "credentials": credentials, **more}}


def test_rest_knows_references_only(client: FlaskClient, session: Session) -> None:
    made = client.post("/workspaces/", json={"name": "remote", "json_config": config()})
    assert made.status_code == 201
    assert made.json["json_config"]["broker"]["credentials"]["password"] == {"file": "/run/secrets/password"}
    literal = config(credentials={"username": {"env": "SCALE_SECRET_USER"}, "password": PASSWORD})
    for answer in (
        client.post("/workspaces/", json={"name": "literal", "json_config": literal}),
        client.post("/workspaces/validation/", json={"name": "literal", "json_config": literal}),
        client.patch(f"/workspaces/{made.json['id']}/", json={"json_config": literal}),
    ):
        assert answer.status_code == 400
        assert "json_config.broker.credentials.password" in json.dumps(answer.json)
        assert PASSWORD not in answer.text
    session.expire_all()
    stored = session.get_one(Workspace, made.json["id"]).json_config
    assert stored["broker"]["credentials"]["password"] == {"file": "/run/secrets/password"}


def test_validation_warns_of_what_travels_in_clear(client: FlaskClient) -> None:
    for more, warnings in (({}, ["broker_tls"]), ({"tls": True}, [])):
        answer = client.post("/workspaces/validation/", json={"name": "remote", "json_config": config(**more)})
        assert (answer.status_code, [each["id"] for each in answer.json["warnings"]]) == (200, warnings)


def test_a_download_streams(client: FlaskClient, file: ScaleFile) -> None:
    """It comes in pieces, and whoever goes away in the middle leaves no connection to the other server open."""
    response = client.get(f"/files/{file.id}/content/", buffered=False)
    pieces = iter(response.response)
    first = next(pieces)
    assert 0 < len(first) < len(CONTENT)
    assert CONTENT.startswith(first)
    response.close()
    assert client.get(f"/files/{file.id}/content/").data == CONTENT
