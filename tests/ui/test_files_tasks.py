"""What people come to do with files, Strikes, triggers and workspaces."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.journeys.scale_process import Scale
from tests.ui.browser import open_page
from tests.ui.conftest import Watched
from tests.ui.world import World, shell_type


def test_make_a_strike_with_a_mistake_mend_it_and_see_a_file_come_in(
    page: Page, scale: Scale, watched: Watched
) -> None:
    watched.expects_refusal = True  # of the validation
    directory = scale.home / "incoming" / "by-hand"
    directory.mkdir()
    open_page(page, "/strikes")
    page.get_by_role("link", name="New Strike").click()
    page.get_by_label("Name", exact=True).fill("by-hand")
    page.get_by_label("Directory").fill(f"localhost:{directory}-typo")
    page.get_by_label("Names that begin as").fill(r"scene_\d+[.]txt$")
    page.get_by_label("Workspace").select_option("scenes")
    page.get_by_label("Path in it").fill("by-hand")
    expect(page.locator(".field-problem")).to_contain_text("does not exist on this machine")
    expect(page.get_by_role("button", name="Start watching")).to_be_disabled()
    page.get_by_label("Directory").fill(f"localhost:{directory}")
    expect(page.get_by_text("Nothing is wrong with it.")).to_be_visible()
    page.get_by_label("Names, one a line").fill("scene_12.txt\nscene_xii.txt")
    trial = page.get_by_role("list", name="What becomes of these names")
    expect(trial).to_contain_text("rule 1: scenes/by-hand")
    expect(trial).to_contain_text("no rule: deferred")
    page.get_by_role("button", name="Start watching").click()
    expect(page.locator(".status", has_text="Watching")).to_be_visible()
    scale.ingest_file(directory, "scene_12.txt", b"by hand\n")
    page.get_by_role("link", name="Files taken in").click()
    expect(page.get_by_role("link", name="scene_12.txt")).to_be_visible()


def test_trace_a_product_to_its_source_and_back(page: Page, world: World, scale: Scale) -> None:
    jobs = {part["job_name"]: part["job"]["id"] for part in scale.get(f"recipes/{world.recipe}/")["jobs"]}
    (product,) = scale.job(jobs["copy"])["products"]
    open_page(page, "/files")
    expect(page.locator(".footprint").first).to_be_visible()
    page.locator(f'tbody a[href="/ui/files/{product["id"]}"]').click()
    page.get_by_role("link", name="scene_harbour.txt").click()
    expect(page).to_have_url(re.compile(rf"/ui/files/{world.source}$"))
    page.get_by_role("link", name="copy.txt").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("copy.txt")


def test_make_a_workspace_with_credentials_by_reference_and_edit_it(page: Page, scale: Scale, watched: Watched) -> None:
    watched.expects_refusal = True  # of the validation
    open_page(page, "/workspaces")
    page.get_by_role("link", name="New workspace").click()
    page.get_by_label("Name", exact=True).fill("archive")
    page.get_by_label("Directory").fill("/etc")
    expect(page.locator(".field-problem")).to_contain_text("/etc")
    expect(page.get_by_role("button", name="Make it")).to_be_disabled()
    page.get_by_label("Kind").select_option("Bucket (S3)")
    page.get_by_label("Bucket", exact=True).fill("archive")
    page.get_by_label("Path in it").fill("raw")
    page.get_by_label("Access key id is in").select_option("a variable")
    page.get_by_label("Access key id: variable").fill("AKIA-the-key-itself")
    page.get_by_label("Secret access key is in").select_option("a file")
    page.get_by_label("Secret access key: file").fill("/run/secrets/archive-key")
    expect(page.locator(".field-problem")).to_contain_text("env must name a variable that begins with SCALE_SECRET_")
    page.get_by_label("Access key id: variable").fill("SCALE_SECRET_ARCHIVE_ID")
    expect(page.get_by_text("Nothing is wrong with it.")).to_be_visible()
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("archive")
    (made,) = scale.results("workspaces/", name="archive")
    assert scale.get(f"workspaces/{made['id']}/")["json_config"]["broker"] == {
        "type": "s3",
        "bucket": "archive",
        "prefix": "raw",
        "credentials": {
            "access_key_id": {"env": "SCALE_SECRET_ARCHIVE_ID"},
            "secret_access_key": {"file": "/run/secrets/archive-key"},
        },
    }
    page.get_by_label("Title").fill("The archive")
    page.get_by_label("State").select_option("archived: takes no new files")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The archive")
    expect(page.locator(".status", has_text="Archived")).to_be_visible()
    saved = scale.get(f"workspaces/{made['id']}/")
    assert (saved["is_active"], saved["json_config"]["broker"]["bucket"]) == (False, "archive")


def test_see_which_rules_a_file_met_and_why_one_started_nothing(page: Page, world: World, scale: Scale) -> None:
    store, _ = scale.make_workspace("rarely")
    rule = {
        "type": "INGEST",
        "configuration": {
            "version": "1.0",
            "condition": {"media_type": "text/plain", "data_types": ["scene"]},
            "data": {"input_data_name": "scene", "workspace_name": "rarely"},
        },
    }
    target = shell_type(scale, "late-check", "true", title="Late check", outputs="copy", trigger_rule=rule)
    scale.patch(f"workspaces/{store}/", {"is_active": False})
    file = scale.ingest_file(world.incoming, "scene_late.txt", b"late\n")
    open_page(page, "/")
    page.get_by_role("link", name="Triggers", exact=True).click()
    page.get_by_label("Outcome").select_option(label="Could start nothing")
    row = page.get_by_role("row").filter(has_text="scene_late.txt was ingested")
    expect(row).to_contain_text("Nothing was started")
    expect(row).to_contain_text("is archived")
    expect(row.get_by_role("link", name="Late check")).to_have_attribute("href", f"/ui/job-types/{target['id']}")
    row.get_by_role("link", name="scene_late.txt").click()
    expect(page).to_have_url(re.compile(rf"/ui/files/{file['id']}$"))
    expect(page.get_by_role("heading", name="What it triggered")).to_be_visible()
    page.get_by_role("link", name=re.compile("Event ")).click()
    expect(page.locator("main")).to_contain_text("Nothing was started")
    scale.patch(f"job-types/{target['id']}/", {"is_active": False})


def test_find_a_file_by_a_part_of_its_name(page: Page, world: World) -> None:
    open_page(page, "/files?kind=sources")
    page.keyboard.press("/")
    page.keyboard.type("HA")
    expect(page.locator(".filter", has_text="Name: 3 letters or more")).to_be_visible()
    page.keyboard.type("RBO")
    expect(page).to_have_url(re.compile(r"\?kind=sources&file_name_part=HARBO$"))
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("scene_harbour.txt")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("link", name="Ingest", exact=True).click()
    page.get_by_label("Name of the file").fill("s_doc")  # no wildcard
    expect(page.get_by_text("No file matches these filters.")).to_be_visible()
    page.get_by_label("Name of the file").fill("tes.do")
    found = page.get_by_role("table", name="Files as they came in").locator("tbody tr")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("notes.doc")


def test_look_at_footprints_as_they_were_recorded(page: Page, world: World) -> None:
    open_page(page, "/files")
    footprints = page.locator(".footprint")
    expect(footprints).to_have_count(3)
    expect(page.locator(".panel-aside", has_text="3 footprints of this page")).to_be_visible()
    slider = page.get_by_role("slider", name="Recorded until")
    slider.press("Home")
    expect(footprints).to_have_count(1)
    expect(page.locator(".slider")).to_contain_text("2026-01-02 03:04:05")
    slider.fill("60")
    expect(footprints).to_have_count(2)
    slider.press("End")
    expect(footprints).to_have_count(3)
    page.get_by_role("button", name="Whole world").click()
    footprints.first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("features.geojson")
    expect(page.get_by_role("heading", name="What it was made from")).to_be_visible()
