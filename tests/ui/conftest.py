"""One server with one world, and one browser, for all tests of the web UI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect

from scale_core.settings import CHECKOUT
from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.ui import browser as browsers
from tests.ui.browser import WIDE
from tests.ui.world import World, make_world

expect.set_options(timeout=20_000)  # the machine may be busy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("journey")


@pytest.fixture(scope="session")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scale]:
    if not browsers.chromium() and not os.environ.get("CI"):
        pytest.skip("there is no Chromium on this machine: apt install chromium")
    home = tmp_path_factory.mktemp("ui")
    try:
        with scale_process.scale(home) as running:
            yield running
    finally:
        postgres.destroy(home)


@pytest.fixture(scope="session")
def world(scale: Scale) -> World:
    return make_world(scale)


@pytest.fixture(scope="module")  # Playwright's event loop must not be there when other tests run theirs
def chromium(scale: Scale) -> Iterator[Browser]:
    with browsers.browser() as running:
        yield running


@dataclass
class Watched:
    """What a page did that it must not do."""

    address: str
    complaints: list[str] = field(default_factory=list)
    expects_refusal: bool = False  # the browser then logs what the API refuses

    def on_console(self, message: ConsoleMessage) -> None:
        if self.expects_refusal and "Failed to load resource" in message.text:
            return
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text} ({message.location.get('url')})")

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.complaints.append(f"request to elsewhere: {request.url}")


@pytest.fixture
def watched(scale: Scale) -> Watched:
    return Watched(scale.address)


@pytest.fixture(scope="module")
def tab(scale: Scale, chromium: Browser) -> Iterator[Page]:
    """One for all tests of a file: a tab is a process, which has to start and to compile what each page loads."""
    profile = browsers.context(chromium, scale.address, permissions=["clipboard-read", "clipboard-write"])
    yield profile.new_page()
    profile.close()


@pytest.fixture
def page(tab: Page, world: World, watched: Watched) -> Iterator[Page]:
    """The tab as if it were new. The test fails when it complains, or asks anybody but our server for anything."""
    listeners: dict[str, Callable[[Any], None]] = {
        "console": watched.on_console,
        "pageerror": lambda error: watched.complaints.append(f"error: {error}"),
        "request": watched.on_request,
    }
    for name, listener in listeners.items():
        tab.on(name, listener)
    yield tab
    for name, listener in listeners.items():
        tab.remove_listener(name, listener)
    _clean(tab)
    assert watched.complaints == []


def _clean(tab: Page) -> None:
    """Nothing of a test is left in it: what was typed, the settings of who looked, how it was to be shown."""
    tab.unroute_all(behavior="ignoreErrors")
    tab.evaluate("localStorage.clear()")
    tab.on("dialog", _leave)
    tab.goto("about:blank")
    tab.remove_listener("dialog", _leave)
    tab.set_viewport_size(WIDE)
    tab.emulate_media(color_scheme="light")


def _leave(dialog: Dialog) -> None:
    """A form asks whether its changes may be lost."""
    dialog.accept()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which script/bootstrap --dev installs."""
    return (CHECKOUT / "scale_api/ui/node_modules/axe-core/axe.min.js").read_text()
