"""What people come to do with the scheduler and the nodes, and how they get about."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.journeys.scale_process import Scale
from tests.ui.browser import open_page
from tests.ui.world import World


def test_pause_and_resume_scheduling(page: Page, scale: Scale) -> None:
    open_page(page, "/")
    page.get_by_role("button", name="Pause scheduling").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause scheduling").click()
    expect(page.locator(".notice")).to_contain_text("Scheduling is paused")
    assert scale.get("scheduler/") == {"is_paused": True}
    page.get_by_role("button", name="Resume scheduling").click()
    expect(page.get_by_role("button", name="Pause scheduling")).to_be_visible()
    assert scale.get("scheduler/") == {"is_paused": False}


def test_pause_a_node_with_a_reason_and_resume_it(page: Page, world: World, scale: Scale) -> None:
    open_page(page, "/nodes")
    page.get_by_role("button", name="Pause…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("a new disk")
    dialog.get_by_role("button", name="Pause it").click()
    expect(page.locator("tbody")).to_contain_text("a new disk")
    node = scale.get(f"nodes/{world.node}/")
    assert (node["is_paused"], node["pause_reason"]) == (True, "a new disk")
    page.get_by_role("link", name=node["hostname"]).first.click()
    expect(page.locator(".standing")).to_have_text("Paused: a new disk")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause…")).to_be_visible()
    assert not scale.get(f"nodes/{world.node}/")["is_paused"]


def test_pause_a_type_from_the_queue_and_take_it_back(page: Page, world: World, scale: Scale) -> None:
    open_page(page, "/queue")
    expect(page.locator(".reasons")).to_contain_text("needs 64 cpus")
    page.get_by_role("button", name="Pause Mosaic 1.0").click()
    expect(page.locator(".reasons")).to_have_text(re.compile("its job type is paused"))
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Pause Mosaic 1.0")).to_be_visible()
    assert not scale.get(f"job-types/{world.giant}/")["is_paused"]


def test_see_in_the_audit_what_was_changed(page: Page, world: World, scale: Scale) -> None:
    job_type = scale.make_job_type("audited", "true")["id"]
    scale.patch(f"job-types/{job_type}/", {"title": "Watched closely", "timeout": 77})
    open_page(page, "/audit")
    page.get_by_label("Of a").select_option("Job type")
    page.get_by_label("Named").fill("audited")
    expect(page).to_have_url(re.compile(r"object_type=job_type&object_name=audited"))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first.locator(".changes")).to_contain_text("Watched closely")
    page.get_by_role("button", name="PATCH /job-types/{job_type_id}/").click()
    expect(rows).to_have_count(1)
    rows.first.get_by_role("button", name="Show…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("ins", has_text='"timeout": 77')).to_be_visible()
    expect(dialog.locator("del", has_text='"timeout"')).to_be_visible()
    dialog.get_by_role("link", name=f"Job type {job_type}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Watched closely")


def test_go_anywhere_by_keys(page: Page, world: World) -> None:
    open_page(page, "/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("To Jobs")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Page, number, name")).to_be_focused()
    page.keyboard.type(f"job {world.completed}")
    expect(page.get_by_role("listbox", name="Found").get_by_role("option", selected=True)).to_contain_text(
        f"Job {world.completed}"
    )
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/ui/jobs/{world.completed}$"))


def test_dark_mode_is_remembered(page: Page) -> None:
    open_page(page, "/")
    button = page.get_by_role("button", name="Colours")
    while "Dark" not in button.inner_text():
        button.click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
