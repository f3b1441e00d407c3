"""What a hostile network, file or page might try, and what it gets."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_api import create_app
from scale_core.db.file import ScaleFile
from scale_core.settings import Settings
from tests import factories
from tests.api.world import World

PAGE = b"<script>alert(document.cookie)</script>"


@pytest.mark.parametrize("path", ["/docs/api/"])
def test_pages_have_no_script_or_style_in_them(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
        assert part in policy
    assert not re.search(r"<style|<script(?![^>]* src=)[^>]*>|\son\w+=|\sstyle=|javascript:", answer.text, re.I)
    for url in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert url.startswith("/"), url
        assert client.get(url).status_code == 200, url


@pytest.mark.parametrize(
    "path", ["/jobs/", "/nothing/", "/errors/x", "/version/", "/openapi.json", "/metrics-prometheus/"]
)
@pytest.mark.parametrize("prefix", ["", "/v3"])
def test_every_answer_has_the_headers(client: FlaskClient, world: World, path: str, prefix: str) -> None:
    answer = client.get(prefix + path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "private" in answer.headers["Cache-Control"]
    assert "Strict-Transport-Security" not in answer.headers
    assert "max-age" in client.get(path, base_url="https://localhost").headers["Strict-Transport-Security"]


@pytest.fixture
def make(session: Session, tmp_path: Path) -> Callable[..., ScaleFile]:
    def made(name: str, media_type: str) -> ScaleFile:
        (tmp_path / "stored").write_bytes(PAGE)
        store = factories.make_workspace(session, root=str(tmp_path))
        size = len(PAGE)
        file = factories.make_source(session, store, name, media_type, file_path="stored", file_size=size)
        session.commit()
        return file

    return made


@pytest.mark.parametrize(
    ("media_type", "how", "sent"),
    [
        ("text/html", "attachment", "text/html"),
        ("image/svg+xml", "attachment", "image/svg+xml"),
        ("application/xhtml+xml", "attachment", "application/xhtml+xml"),
        ("text/xml", "attachment", "text/xml"),
        ("application/pdf", "attachment", "application/pdf"),
        ("image/png", "inline", "image/png"),
        ("", "attachment", "application/octet-stream"),
        ("text/html\r\nSet-Cookie: a=b", "attachment", "application/octet-stream"),
        ("image/png\nX: y", "attachment", "application/octet-stream"),
        ("nonsense", "attachment", "application/octet-stream"),
    ],
)
def test_a_stored_page_runs_nothing(
    client: FlaskClient, make: Callable[..., ScaleFile], media_type: str, how: str, sent: str
) -> None:
    answer = client.get(f"/files/{make('page.html', media_type).id}/content/")
    assert (answer.status_code, answer.data) == (200, PAGE)
    assert answer.headers["Content-Type"].partition(";")[0] == sent
    assert answer.headers["Content-Disposition"].startswith(f"{how};")
    assert answer.headers["Content-Security-Policy"].endswith("; sandbox")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "name", ['a"; filename=b.exe', "a\r\nSet-Cookie: x=1", "\u202egnp.exe", "../../etc/passwd", "ü\t\x7f'"]
)
def test_file_names_stay_in_their_header(client: FlaskClient, make: Callable[..., ScaleFile], name: str) -> None:
    answer = client.get(f"/files/{make(name, 'image/png').id}/content/")
    assert re.fullmatch(r"inline; filename\*=UTF-8''[\w.%~-]+", answer.headers["Content-Disposition"], re.ASCII)
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["//evil.example/jobs", "//evil.example/..", "/\\evil.example", "/jobs//evil.example", "/v3//evil.example/jobs"],
)
def test_redirects_stay_here(client: FlaskClient, path: str) -> None:
    answer = client.get("/", environ_overrides={"PATH_INFO": path})
    if answer.status_code in (301, 302, 303, 307, 308):
        location = answer.headers["Location"]
        assert location.startswith(("http://localhost/", "/")), location
        assert not location.startswith(("//", "/\\"))
    else:
        assert answer.status_code == 404


@pytest.mark.parametrize(
    "header", ["X-Request-Id", "Idempotency-Key", "If-Match", "X-File-Name", "User-Agent", "Referer"]
)
def test_headers_are_not_echoed_as_they_are(client: FlaskClient, header: str) -> None:
    answer = client.post("/errors/", json={}, headers={header: "x\u00e9<script>alert(1)</script>"})
    assert answer.status_code == 400
    assert "<script>" not in str(answer.headers)
    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a":' * 100 + b"1" + b"}" * 100, 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b'{"name": "' + b"x" * (33 * 1024 * 1024) + b'"}', 413),
        (b'{"name": "\\u0000"}', 400),
        (b'{"a": 1e999}', 400),
    ],
)
@pytest.mark.parametrize("path", ["/errors/", "/configuration/upload/"])
def test_bodies_that_are_too_much(client: FlaskClient, path: str, body: bytes, status: int) -> None:
    headers = {"X-File-Name": "a.json"}
    answer = client.post(path, data=body, content_type="application/json", headers=headers)
    assert answer.status_code == status, answer.text[:200]


def test_who_is_not_known_cannot_make_us_read_a_body(guarded: FlaskClient) -> None:
    answer = guarded.post("/errors/", data=b"x" * (33 * 1024 * 1024), content_type="application/json")
    assert answer.status_code == 401


def test_forms_of_many_parts_are_refused(client: FlaskClient) -> None:
    form = {f"field-{number}": "x" for number in range(1000)}
    answer = client.post("/configuration/upload/", data=form, content_type="multipart/form-data")
    assert answer.status_code == 413


def test_proxies_that_are_trusted_say_where_a_request_is_from(
    database_url: str, sessions: Callable[[], Session]
) -> None:
    environ = {"SCALE_DATABASE_URL": database_url, "SCALE_TRUSTED_PROXIES": "1", "SCALE_ACCESS_CONTROL": "off"}
    client = create_app(Settings.from_environ(environ), sessions).test_client()
    forwarded = {
        "X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "scale.example",
    }  # fmt: skip
    client.patch("/scheduler/", json={"is_paused": True}, headers=forwarded)
    answer = client.get("/audit/", headers=forwarded)
    assert answer.get_json()["results"][0]["address"] == "203.0.113.9", "what the nearest proxy says, not the client"
    assert "Strict-Transport-Security" in answer.headers
