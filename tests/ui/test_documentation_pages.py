"""The documentation in a browser: from the UI's navigation, under the content security policy, by day and by night."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.ui.browser import NARROW, open_page
from tests.ui.test_pages import VIOLATIONS

TOO_WIDE = "() => document.documentElement.scrollWidth > window.innerWidth + 1"
PAGES = ("deployment", "configuration", "decisions", "reference/documents", "reference/settings")


def test_the_navigation_leads_to_the_documentation(page: Page, axe: str) -> None:
    open_page(page, "/")
    page.get_by_role("link", name="Documentation").click()
    page.wait_for_url("**/docs/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Scale")
    page.get_by_role("link", name="Runbook", exact=True).click()
    page.wait_for_url("**/docs/runbook/")
    expect(page.locator("nav [aria-current=page]")).to_have_text("Runbook")
    page.evaluate(axe)
    assert page.evaluate(VIOLATIONS) == []


def test_pages_can_be_read_by_everybody(page: Page, axe: str) -> None:
    for name in PAGES:
        page.goto(f"/docs/{name}/")
        page.evaluate(axe)
        assert page.evaluate(VIOLATIONS) == [], name
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    for name in PAGES:
        page.goto(f"/docs/{name}/")
        page.evaluate(axe)
        assert page.evaluate(VIOLATIONS) == [], name
        assert not page.evaluate(TOO_WIDE), name
