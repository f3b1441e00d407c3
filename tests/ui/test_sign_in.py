"""Signing in where Scale asks for it. A server of its own: access control, once on, stays on."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from scale_server import postgres
from tests.journeys import scale_process
from tests.patience import wait_for
from tests.ui import browser as browsers

PASSWORD = "Correct-horse-7-battery"


def test_sign_in_change_something_and_sign_out(tmp_path: Path) -> None:
    if not browsers.chromium() and not os.environ.get("CI"):
        pytest.skip("there is no Chromium on this machine: apt install chromium")
    home = tmp_path / "home"
    try:
        with scale_process.scale(home) as scale:
            scale.post("accounts/", {"name": "ada", "password": PASSWORD, "role": "admin"})
            wait_for("access control", lambda: scale.get("session/")["access_control"]["is_on"])
            with browsers.browser() as running:
                work_as_ada(browsers.context(running, scale.address).new_page())
    finally:
        postgres.destroy(home)


def work_as_ada(page: Page) -> None:
    page.goto("/ui/scheduler")
    sign_in = page.get_by_role("heading", name="Sign in")
    expect(sign_in).to_be_visible()
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("guessed")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".account")).to_contain_text(re.compile(r"ada \(admin\)"))
    page.get_by_role("button", name="Pause scheduling").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause scheduling").click()
    page.get_by_role("button", name="Resume scheduling").click()
    expect(page.get_by_role("button", name="Pause scheduling")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(sign_in).to_be_visible()
