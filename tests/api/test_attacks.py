"""What a hostile network, file or page might try, and what it gets."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from scale_api import create_app
from scale_core.db.file import ScaleFile
from scale_core.documents import strike_configuration
from scale_core.settings import Settings
from tests import factories
from tests.api.guarded import PASSWORD, bearer, make_account, make_token, sign_in
from tests.api.world import World
from tests.stage import Stage

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


# -------------------------------------------------------------------------------------------------- what names end in


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: x=1", "a\n\n<script>", "a\x00b", "\u2028", '"; filename="x.exe', "ü" * 120]
)
def test_names_never_end_headers(client: FlaskClient, session: Session, world: World, name: str) -> None:
    """Of all that a client may call something, in every header of every answer that follows."""
    types = {"name": name, "version": name, "interface": factories.interface(), "title": name}
    answers = [
        client.post("/errors/", json={"name": name, "title": name, "description": name, "category": "DATA"}),
        client.post("/job-types/", json=types),
        client.patch(f"/workspaces/{world.raw.id}/", json={"title": name, "base_url": f"http://x/{name}"}),
        client.get("/configuration/download/"),
        client.get(f"/job-executions/{world.execution.id}/logs/"),
        client.get("/jobs/", query_string={"job_type_name": name, "order": name}),
        client.get(f"/files/{world.source.id}/"),
    ]
    for answer in answers:
        assert answer.status_code < 500, answer.text
        assert "Set-Cookie" not in answer.headers
        for header, value in answer.headers:
            assert not re.search(r"[\x00-\x1f\x7f]", header + value), (header, value)


@pytest.mark.parametrize(
    "header", ["X-Request-Id", "traceparent", "X-Forwarded-For", "Accept", "Range", "If-None-Match"]
)
@pytest.mark.parametrize(
    "value", ["x" * 8000, '"<script>alert(1)</script>"', "a=b; Set-Cookie: c=d", "%0d%0aSet-Cookie:x"]
)
def test_odd_headers_break_nothing(client: FlaskClient, world: World, header: str, value: str) -> None:
    answer = client.get(f"/files/{world.source.id}/", headers={header: value})
    assert answer.status_code < 500
    assert "Set-Cookie" not in answer.headers
    assert "<script>" not in str(answer.headers)


# ------------------------------------------------------------------------------------------------- lists and statements


@pytest.mark.parametrize(
    "query",
    [
        "order=id;drop table job", "order=job_type__password", "order=-", "page_size=1e9", "page=0",
        "started=9999-99-99", "started=10000-01-01T00:00:00Z", "ended=-P1D", "started=P99999999999D",
        "job_type_id=1 OR 1=1", "job_type_id=9223372036854775808", "status=' OR ''='",
        "job_type_id__job__name=x&order=x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/jobs/", "/jobs/executions/"])
def test_questions_that_nobody_meant(client: FlaskClient, world: World, path: str, query: str) -> None:
    answer = client.get(f"{path}?{query}", headers={"Accept": "application/problem+json"})
    assert answer.status_code in (200, 400), answer.text
    if query.startswith(("order", "page=", "page_size=1e9", "started=9999-99", "started=1", "job_type_id=1 OR")):
        assert answer.status_code == 400
    if answer.status_code == 400:
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["problems"] or answer.get_json()["detail"]
    for word in ("SELECT", "psycopg2", "sqlalchemy", "Traceback", "job_type.", "scale_core"):
        assert word not in answer.text
    assert client.get("/jobs/").status_code == 200


def test_a_statement_has_an_end(database_url: str, engine: Engine, stage: Stage) -> None:
    stage.clear()
    environ = {"SCALE_DATABASE_URL": database_url, "SCALE_API_STATEMENT_S": "0.3", "SCALE_ACCESS_CONTROL": "off"}
    app = create_app(Settings.from_environ(environ))
    app.testing = False
    client = app.test_client()
    with engine.connect() as holding:
        holding.execute(text("LOCK TABLE error IN ACCESS EXCLUSIVE MODE"))
        answer = client.get("/errors/")
        holding.rollback()
    assert (answer.status_code, "ask for less" in answer.text) == (503, True)
    assert answer.headers["Retry-After"]
    assert client.get("/errors/").status_code == 200


# ---------------------------------------------------------------------------------------------------------- documents


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
@pytest.mark.parametrize("path", ["/errors/", "/configuration/upload/", "/sign-in/"])
def test_bodies_are_not_unpacked(client: FlaskClient, path: str, coding: str) -> None:
    bomb = gzip.compress(b'{"name": "' + b"x" * (40 * 1024 * 1024) + b'"}')
    headers = {"Content-Encoding": coding, "X-File-Name": "a.json"}
    answer = client.post(path, data=bomb, content_type="application/json", headers=headers)
    assert answer.status_code in (400, 413, 415), answer.text


@pytest.mark.parametrize(
    "pattern", ["(?=a)b", "(?!a)b", "(?<=a)b", r"(a)\1", "(?>a)", "a" * 100_000, "(a{1000}){1000}", "(", "[z-a]"]
)
def test_expressions_without_an_end_are_refused(
    client: FlaskClient, world: World, tmp_path: Path, pattern: str
) -> None:
    strike = factories.strike_configuration(world.raw, f"localhost:{tmp_path}", filename_regex=pattern)
    answer = client.post("/strikes/validation/", json={"name": "s", "configuration": strike})
    assert answer.status_code == 400, answer.text
    assert "filename_regex" in answer.text


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|a)*$", "(.*)*x", "(a*)*b"])
def test_expressions_that_would_take_for_ever_do_not(pattern: str) -> None:
    """By backtracking no test would live to see the end of this."""
    wanted = {
        "filename_regex": pattern, "data_types": [], "workspace_path": "/", "workspace_name": "w",
    }  # fmt: skip
    config = strike_configuration.parse(
        {"version": "1.0", "mount": "localhost:/x", "transfer_suffix": "_tmp", "files_to_ingest": [wanted]}
    )
    for name in ("a" * 10_000 + "!", "a" * 255, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n!"):
        config.rule_for(name)


@pytest.mark.parametrize(
    "mount",
    [
        "localhost:/etc", "localhost:/", "127.0.0.1:/proc/self", "localhost:/tmp/../etc",
        "localhost:/usr/../etc/cron.d",
        "host:/a/../../", "-oexec:/x", "host:/x -o exec", "host:/x;reboot", "host:x", ":/x", "host:/a\nb",
        "file:///etc", "filer.example:/not/allowed",
    ],
)  # fmt: skip
def test_mounts_that_nobody_allowed(client: FlaskClient, world: World, mount: str) -> None:
    strike = factories.strike_configuration(world.raw, mount)
    answer = client.post("/strikes/", json={"name": "s", "configuration": strike})
    assert answer.status_code == 400, answer.text
    assert "mount" in answer.text


@pytest.mark.parametrize(
    ("broker", "field"),
    [
        ({"type": "host", "host_path": "/etc"}, "host_path"),
        ({"type": "host", "host_path": "/srv/../proc"}, "host_path"),
        ({"type": "host", "host_path": "SYSTEM"}, "host_path"),
        ({"type": "nfs", "mount": "localhost:/usr/lib"}, "mount"),
        ({"type": "nfs", "mount": "localhost:SYSTEM"}, "mount"),
        ({"type": "ftp", "host": "127.0.0.1"}, "host"),
        ({"type": "ftp", "host": "169.254.169.254"}, "host"),
        ({"type": "ftp", "host": "::1"}, "host"),
        ({"type": "s3", "bucket": "abc", "endpoint_url": "http://127.0.0.1:6379"}, "endpoint_url"),
        ({"type": "s3", "bucket": "abc", "endpoint_url": "http://[::1]"}, "endpoint_url"),
        ({"type": "s3", "bucket": "abc", "endpoint_url": "http://[fd00:ec2::254]"}, "endpoint_url"),
        ({"type": "s3", "bucket": "abc", "endpoint_url": "http://2852039166"}, "endpoint_url"),
        ({"type": "s3", "bucket": "abc", "endpoint_url": "gopher://x"}, "endpoint_url"),
    ],
)
def test_places_that_no_workspace_may_lie_at(
    client: FlaskClient, world: World, tmp_path: Path, broker: dict[str, str], field: str
) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc")
    document = {"version": "1.0", "broker": {name: v.replace("SYSTEM", str(link)) for name, v in broker.items()}}
    body = {"name": "new", "json_config": document}
    for path, method in (
        ("/workspaces/", "POST"), ("/workspaces/validation/", "POST"), (f"/workspaces/{world.raw.id}/", "PATCH"),
    ):  # fmt: skip
        answer = client.open(path, method=method, json=body)
        assert answer.status_code == 400, answer.text
        assert answer.get_json()["problems"][0]["path"] == f"json_config.broker.{field}"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)//", "data:text/html,x", "//evil.example", "http://", "/x", "\thttp://x"]
)
def test_links_to_files_are_no_scripts(client: FlaskClient, session: Session, world: World, url: str) -> None:
    body = {"name": "w", "json_config": {"version": "1.0", "broker": {"type": "host", "host_path": "/data"}}}
    for answer in (
        client.post("/workspaces/", json={**body, "base_url": url}),
        client.post("/workspaces/validation/", json={**body, "base_url": url}),
        client.patch(f"/workspaces/{world.products.id}/", json={"base_url": url}),
    ):
        assert answer.status_code == 400, answer.text
        assert answer.get_json()["problems"][0]["path"] == "base_url"
    world.products.base_url = url  # from before this was refused
    session.commit()
    shown = client.get(f"/products/{world.product.id}/").get_json()["url"]
    assert shown.startswith(("http:", "https:")), shown


# ---------------------------------------------------------------------------------------------------------- containers


def test_no_job_type_chooses_how_its_container_meets_the_host(client: FlaskClient, session: Session) -> None:
    """But for docker_privileged, which each node allows or not, what `docker run` takes is ignored, with a warning."""
    asked = {
        "docker_params": [{"flag": "privileged", "value": ""}, {"flag": "volume", "value": "/:/host"}],
        "docker_volumes": ["/var/run/docker.sock:/var/run/docker.sock"], "network_mode": "host", "pid_mode": "host",
        "ipc_mode": "host", "cap_add": ["ALL"], "devices": ["/dev/sda"], "security_opt": ["seccomp=unconfined"],
        "binds": ["/:/host"], "user": "root", "entrypoint": "/bin/sh",
    }  # fmt: skip
    body = {"name": "t", "version": "1", "interface": factories.interface(), "docker_image": "image:1", **asked}
    warned = client.post("/job-types/validation/", json=body).get_json()["warnings"]
    assert {each["details"].partition(" ")[0] for each in warned if each["id"] == "unknown-field"} == set(asked)
    answer = client.post("/job-types/", json=body)
    assert answer.status_code == 201, answer.text
    row = session.execute(text("SELECT to_jsonb(job_type)::text FROM job_type WHERE name = 't'")).scalar_one()
    for word in ("docker.sock", "/host", "seccomp", "/dev/sda", "cap_add", "network_mode"):
        assert word not in row
        assert word not in answer.text


@pytest.mark.parametrize(("image", "is_warned"), [("image:1", True), (f"image@sha256:{'a' * 64}", False)])
def test_privileges_of_an_image_that_may_move_are_warned_of(client: FlaskClient, image: str, is_warned: bool) -> None:
    body = {"name": "t", "version": "1", "interface": factories.interface(), "docker_image": image}
    warned = client.post("/job-types/validation/", json={**body, "docker_privileged": True}).get_json()["warnings"]
    assert [each["id"] for each in warned] == ["docker_privileged"] * is_warned
    assert client.post("/job-types/validation/", json=body).get_json()["warnings"] == []


# ------------------------------------------------------------------------------------------------ wider than oneself


def test_a_narrow_token_makes_no_wider_one(guarded: FlaskClient, session: Session) -> None:
    owner = make_account(session, "admin")
    narrow = bearer(make_token(session, owner, scope=["* /tokens/", "GET /jobs/"])[1])
    for scope in (["* /"], ["GET /"], ["* /jobs/"], ["GET /jobs/", "GET /nodes/"]):
        answer = guarded.post("/tokens/", json={"name": "wide", "scope": scope}, headers=narrow)
        assert answer.status_code == 400, answer.text
        assert "scope of your own token" in answer.text
    equal = guarded.post("/tokens/", json={"name": "equal"}, headers=narrow).get_json()
    assert equal["scope"] == ["* /tokens/", "GET /jobs/"]
    less = guarded.post("/tokens/", json={"name": "less", "scope": ["GET /jobs/5/"]}, headers=narrow)
    assert less.status_code == 201
    assert guarded.get("/nodes/", headers=bearer(less.get_json()["token"])).status_code == 403


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nobody_reaches_what_belongs_to_others(guarded: FlaskClient, session: Session, role: str) -> None:
    """Accounts, tokens, sessions and the audit of others, by their ids, whatever the method."""
    other = make_account(session, "admin", "boss")
    token_id, secret = make_token(session, other)
    assert guarded.patch("/scheduler/", json={"is_paused": False}, headers=bearer(secret)).status_code == 201
    headers = bearer(make_token(session, make_account(session, role, "low"))[1])
    for path in (f"/accounts/{other.id}/", f"/tokens/{token_id}/", "/accounts/", "/tokens/", "/audit/", "/audit/1/"):
        for method in ("GET", "PATCH", "PUT", "DELETE", "POST"):
            for prefix in ("", "/v3"):
                answer = guarded.open(prefix + path, method=method, json={"role": "admin"}, headers=headers)
                assert answer.status_code in (403, 405), (method, path, answer.text)
                assert "boss" not in answer.text
                assert answer.status_code != 405 or "GET" not in method
    assert guarded.get("/accounts/", headers=bearer(secret)).status_code == 200, "it still has its role and its token"
    body = {"old_password": PASSWORD, "password": "another horse battery"}
    assert guarded.post("/session/password/", json={**body, "account_id": other.id}, headers=headers).status_code == 400
    signed_in = sign_in(guarded, "low")
    changed = guarded.post(
        "/session/password/", json={**body, "account_id": other.id, "name": "boss"}, headers=signed_in
    )
    assert changed.status_code in (200, 400)
    guarded.delete_cookie("scale")
    assert sign_in(guarded, "boss"), "with the password that it had"
