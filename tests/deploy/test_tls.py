"""TLS in front, as docs/deployment.md has it: its block for nginx in a real nginx before the real API."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy.orm import Session

from scale_api import create_app
from scale_core.settings import Settings
from scale_server import ports
from tests import factories
from tests.api.guarded import PASSWORD, make_account
from tests.client.served import served
from tests.deploy.visitor import GUIDE, Visitor
from tests.patience import wait_for

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(NGINX is None or shutil.which("openssl") is None, reason="nginx is not installed")
AROUND = """\
{user}
pid {home}/pid;
error_log {home}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    {server}
}}
"""


def documented(home: Path, api: str, port: int) -> str:
    (block,) = re.findall(r"^```nginx\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    own = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/scale.pem": f"{home}/scale.pem",
        "/etc/ssl/scale.key": f"{home}/scale.key",
        "http://127.0.0.1:8000": api,
    }
    for printed, here in own.items():
        assert printed in block
        block = block.replace(printed, here)
    # nobody, who nginx would be otherwise, may not enter the directory of a test
    return AROUND.format(home=home, server=block, user="" if os.geteuid() else "user root;")


def make_certificate(home: Path) -> Path:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=scale.example",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(home / "scale.key"), "-out", str(home / "scale.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return home / "scale.pem"


@pytest.fixture
def visitor(database_url: str, sessions: Callable[[], Session], tmp_path: Path) -> Iterator[Visitor]:
    """Of an API that asks for accounts, behind the proxy."""
    settings = Settings.from_environ(
        {
            "SCALE_DATABASE_URL": database_url,
            "SCALE_HOME": str(tmp_path),
            "SCALE_TRUSTED_PROXIES": "1",
            "SCALE_ACCESS_CONTROL": "on",
        }
    )
    app, port, certificate = create_app(settings, sessions), ports.free_port(), make_certificate(tmp_path)
    assert NGINX is not None
    with served(app) as api:
        (tmp_path / "nginx.conf").write_text(documented(tmp_path, api, port))
        nginx = subprocess.Popen(
            [NGINX, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off;"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        made = Visitor(f"https://127.0.0.1:{port}", certificate)
        try:
            wait_for("nginx", lambda: nginx.poll() is not None or made.finds("/version/"))
            assert nginx.poll() is None, nginx.stderr and nginx.stderr.read()
            yield made
        finally:
            made.session.close()
            nginx.terminate()
            nginx.communicate(timeout=60)


def test_a_browser_signs_in_and_works(visitor: Visitor, session: Session) -> None:
    admin = make_account(session, "admin")
    assert visitor.session.get(f"{visitor.address}/ui/").text.startswith("<!doctype html>")
    assert visitor.session.get(f"{visitor.address}/jobs/").status_code == 401

    signed_in = visitor.session.post(
        f"{visitor.address}/sign-in/",
        json={"name": admin.name, "password": PASSWORD},
        headers={"Origin": visitor.address, "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"},
    )
    assert signed_in.status_code == 200, signed_in.text
    cookies = signed_in.headers["Set-Cookie"]
    assert "Secure" in cookies
    assert "HttpOnly" in cookies

    headers = {
        "X-CSRF-Token": signed_in.json()["csrf_token"],
        "Origin": visitor.address,
        "Content-Type": "application/json",
    }
    place = {"broker": {"type": "host", "host_path": "/data/tls"}}
    body = {"name": factories.unique("tls"), "json_config": place}
    large = json.dumps(body) + " " * 2_000_000
    made = visitor.session.post(f"{visitor.address}/workspaces/", data=large, headers=headers)
    assert made.status_code == 201, made.text[:500]
    assert made.headers["Location"].startswith(f"{visitor.address}/"), "addresses are those that a browser can reach"

    (entry,) = visitor.ask("GET", "/audit/", params={"object_type": "workspace"})["results"]
    assert entry["address"] == "127.0.0.1", "what a client says of itself is not believed"


def test_whoever_does_not_trust_the_certificate_gets_nothing(visitor: Visitor) -> None:
    visitor.session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        visitor.session.get(f"{visitor.address}/version/")
