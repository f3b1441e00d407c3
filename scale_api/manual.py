"""The documentation as pages below /docs/: the Markdown of this checkout, and references made of what they describe.

Pages are named as their files: docs/deployment.md is /docs/deployment/. Links among documents lead to pages; those to
code, which is not served, become plain text.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from flask import Blueprint, Response, render_template, send_from_directory
from markdown_it import MarkdownIt
from markdown_it.token import Token

from scale_api import references
from scale_core.errors import NotFound
from scale_core.settings import CHECKOUT

PICTURES = CHECKOUT / "docs" / "pictures"
DECISIONS = "decisions"
# What the navigation shows, in this order; a test holds it against what there is. Decisions are found by their number.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Begin", ("readme", "tutorial", "glossary")),
    (
        "Use",
        ("ui", "command", "strikes", "workspaces", "products", "job-environment", "job-results"),
    ),
    (
        "Run",
        (
            "deployment",
            "configuration",
            "security",
            "monitoring",
            "runbook",
            "backup",
            "executor",
            "reliability",
            "benchmarks",
        ),
    ),
    ("Reference", ("reference/rest", "reference/documents", "reference/settings")),
    ("Change", ("architecture", "contributing", "changelog", DECISIONS)),
)
MADE = {
    "reference/rest": "REST API",
    "reference/documents": "JSON documents",
    "reference/settings": "Settings",
    DECISIONS: "Decisions",
}

blueprint = Blueprint("manual", __name__)


@dataclass(frozen=True)
class Page:
    """`name` is its address below /docs/, `html` its content below the frame."""

    name: str
    title: str
    html: str


@blueprint.get("/docs/")
def index() -> str:
    return _shown(read("readme"))


@blueprint.get("/docs/<path:name>/")
def page(name: str) -> str:
    if name in MADE:
        return _shown(Page(name, MADE[name], _made(name)))
    return _shown(read(name))


@blueprint.get("/docs/pictures/<path:name>")
def picture(name: str) -> Response:
    return send_from_directory(PICTURES, name, max_age=3600)


@cache
def documents() -> dict[str, Path]:
    """The Markdown files by the names of their pages."""
    docs = CHECKOUT / "docs"
    found = {path.stem.lower(): path for path in CHECKOUT.glob("*.md")}
    return found | {path.relative_to(docs).with_suffix("").as_posix(): path for path in docs.rglob("*.md")}


@cache
def read(name: str) -> Page:
    """A document as a page. Raises NotFound."""
    path = documents().get(name)
    if path is None:
        raise NotFound(f"There is no page {name!r} in the documentation.")
    return Page(name, title_of(path), render(path))


@cache
def title_of(path: Path) -> str:
    found = re.search(r"^# (.+)$", path.read_text(), re.MULTILINE)
    return found[1].replace("`", "") if found else path.stem


def render(path: Path) -> str:
    """The HTML of a document: no style, no script, no HTML of its own; headings have the ids that links name."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(path.read_text())
    _name_headings(tokens)
    _lead_links(tokens, path)
    for token in tokens:
        if "style" in token.attrs:  # the policy allows none; how a column is aligned is told by its class
            token.attrs = {"class": str(token.attrs["style"]).replace("text-align:", "is-")}
    html = str(parser.renderer.render(tokens, parser.options, {}))
    return re.sub(r"<(pre|table)>", r'<\1 tabindex="0">', html)  # what scrolls can be reached by keys


def names_of(headings: Iterable[str]) -> list[str]:
    """The ids of a document's headings, as GitHub makes them: the second of its kind ends in -1, and so on."""
    seen: Counter[str] = Counter()
    names = []
    for heading in headings:
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return names


def _name_headings(tokens: Sequence[Token]) -> None:
    headings = [(token, inline.content) for token, inline in pairwise(tokens) if token.type == "heading_open"]
    for (token, _), name in zip(headings, names_of(content for _, content in headings), strict=True):
        token.attrs["id"] = name


def _lead_links(tokens: Sequence[Token], document: Path) -> None:
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                target = _target(str(child.attrs["href"]), document)
                child.attrs = {"href": target} if target else {"class": "is-elsewhere"}
            elif child.type == "image":
                child.attrs["src"] = _target(str(child.attrs["src"]), document)


def _target(link: str, document: Path) -> str:
    """Where a link leads to here; empty when that is not served."""
    if "://" in link or link.startswith("#"):
        return link
    file, _, anchor = link.partition("#")
    place = posixpath.normpath(posixpath.join(document.parent.relative_to(CHECKOUT).as_posix(), file))
    if place == f"docs/{DECISIONS}":
        return f"/docs/{DECISIONS}/"
    if place.startswith("docs/pictures/"):
        return f"/docs/pictures/{posixpath.basename(place)}"
    for name, path in documents().items():
        if path == CHECKOUT / place:
            return f"/docs/{name}/" + (f"#{anchor}" if anchor else "")
    return ""


def _made(name: str) -> str:
    if name == DECISIONS:
        return render_template("manual_decisions.html", decisions=_decisions())
    if name == "reference/rest":
        return render_template("manual_rest.html", found=references.operations())
    if name == "reference/documents":
        return render_template("manual_documents.html", found=references.documents())
    return render_template("manual_settings.html", found=references.settings())


def _decisions() -> list[tuple[str, str]]:
    """(name, title) of each, the oldest first."""
    return sorted((name, title_of(path)) for name, path in documents().items() if name.startswith(f"{DECISIONS}/"))


def _shown(shown: Page) -> str:
    groups = [(title, [(name, _entry(name)) for name in names]) for title, names in GROUPS]
    return render_template("manual.html", page=shown, groups=groups)


def _entry(name: str) -> str:
    return MADE.get(name) or {"readme": "What Scale is"}.get(name) or title_of(documents()[name])
