"""Content of files, logs of executions, and the pages of the documentation."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_api.resources import BLUEPRINTS
from scale_api.sandbox import TAIL_BYTES
from scale_core.db.file import ScaleFile
from tests import factories
from tests.api.test_shapes import LISTS, fetch
from tests.api.world import World

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def stored(session: Session, tmp_path: Path) -> ScaleFile:
    name = 'a "name" ü\n.bin'
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / name).write_bytes(CONTENT)
    store = factories.make_workspace(session, root=str(tmp_path))
    file = factories.make_source(
        session, store, name, "image/tiff", file_path=f"dir/{name}", file_size=len(CONTENT), checksum="c0ffee"
    )
    session.commit()
    return file


def test_content(client: FlaskClient, stored: ScaleFile) -> None:
    url = fetch(client, f"/files/{stored.id}/")["url"]
    response = client.get(url)
    assert (response.status_code, response.data) == (200, CONTENT)
    assert response.headers["Content-Type"] == "image/tiff"
    assert response.content_length == len(CONTENT)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Disposition"] == "inline; filename*=UTF-8''a%20%22name%22%20%C3%BC%0A.bin"
    head = client.head(url)
    assert (head.status_code, head.content_length, head.data) == (200, len(CONTENT), b"")
    cached = client.get(url, headers={"If-None-Match": response.headers["ETag"]})
    assert (cached.status_code, cached.data) == (304, b"")


@pytest.mark.parametrize(
    ("header", "start", "end"), [("bytes=0-0", 0, 1), ("bytes=1000-", 1000, 1024), ("bytes=-24", 1000, 1024)]
)
def test_ranges(client: FlaskClient, stored: ScaleFile, header: str, start: int, end: int) -> None:
    response = client.get(f"/files/{stored.id}/content/", headers={"Range": header})
    assert (response.status_code, response.data) == (206, CONTENT[start:end])
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/1024"


def test_downloads_are_not_compressed(client: FlaskClient, session: Session, tmp_path: Path) -> None:
    """They keep their length, so that progress can be shown, and their ranges."""
    content = b"line\n" * 5000
    (tmp_path / "long.txt").write_bytes(content)
    store = factories.make_workspace(session, root=str(tmp_path))
    file = factories.make_source(session, store, "long.txt", "text/plain", file_path="long.txt", file_size=len(content))
    session.commit()
    for asked, part in (({}, content), ({"Range": "bytes=5-9"}, b"line\n")):
        answer = client.get(f"/files/{file.id}/content/", headers={"Accept-Encoding": "gzip", **asked})
        assert "Content-Encoding" not in answer.headers
        assert (answer.content_length, answer.data) == (len(part), part)


def test_a_json_file_is_a_file(client: FlaskClient, session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"words": 3}')
    store = factories.make_workspace(session, root=str(tmp_path))
    file = factories.make_source(session, store, "a.json", "application/json", file_path="a.json", file_size=12)
    session.commit()
    answer = client.get(f"/files/{file.id}/content/")
    assert (answer.status_code, answer.text) == (200, '{"words": 3}')
    assert "ETag" not in answer.headers, "without a checksum nothing is known of it"


def test_a_range_beyond_the_end(client: FlaskClient, stored: ScaleFile) -> None:
    response = client.get(f"/files/{stored.id}/content/", headers={"Range": "bytes=5000-"})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == "bytes */1024"


def test_content_that_is_not_there(client: FlaskClient, session: Session, stored: ScaleFile, tmp_path: Path) -> None:
    (tmp_path / stored.file_path).unlink()
    response = client.get(f"/files/{stored.id}/content/")
    assert response.status_code == 503
    assert "does not exist" in response.json["detail"]
    stored.file_path = "../outside"
    session.commit()
    assert client.get(f"/files/{stored.id}/content/").status_code == 503
    stored.is_deleted = True
    session.commit()
    assert client.get(f"/files/{stored.id}/content/").status_code == 404


class Agent(BaseHTTPRequestHandler):
    """The files API as an agent answers it: at most 64 KiB at once, -1 asks for the size."""

    files = {"/sandbox/stdout": "x" * 300_000 + "the end", "/sandbox/stderr": "oops"}

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        text = self.files.get(query["path"])
        if url.path != "/files/read" or text is None:
            self.send_error(404)
            return
        offset, length = int(query["offset"]), min(int(query["length"]), 65536)
        if offset == -1:
            answer = {"data": "", "offset": len(text)}
        else:
            answer = {"data": text[offset : offset + length], "offset": offset}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def agent() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_live_logs(client: FlaskClient, session: Session, world: World, agent: int) -> None:
    world.node.hostname, world.node.port = "127.0.0.1", agent
    session.commit()
    execution_id = fetch(client, f"/jobs/{world.running.id}/")["job_exes"][0]["id"]
    logs = fetch(client, f"/job-executions/{execution_id}/logs/")
    assert logs["is_finished"] is False
    assert logs["stdout"].endswith("xthe end")
    assert len(logs["stdout"]) == TAIL_BYTES
    assert logs["stderr"] == "oops"
    details = fetch(client, f"/job-executions/{execution_id}/")
    assert details["current_stderr_url"] == f"http://127.0.0.1:{agent}/files/download?path=%2Fsandbox%2Fstderr"


def test_logs_of_a_node_that_does_not_answer(client: FlaskClient, session: Session, world: World) -> None:
    world.node.hostname, world.node.port = "127.0.0.1", 1
    session.commit()
    execution_id = fetch(client, f"/jobs/{world.running.id}/")["job_exes"][0]["id"]
    logs = fetch(client, f"/job-executions/{execution_id}/logs/")
    assert (logs["stdout"], logs["stderr"], logs["is_finished"]) == ("", "", False)


def test_logs_before_the_start(client: FlaskClient, world: World) -> None:
    execution_id = fetch(client, f"/jobs/{world.queued.id}/")["job_exes"][0]["id"]
    assert fetch(client, f"/job-executions/{execution_id}/logs/")["stdout"] == ""


def test_documentation(client: FlaskClient) -> None:
    """The page needs nothing from outside of this server, and all that it names is there."""
    page = client.get("/docs/api/").text
    assert "http" not in page
    urls = re.findall(r'(?:href|src)="([^"]+)"|url: "([^"]+)"', page)
    assert len(urls) == 4
    for url in map("".join, urls):
        assert client.get(url).status_code == 200
    assert client.get("/docs/assets/../__init__.py").status_code == 404
    assert client.get("/", headers={"Accept": "text/html"}).headers["Location"] == "/ui/"
    assert client.get("/").json["docs"] == "http://localhost/docs/"


def test_openapi_document_names_every_route(client: FlaskClient, app: Flask) -> None:
    document = fetch(client, "/openapi.json")
    assert document["openapi"].startswith("3.")
    names = {blueprint.name for blueprint in BLUEPRINTS}
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in names
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, operations in document["paths"].items() for method in operations}
    assert served == {(path, method) for path, method in described if method != "parameters"}
    assert {path for path, _ in LISTS} <= set(document["paths"])
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert method == "parameters" or operation["summary"], path
