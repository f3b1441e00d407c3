"""The documentation as pages: complete, linked, without anything that the content security policy forbids."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from scale_api import manual, operations, references
from scale_core.settings import CHECKOUT, Settings
from tests.test_documentation import documented_settings

NAVIGATED = [name for _, names in manual.GROUPS for name in names]
PAGES = sorted({*manual.documents(), *manual.MADE})


class Found(HTMLParser):
    """The links, ids, pictures and unwelcome attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.forbidden: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "style" or name.startswith("on") or (value or "").startswith("javascript:"):
                self.forbidden.append(f"<{tag} {name}>")
        if tag in ("script", "style", "iframe"):
            self.forbidden.append(f"<{tag}>")


def shown(client: FlaskClient, name: str) -> Found:
    answer = client.get(f"/docs/{name}/")
    assert answer.status_code == 200, name
    assert answer.mimetype == "text/html"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    return Found(answer.text)


def test_the_navigation_leads_to_every_page_once() -> None:
    decisions = {name for name in manual.documents() if name.startswith("decisions/")}
    assert len(NAVIGATED) == len(set(NAVIGATED))
    assert set(NAVIGATED) == set(PAGES) - decisions
    assert len(decisions) > 10


def test_pages_are_well_and_their_links_lead_somewhere(client: FlaskClient) -> None:
    pages = {f"/docs/{name}/": shown(client, name) for name in PAGES}
    pages["/docs/"] = pages["/docs/readme/"]
    links: set[tuple[str, str, str]] = set()
    for address, page in pages.items():
        assert page.forbidden == [], address
        for link in page.links:
            if "://" not in link:
                target, _, anchor = link.partition("#")
                links.add((address, target or address, anchor))
    assert {target for _, target, _ in links if not target.startswith("/")} == set()
    for other in {target for _, target, _ in links} - set(pages):
        assert client.get(other).status_code in (200, 302, 503), other  # 503: the web UI is not built
    assert {link for link in links if link[2] and link[2] not in pages[link[1]].ids} == set()
    assert sum(1 for link in links if link[2]) > 10


@pytest.mark.parametrize("name", PAGES)
def test_headings_of_a_page_have_names_of_their_own(client: FlaskClient, name: str) -> None:
    ids = shown(client, name).ids
    assert len(ids) == len(set(ids))


def test_a_page_that_is_not_there(client: FlaskClient) -> None:
    for name in ("nothing", "../README", "decisions/../../README", "reference/nothing"):
        assert client.get(f"/docs/{name}/").status_code == 404
    assert client.get("/docs/pictures/../configuration.md").status_code == 404


def test_documents_may_hold_no_html_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manual, "CHECKOUT", tmp_path)
    path = tmp_path / "x.md"
    path.write_text("# A `b`\n\n<script>alert(1)</script> [x](javascript:alert(1)) [y](code.py)\n\n|a|\n|-:|\n|1|\n")
    html = manual.render(path)
    assert "<script" not in html
    assert "javascript:" not in Found(html).links
    assert Found(html).forbidden == []
    assert 'id="a-b"' in html
    assert '<td class="is-right">' in html


def test_the_first_page_is_what_the_landing_names(client: FlaskClient) -> None:
    assert client.get("/").json["docs"].endswith("/docs/")
    assert "Two commands" in client.get("/docs/").text


def test_every_schema_of_the_documents_is_in_the_reference(client: FlaskClient) -> None:
    """A module of documents that checks something with a schema of its own is shown."""
    modules = {
        path.stem
        for path in (CHECKOUT / "scale_core" / "documents").glob("*.py")
        if re.search(r"^class \w+\(.*Schema\)|^class \w+Schema\(", path.read_text(), re.MULTILINE)
    }
    assert {module.__name__.rpartition(".")[2] for _, module, _ in references.DOCUMENTS} == modules
    text = client.get("/docs/reference/documents/").text
    for path in ("files_to_ingest[].filename_regex", "jobs[].dependencies[].connections[].output", "broker.bucket"):
        assert f"<code>{path}</code>" in text
    rows = {row.path: row for document in references.documents() for row in document.rows}
    assert rows["input_data[].type"].is_required
    assert rows["files_to_ingest[].duplicates"].rule == "must be one of set_aside, discard, keep, replace"
    assert rows["output_data[].file.geo_metadata.geo_json"].rule == "may be null"
    assert rows["output_data[].workspace_id"].rule.startswith("at least 1 and at most")
    assert rows["broker.port"].rule == "for the type ftp; must be a TCP port"
    assert {row.kind for row in rows.values()} <= {
        *references.KINDS.values(),
        *("list of text", "list of object", "list of whole number"),
    }


def test_every_setting_is_in_the_reference() -> None:
    assert {variable.name for variable in references.settings()} == set(documented_settings())
    defaults = {variable.name: variable.default for variable in references.settings()}
    assert defaults["SCALE_SWEEP_S"] == f"{Settings.from_environ({}).sweep_s:g}"
    assert all(variable.meaning for variable in references.settings())


def test_every_operation_is_in_the_reference(client: FlaskClient) -> None:
    text = client.get("/docs/reference/rest/").text
    documented = {
        f"{method.upper()} {path}"
        for path, item in client.get("/openapi.json").json["paths"].items()
        for method in item
        if method in references.METHODS
    }
    shown_there = set(re.findall(r"<h3><code>(\w+ [^<]+)</code></h3>", text))
    assert shown_there == documented
    assert len(documented & set(operations.NEEDED)) == len(documented)
    assert "<code>job_type_id</code>" in text
