"""Every secret that Scale is given, looked for in all that it writes, shows and starts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest

from scale_server import postgres
from tests import prepared
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for
from tests.remote_servers import HERE, ftp_server

pytestmark = pytest.mark.journey

ENVIRONMENT = {
    "SCALE_FLOWER_USER": "flora",
    "SCALE_FLOWER_PASSWORD": "needle-of-flower",
    "SCALE_MESOS_PRINCIPAL": "scale",
    "SCALE_MESOS_SECRET": "needle-of-mesos",
    "SCALE_OIDC_CLIENT_ID": "scale",
    "SCALE_OIDC_CLIENT_SECRET": "needle-of-oidc",
    "SCALE_SECRET_USER": "scale",
    "SCALE_SECRET_PASSWORD": "needle-of-ftp",
    "SCALE_SECRET_KEY_ID": "needle-of-key-id",
    "SCALE_SECRET_KEY": "needle-of-key",
    "SCALE_REMOTE_NETWORKS": HERE,
    "SCALE_LOG_LEVEL": "DEBUG",
}
PASSWORD = "needle-of-account"


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[str]:
    """A database whose address has a password in it."""
    home = tmp_path / "rows"
    prepared.give(home)
    try:
        yield postgres.start(home)
    finally:
        postgres.destroy(home)


def test_secrets_are_nowhere_but_where_they_belong(tmp_path: Path, rows: str) -> None:
    home = tmp_path / "home"
    environment = {**ENVIRONMENT, "SCALE_DATABASE_URL": rows}
    with ftp_server(tmp_path / "ftp") as ftp, scale_process.scale(home, from_nothing=True, **environment) as scale:
        ftp.stop()
        ftp.arguments[ftp.arguments.index("-P") + 1] = ENVIRONMENT["SCALE_SECRET_PASSWORD"]
        ftp.start()
        token = sign_in(scale)
        database_password = urlsplit(rows).password or ""
        assert len(database_password) > 10
        needles = [PASSWORD, database_password, token, *(v for v in environment.values() if v.startswith("needle"))]
        answers = work(scale, ftp)
        wait_for("flower", lambda: (home / "logs" / "flower.log").exists())
        answers += [text for _, text in everything(scale)]
        lines, stored = command_lines(scale), database(rows)
        found = {
            "REST": [needle for needle in needles if any(needle in answer for answer in answers)],
            "processes": [needle for needle in needles if any(needle in line for line in lines)],
            "database": [needle for needle in needles if needle in stored],
        }
        env_file = home / ".env"
        assert env_file.stat().st_mode & 0o077 == 0, "it holds secrets, and is for nobody else"
    for path in sorted(each for each in home.rglob("*") if each.is_file() and each != env_file):
        content = path.read_bytes()
        found[str(path.relative_to(home))] = [needle for needle in needles if needle.encode() in content]
    assert {place: what for place, what in found.items() if what} == {}
    assert "logs/api.log" in found


def sign_in(scale: Scale) -> str:
    """The first account, its session, and a token that is used from then on."""
    scale.post("accounts/", {"name": "ada", "password": PASSWORD, "role": "admin"})
    wait_for("access control", lambda: scale.get("session/")["access_control"]["is_on"])
    known = scale.post("sign-in/", {"name": "ada", "password": PASSWORD})
    scale.session.headers["X-CSRF-Token"] = known["csrf_token"]
    token: str = scale.post("tokens/", {"name": "laptop"})["token"]
    scale.session.headers["Authorization"] = f"Bearer {token}"
    return token


def work(scale: Scale, ftp: Any) -> list[str]:
    """Jobs that use the secrets, one that fails for a wrong one, and one that prints all it can see."""
    (ftp.root / "in").mkdir()
    for name, path in (("good", "/in"), ("bad", "/nothing/there")):
        document = {"version": "1.0", "broker": ftp.config(path=path)}
        scale.post("workspaces/", {"name": name, "json_config": document})
    bucket = {
        "type": "s3", "bucket": "scale", "endpoint_url": "http://127.0.0.1:1", "region": "eu-central-1",
        "credentials": {
            "access_key_id": {"env": "SCALE_SECRET_KEY_ID"}, "secret_access_key": {"env": "SCALE_SECRET_KEY"},
        },
    }  # fmt: skip
    scale.post("workspaces/", {"name": "bucket", "json_config": {"version": "1.0", "broker": bucket}})
    ids = {each["name"]: each["id"] for each in scale.results("workspaces/")}
    shouts = "env; tr '\\0' ' ' </proc/$PPID/cmdline; echo; echo made >made.txt; echo ARTIFACT:made:made.txt"
    made = [{"name": "made", "type": "file", "media_type": "text/plain"}]
    kind = scale.make_job_type("shouts", "/bin/sh -c", shlex.quote(shouts), outputs=made, max_tries=1)
    jobs = {
        name: scale.queue(kind, output_data=[{"name": "made", "workspace_id": ids[name]}])
        for name in ("good", "bad", "bucket")
    }
    ended = [scale.until(job, "COMPLETED", "FAILED") for job in jobs.values()]
    said = [(job["status"], [each["message"] for each in job["job_exes"]], scale.logs(job)["stderr"]) for job in ended]
    assert [status for status, *_ in said] == ["COMPLETED", "FAILED", "FAILED"], said
    assert list((ftp.root / "in").rglob("made.txt"))
    return [str(scale.logs(job)) + str(job) for job in ended]


def everything(scale: Scale) -> list[tuple[str, str]]:
    """What every operation that only looks answers."""
    found = []
    for path, item in scale.get("openapi.json")["paths"].items():
        if "get" not in item or path in ("/sign-on/", "/sign-on/callback/"):
            continue
        for number in ("1", "2", "3") if "{" in path else ("",):
            answer = scale.request("GET", re.sub(r"{\w+}", number, path).lstrip("/"))
            found.append((path, answer.text + str(answer.headers)))
    assert len(found) > 50
    return found


def command_lines(scale: Scale) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        environ = process.info["environ"] or {}
        sandbox = environ.get("MESOS_DIRECTORY", "/")
        if environ.get("SCALE_TEST_HOME") == str(scale.home) or Path(sandbox).is_relative_to(scale.home):
            found.append(" ".join(process.info["cmdline"] or ()))
    assert len(found) > 5
    return found


def database(url: str) -> str:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'spatial_ref_sys'")
        texts = []
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT string_agg(to_jsonb(t)::text, ' ') FROM \"{name}\" t")
            texts += [row[0] or "" for row in cursor.fetchall()]
    assert "shouts" in " ".join(texts)
    return " ".join(texts)
