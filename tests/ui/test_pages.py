"""Every page: it opens without complaint, everybody can use it, and it fits on a small screen, by day and by night."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.ui.browser import NARROW, open_page, settle
from tests.ui.pages import NAMES, addresses
from tests.ui.world import World

VIOLATIONS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    each => `${each.id}: ${each.help}: ` + each.nodes.slice(0, 3).map(node => node.html.slice(0, 200)).join(" | "))"""
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter(each => !each.closest(".log, .command, .scrolls, .map"))
    .filter(each => each.getBoundingClientRect().right > window.innerWidth + 1)
    .slice(0, 5).map(each => each.outerHTML.slice(0, 150))"""


@pytest.mark.parametrize("name", NAMES)
def test_page(page: Page, world: World, axe: str, name: str) -> None:
    open_page(page, addresses(world)[name])
    page.evaluate(axe)
    assert page.evaluate(VIOLATIONS) == []

    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    settle(page)
    assert page.evaluate(VIOLATIONS) == []
    assert page.evaluate(TOO_WIDE) == []
