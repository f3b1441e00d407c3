"""Debian's Chromium, driven by Playwright, which brings none of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",  # as where they lie above the content; in pictures they would be an empty strip
]
WIDE, NARROW = ViewportSize(width=1360, height=900), ViewportSize(width=360, height=740)


def chromium() -> str | None:
    """Where the browser is, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        try:
            yield running
        finally:
            running.close()


def context(running: Browser, address: str, **options: Any) -> BrowserContext:
    """A fresh profile; `address` is that of the server, without /ui."""
    given = {"viewport": WIDE, "reduced_motion": "reduce", "locale": "en-GB", "timezone_id": "UTC", **options}
    made = running.new_context(base_url=address.rstrip("/"), **given)
    made.set_default_timeout(20_000)
    return made


def open_page(page: Page, path: str) -> None:
    """Go to /ui`path` and wait until there are data in the place of skeletons."""
    page.goto(f"/ui{path}")
    settle(page)


def settle(page: Page) -> None:
    page.locator("main h1").wait_for()
    page.wait_for_function("() => !document.querySelector('main .skeleton') && document.title.endsWith('Scale')")
