"""The documents say what is true: settings with their defaults, links, and the folder map of ARCHITECTURE.md."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from scale_api import manual
from scale_core import tracing
from scale_core.domain import environment
from scale_core.settings import CHECKOUT, Settings

PACKAGES = ("scale_core", "scale_api", "scale_worker", "scale_server")
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
SETTING = re.compile(r"^\| `(SCALE_\w+)` \| (.+?) \|", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FUNCTION = re.compile(r"`([\w./]+\.py):([\w.]+)`")
MAP_FOLDER = re.compile(r"^### `([^`]+)/`")
MAP_FILE = re.compile(r"^- `([^`]+)`")


def documented_settings() -> dict[str, str]:
    """Variable → its default, as docs/configuration.md has it."""
    return dict(SETTING.findall((CHECKOUT / "docs" / "configuration.md").read_text()))


def anchors(document: Path) -> set[str]:
    """The fragments that a document's headings have, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return set(manual.names_of(re.findall(r"^#+ (.+)$", text, re.MULTILINE)))


def _read() -> set[str]:
    """Every variable that Settings.from_environ asks for."""

    class Recording(dict[str, str]):
        asked: set[str] = set()

        def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
            self.asked.add(key)
            return default

    environ = Recording()
    Settings.from_environ(environ)
    return environ.asked


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert set(documented_settings()) == _read()


def test_documented_defaults_are_the_defaults() -> None:
    literal = {
        name: default.strip("`") for name, default in documented_settings().items() if re.fullmatch("`[^` ]+`", default)
    }

    assert {
        name for name, value in literal.items() if Settings.from_environ({name: value}) != Settings.from_environ({})
    } == set()
    assert len(literal) > len(documented_settings()) / 2


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_local_links_lead_somewhere(document: Path) -> None:
    targets = [target.partition("#")[0] for target in LINK.findall(document.read_text()) if "://" not in target]

    assert [target for target in targets if target and not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_local_links_name_headings_that_exist(document: Path) -> None:
    targets = [
        target.split("#") for target in LINK.findall(document.read_text()) if "#" in target and "://" not in target
    ]

    assert [
        f"{page}#{anchor}"
        for page, anchor in targets
        if anchor not in anchors(document.parent / page if page else document)
    ] == []


def test_folder_map_names_every_module_and_no_other() -> None:
    actual = {
        path.relative_to(CHECKOUT).as_posix()
        for package in PACKAGES
        for path in (CHECKOUT / package).rglob("*.py")
        if path.name != "__init__.py" and "node_modules" not in path.parts
    }
    source = CHECKOUT / "scale_api/ui/src"
    actual |= {path.relative_to(CHECKOUT).as_posix() for path in source.rglob("*.ts*")}
    mapped = _mapped()

    assert {name for name in mapped if not (CHECKOUT / name).exists()} == set(), "named, but not there"
    assert actual - mapped == set(), "there, but not named"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_functions_that_are_named_exist(document: Path) -> None:
    """`file.py:Class.method`; the path may be shortened from the left."""
    modules = [path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py")]
    missing = [
        f"{file}:{name}"
        for file, name in FUNCTION.findall(document.read_text())
        if not any(_defines(path, name) for path in modules if f"/{path.relative_to(CHECKOUT)}".endswith(f"/{file}"))
    ]

    assert missing == []


def _defines(path: Path, name: str) -> bool:
    scope: list[ast.stmt] = ast.parse(path.read_text()).body
    for part in name.split("."):
        found = [
            node
            for node in scope
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == part
        ]
        if not found:
            return False
        scope = found[0].body
    return True


def _mapped() -> set[str]:
    text = (CHECKOUT / "ARCHITECTURE.md").read_text().partition("\n## Folder map\n")[2]
    found: set[str] = set()
    folder = ""
    for line in text.splitlines():
        if line.startswith("## "):
            break
        if heading := MAP_FOLDER.match(line):
            folder = heading[1]
        elif entry := MAP_FILE.match(line):
            found.add(f"{folder}/{entry[1]}" if folder != "." else entry[1])
    return found


def test_the_job_environment_isdocumented_settings() -> None:
    text = (CHECKOUT / "docs" / "job-environment.md").read_text()
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert named == {*environment.variables(1, 1, "/out", "/in", "trace"), "HOME"}
    shown = json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    assert shown == environment.document(
        47, 49, None, has_files=True, trace=tracing.header("4bf92f3577b34da6a3ce929d0e0e4736", 49)
    )
