"""What people come to do with daily figures, and with definitions that go from one Scale to another."""

from __future__ import annotations

import csv
import json
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.journeys.scale_process import Scale
from tests.ui.browser import open_page
from tests.ui.conftest import Watched
from tests.ui.world import World


def test_plot_the_failures_of_a_month(page: Page, world: World) -> None:
    first = world.month
    open_page(page, "/")
    page.get_by_role("link", name="Metrics", exact=True).click()
    page.get_by_label("Period").select_option(label=f"{first:%B %Y}")
    for title in ("Coast line 1.0", "Tides 1.0"):
        page.get_by_role("combobox", name="Only of job types").select_option(label=title)
    page.get_by_role("combobox", name="Columns").select_option("failed_count")
    page.get_by_role("combobox", name="Columns").select_option("error_data_count")
    page.get_by_role("button", name="Without Completed Count").click()
    lines = ["Coast line 1.0: Failed Count", "Tides 1.0: Failed Count"]
    lines += ["Coast line 1.0: Data Error Count", "Tides 1.0: Data Error Count"]
    expect(page.locator(".u-legend .u-series .u-label").filter(has_text="1.0: ")).to_have_text(lines)
    expect(page.get_by_role("combobox", name="Columns").locator("option[value=run_time_avg]")).to_be_disabled()
    expect(page.locator(".lines canvas")).to_be_visible()
    rows = page.get_by_role("table", name="day by day").locator("tbody tr")
    expect(rows).to_have_count(4)  # from the first day with a figure to the last
    expect(rows.first.locator("td")).to_have_text([f"{first + timedelta(days=5)}", "1", "1", "1", "0"])
    page.reload()  # the address tells all
    expect(rows.last.locator("td")).to_have_text([f"{first + timedelta(days=2)}", "2", "0", "2", "0"])

    with page.expect_download() as saving:
        page.get_by_role("button", name="Save as CSV").click()
    saved = list(csv.reader(StringIO(Path(saving.value.path()).read_text())))
    assert saved[0] == ["day", *lines]
    assert [row[1] for row in saved[1:]] == ["2", "1", "0", "1"]
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save as PNG").click()
    assert Path(saving.value.path()).read_bytes().startswith(b"\x89PNG")


def test_export_change_and_import_again(
    page: Page, world: World, scale: Scale, watched: Watched, tmp_path: Path
) -> None:
    watched.expects_refusal = True  # of the validation
    kept = scale.make_job_type("brought-back", "true", title="As it was", timeout=120)
    open_page(page, "/")
    page.get_by_role("link", name="Import and export").click()
    page.get_by_role("checkbox", name="Recipe types").uncheck()
    with page.expect_download() as saving:
        page.get_by_role("link", name="Download").click()
    exported = json.loads(Path(saving.value.path()).read_text())
    assert "recipe_types" not in exported
    scale.patch(f"job-types/{kept['id']}/", {"title": "Changed by mistake", "timeout": 7})

    broken = tmp_path / "broken.json"
    (definition,) = [each for each in exported["job_types"] if each["name"] == "brought-back"]
    interface = {**definition["interface"], "command_arguments": "${nothing}"}
    new = {**definition, "name": "quite-new", "title": "Quite new"}
    broken.write_text(json.dumps({"version": "1.0", "job_types": [{**definition, "interface": interface}, new]}))
    page.get_by_label("A file that was exported").set_input_files(broken)
    report = page.get_by_role("list", name="What an import would do").get_by_role("listitem")
    expect(report.filter(has_text="brought-back")).to_contain_text("Wrong")
    expect(report.filter(has_text="brought-back")).to_contain_text(
        "interface.command_arguments ${nothing} is neither an input nor job_output_dir"
    )
    expect(report.filter(has_text="quite-new")).to_contain_text("New")
    expect(page.get_by_role("button", name="Import it")).to_be_disabled()
    expect(page.locator("main")).to_contain_text("1 problem to be mended in the file; nothing was imported.")

    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps({"version": "1.0", "errors": exported["errors"], "job_types": [definition, new]}))
    page.get_by_label("A file that was exported").set_input_files(whole)
    expect(report).to_have_count(2)  # errors are as they were
    changed = report.filter(has_text="brought-back")
    changed.get_by_text("What changes: title, timeout").click()
    expect(changed.locator("ins", has_text="As it was")).to_be_visible()
    expect(changed.locator("del", has_text="Changed by mistake")).to_be_visible()
    expect(page.get_by_text("Nothing is wrong with it.")).to_be_visible()
    page.get_by_role("button", name="Import it").click()
    expect(page.get_by_role("status").filter(has_text="whole.json is imported")).to_be_visible()

    page.get_by_role("link", name="Job types", exact=True).click()
    page.get_by_role("link", name="As it was").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("As it was")
    assert scale.get(f"job-types/{kept['id']}/")["timeout"] == 120
    assert [each["title"] for each in scale.results("job-types/", name="quite-new")] == ["Quite new"]
    expect(page).to_have_url(re.compile(rf"/ui/job-types/{kept['id']}$"))
