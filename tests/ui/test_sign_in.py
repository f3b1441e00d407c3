"""Signing in where Scale asks for it. A server of its own: access control, once on, stays on."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from scale_server import postgres
from tests.journeys import scale_process
from tests.patience import wait_for
from tests.ui import browser as browsers

PASSWORD = "Correct-horse-7-battery"
OTHER_PASSWORD = "Another-staple-8-lamp"


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
                page = browsers.context(running, scale.address).new_page()
                secret = let_bob_in(page)
                bob = requests.get(
                    f"{scale.address}session/", headers={"Authorization": f"Bearer {secret}"}, timeout=60
                )
                assert bob.json()["account"]["name"] == "bob"
                disable_his_token(page)
                gone = requests.get(f"{scale.address}jobs/", headers={"Authorization": f"Bearer {secret}"}, timeout=60)
                assert gone.status_code == 401
                look_as_bob(page)
                change_my_password(browsers.context(running, scale.address).new_page(), page)
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


def sign_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".account")).to_contain_text(name)


def let_bob_in(page: Page) -> str:
    """An account with too short a password at first, and a token of it, which is returned."""
    page.goto("/ui/accounts")
    sign_in(page, "ada", PASSWORD)
    page.get_by_role("button", name="New account…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("bob")
    dialog.get_by_label("Role").select_option("viewer")
    dialog.get_by_label("Password").fill("short")
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("12")
    dialog.get_by_label("Password").fill(OTHER_PASSWORD)
    dialog.get_by_role("button", name="Make it").click()
    row = page.locator("tbody tr", has_text="bob")
    expect(row).to_contain_text("viewer")

    page.get_by_role("link", name="Tokens").first.click()
    page.get_by_role("button", name="New token…").click()
    dialog.get_by_label("Name").fill("feed")
    dialog.get_by_label("Account").select_option("bob, viewer")
    dialog.get_by_label("Narrowed to").fill("GET /session/\nGET /jobs/")
    dialog.get_by_role("button", name="Make it").click()
    shown = page.get_by_role("dialog", name="The token feed")
    secret = shown.locator("code").inner_text()
    assert secret.startswith("scale_")
    shown.get_by_role("button", name="I have it").click()
    expect(page.locator("tbody tr", has_text="feed")).to_contain_text("GET /jobs/")
    assert secret not in page.content()
    return secret


def disable_his_token(page: Page) -> None:
    page.get_by_role("button", name="Revoke…").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke it").click()
    expect(page.locator(".status", has_text="Revoked")).to_be_visible()
    page.get_by_role("link", name="Audit", exact=True).click()
    page.get_by_label("Of a").select_option("Token")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_contain_text("DELETE /tokens/{token_id}/")
    expect(page.locator("tbody tr").first).to_contain_text("ada")
    page.get_by_role("button", name="Sign out").click()


def look_as_bob(page: Page) -> None:
    """A viewer is led to nothing that only others may do; then the account is disabled."""
    page.goto("/ui/job-types")
    sign_in(page, "bob", OTHER_PASSWORD)
    menu = page.get_by_role("navigation", name="Pages of Scale")
    expect(menu.get_by_role("link", name="Metrics")).to_be_visible()
    for name in ("Accounts", "Tokens", "Audit"):
        expect(menu.get_by_role("link", name=name, exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="New job type")).to_have_count(0)
    page.goto("/ui/accounts")
    expect(page.get_by_text("This page is for the role admin and above.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/ui/accounts")
    sign_in(page, "ada", PASSWORD)
    page.get_by_role("button", name="Edit… bob").click()
    page.get_by_label("State").last.select_option("Disabled")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("tbody tr", has_text="bob")).to_contain_text("Disabled")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Name").fill("bob")
    page.get_by_label("Password").fill(OTHER_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")


def change_my_password(here: Page, elsewhere: Page) -> None:
    """Ada changes hers; where else she was signed in she no longer is."""
    elsewhere.goto("/ui/jobs")
    sign_in(elsewhere, "ada", PASSWORD)
    here.goto("/ui/")
    sign_in(here, "ada", PASSWORD)
    here.get_by_role("link", name="My password").click()
    here.get_by_label("Present password").fill(PASSWORD + "x")
    here.get_by_label("New password").fill(OTHER_PASSWORD)
    here.get_by_label("The new one again").fill(OTHER_PASSWORD + "x")
    expect(here.get_by_text("This is not the same.")).to_be_visible()
    expect(here.get_by_role("button", name="Change it")).to_be_disabled()
    here.get_by_label("The new one again").fill(OTHER_PASSWORD)
    here.get_by_role("button", name="Change it").click()
    expect(here.get_by_role("alert")).to_contain_text("old_password is wrong")
    here.get_by_label("Present password").fill(PASSWORD)
    here.get_by_role("button", name="Change it").click()
    expect(here.get_by_role("status")).to_contain_text("Your password is changed")
    expect(here.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()
    elsewhere.get_by_label("Name").fill("ada")
    elsewhere.get_by_label("Password").fill(PASSWORD)
    elsewhere.get_by_role("button", name="Sign in").click()
    expect(elsewhere.get_by_role("alert")).to_contain_text("wrong")
    elsewhere.get_by_label("Password").fill(OTHER_PASSWORD)
    elsewhere.get_by_role("button", name="Sign in").click()
    expect(elsewhere.locator(".account")).to_contain_text("ada")
