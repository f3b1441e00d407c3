"""What people come to do with job types."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.journeys.scale_process import Scale
from tests.ui.browser import open_page
from tests.ui.conftest import Watched
from tests.ui.world import World


def test_make_a_job_type_with_a_mistake_read_what_is_wrong_and_mend_it(
    page: Page, scale: Scale, watched: Watched
) -> None:
    watched.expects_refusal = True  # of the validation
    open_page(page, "/job-types")
    page.get_by_role("link", name="New job type").click()
    page.get_by_label("Name", exact=True).fill("by-hand")
    interface = page.get_by_label("Interface")
    interface.fill('{"version": "1.0", "command": "true", "command_arguments": "${nothing}"}')
    expect(page.locator(".field-problem, .verdict").first).to_be_visible()
    page.get_by_label("Memory in MiB").fill("much")
    expect(page.locator(".field-problem", has_text="is not a number")).to_be_visible()
    expect(page.get_by_role("button", name="Make it")).to_be_disabled()
    page.get_by_label("Memory in MiB").fill("32")
    interface.fill('{"version": "1.0", "command": "true", "command_arguments": ""}')
    expect(page.get_by_text("Nothing is wrong with it.")).to_be_visible()
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("by-hand")
    (made,) = scale.results("job-types/", name="by-hand")
    assert (made["mem_required"], made["version"]) == (32, "1.0")


def test_see_how_a_type_did_and_what_it_was_before(page: Page, world: World, scale: Scale) -> None:
    open_page(page, f"/job-types/{world.finder}")
    took = page.get_by_role("table", name="What executions took")
    for row in ("Waited in the queue", "Ran the algorithm", "Memory"):
        expect(took).to_contain_text(row)
    memory = scale.get(f"job-types/{world.finder}/performance/")["mem"]
    assert memory["p50"] > 0
    expect(page.locator(".meter", has_text="Memory")).to_contain_text(
        f"of {scale.get(f'job-types/{world.finder}/')['mem_required']:.0f} MiB"
    )
    page.get_by_label("Over").select_option("Last 30 days")
    expect(page).to_have_url(re.compile(r"over=P30D"))
    expect(took).to_be_visible()

    talker = scale.get(f"job-types/{world.talker}/")["interface"]
    made = scale.make_job_type("changed-twice", talker["command"], "one", title="Changed twice")
    for arguments in ("two", "three"):
        interface = {**made["interface"], "command_arguments": arguments}
        scale.patch(f"job-types/{made['id']}/", {"interface": interface})
    open_page(page, f"/job-types/{made['id']}")
    differs = page.get_by_role("group", name="What differs between revision 2 and revision 3")
    expect(differs.locator("del")).to_have_text(re.compile('"command_arguments": "two"'))
    expect(differs.locator("ins")).to_have_text(re.compile('"command_arguments": "three"'))
    page.get_by_label("From").select_option(re_option(page, "From", "1, made"))
    first = page.get_by_role("group", name="What differs between revision 1 and revision 3")
    expect(first.locator("del")).to_have_text(re.compile('"command_arguments": "one"'))
    page.reload()
    expect(first).to_be_visible()


def re_option(page: Page, label: str, begin: str) -> str:
    """The value of the option that begins so."""
    option = page.get_by_label(label).locator("option", has_text=re.compile(f"^{begin}"))
    value = option.get_attribute("value")
    assert value
    return value


def test_failures_of_a_type_by_error(page: Page, world: World) -> None:
    open_page(page, f"/job-types/{world.checker}")
    failed = page.get_by_role("list", name="What they failed by")
    expect(failed).to_contain_text("Bad checksum")
    expect(failed).to_contain_text("100 %")


def test_compare_two_versions_of_a_type(page: Page, scale: Scale) -> None:
    first = scale.make_job_type("sharpener", "true", "--old", title="Sharpener", timeout=60)
    second = scale.make_job_type("sharpener", "true", "--new", title="Sharpener", timeout=120, version="1.1")
    scale.make_job_type("sharpener", "true", "--new", title="Sharpener", version="2.0")
    open_page(page, f"/job-types/{second['id']}")
    beside = page.get_by_role("table", name="Version 1.0 beside 1.1")
    expect(beside.locator("tr", has_text="Timeout").locator("td")).to_have_text(["Timeout", "1 min", "2 min"])
    expect(beside.locator("tr", has_text="Timeout").locator(".differs")).to_be_visible()
    expect(beside.locator("tr", has_text="CPUs").locator(".differs")).to_have_count(0)
    expect(page.get_by_role("table", name="How both did in the last 7 days")).to_contain_text("Completed")
    differs = page.get_by_role("group", name="What differs between version 1.0 and version 1.1")
    expect(differs.locator("del")).to_have_text(re.compile('"command_arguments": "--old"'))
    expect(differs.locator("ins")).to_have_text(re.compile('"command_arguments": "--new"'))
    page.get_by_label("Beside this, 1.1").select_option("2.0")
    expect(page.get_by_role("table", name="Version 2.0 beside 1.1")).to_be_visible()
    page.reload()  # the address tells all
    page.get_by_role("link", name="Go to 2.0").click()
    expect(page.locator(".page-title")).to_contain_text("2.0")
    page.get_by_label("Beside this, 2.0").select_option("1.0")
    page.get_by_role("link", name="Go to 1.0").click()
    expect(page).to_have_url(re.compile(rf"/ui/job-types/{first['id']}$"))


def test_see_on_which_files_a_rule_would_have_fired_before_it_is_saved(
    page: Page, scale: Scale, watched: Watched
) -> None:
    watched.expects_refusal = True  # of a rule that cannot be
    inputs = [{"name": "scene", "type": "file", "media_types": ["text/plain"]}]
    made = scale.make_job_type("ruled", "true", "${scene}", title="Ruled", inputs=inputs)
    open_page(page, f"/job-types/{made['id']}/edit")
    rule = page.get_by_label("Trigger rule")
    condition = '"condition": {"media_type": "text/plain", "data_types": ["%s"]}'
    data = '"data": {"input_data_name": "scene", "workspace_name": "found"}'
    text = '{"type": "INGEST", "configuration": {"version": "1.0", ' + condition + ", " + data + "}}"
    rule.fill(text % "scene")
    page.get_by_role("button", name="On which files would it have fired?").click()
    expect(page.get_by_role("link", name="scene_harbour.txt")).to_be_visible()
    rule.fill(text % "nothing-is-called-so")
    expect(page.get_by_role("link", name="scene_harbour.txt")).to_have_count(0)  # said of another rule
    page.get_by_role("button", name="On which files would it have fired?").click()
    expect(page.get_by_text("On none of the files that there are.")).to_be_visible()
    rule.fill((text % "scene").replace('"input_data_name": "scene"', '"input_data_name": "picture"'))
    page.get_by_role("button", name="On which files would it have fired?").click()
    expect(page.get_by_role("alert")).to_contain_text("picture")
    assert scale.get(f"job-types/{made['id']}/")["trigger_rule"] is None
