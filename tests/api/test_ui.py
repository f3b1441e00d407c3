"""The web UI as it is served: deep links, caching, and nothing from elsewhere."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from scale_api import ui

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
built = pytest.mark.skipif(not (ui.DIST / "index.html").is_file(), reason="script/bootstrap has not built the web UI")


def test_the_landing_leads_browsers_to_it_and_tells_programs_where_it_is(client: FlaskClient) -> None:
    for prefix in ("", "/v3"):
        response = client.get(f"{prefix}/", headers=HTML)
        assert (response.status_code, response.headers["Location"]) == (302, "/ui/")
    assert client.get("/").get_json()["ui"] == "http://localhost/ui/"


@built
@pytest.mark.parametrize("path", ["/ui/", "/ui/jobs", "/ui/jobs/7", "/ui/no/such/page"])
def test_every_address_below_is_the_document(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers=HTML)
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert response.headers["Cache-Control"] == "no-cache"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    again = client.get(path, headers={**HTML, "If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304


@built
def test_what_the_document_loads_is_here_and_never_changes(client: FlaskClient) -> None:
    names = re.findall(r'(?:src|href)="([^"]+)"', client.get("/ui/").text)
    assert names
    for name in names:
        assert name.startswith("/ui/assets/")
        response = client.get(name)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/ui/assets/gone-12345678.js").status_code == 404
    assert client.get("/ui/assets/../../__init__.py").status_code == 404


@built
def test_the_prefix_of_the_api_leads_to_the_same(client: FlaskClient) -> None:
    response = client.get("/v3/ui/jobs/7")
    assert (response.status_code, response.headers["Location"]) == (302, "/ui/jobs/7")


def test_before_it_is_built_it_says_how(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(ui, "DIST", tmp_path)
    response = client.get("/ui/jobs")
    assert response.status_code == 503
    assert "script/bootstrap" in response.text
