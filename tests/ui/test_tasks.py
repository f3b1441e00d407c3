"""What people come to do, done by clicks and keys."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.journeys.scale_process import Scale
from tests.patience import wait_for
from tests.ui.browser import open_page
from tests.ui.conftest import Watched
from tests.ui.world import World, shell_type


def test_find_why_a_job_waits(page: Page, world: World) -> None:
    open_page(page, "/")
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("button", name="Queued").click()
    page.get_by_role("link", name=str(world.waiting), exact=True).click()
    expect(page.locator(".standing-reason")).to_have_text(
        re.compile(r"Waiting: no node could ever hold it: needs 64 cpus, the largest node has \d+")
    )


def test_filters_are_in_the_address_and_survive_reload_and_back(page: Page, world: World) -> None:
    open_page(page, "/jobs")
    page.get_by_role("button", name="Failed").click()
    page.get_by_label("Job type").select_option(label="Checksum check 1.0")
    expect(page).to_have_url(re.compile(rf"/ui/jobs\?status=FAILED&job_type_id={world.checker}$"))
    expect(page.locator("tbody tr")).to_have_count(len(world.failed))
    page.reload()
    expect(page.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("tbody tr")).to_have_count(len(world.failed))
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?status=FAILED$"))


def test_see_why_jobs_failed_and_read_what_they_printed(page: Page, world: World) -> None:
    open_page(page, "/")
    page.get_by_role("link", name="Jobs failed").click()
    page.get_by_role("link", name=str(world.failed[1]), exact=True).click()
    expect(page.locator(".standing")).to_contain_text("Bad checksum")
    page.get_by_role("button", name="stderr").click()
    expect(page.get_by_role("log")).to_contain_text("the checksum of line 17 is wrong")


def test_requeue_the_failures_of_one_type_and_cancel_some_jobs(page: Page, world: World, scale: Scale) -> None:
    before = {job: scale.job(job)["num_exes"] for job in world.failed}
    open_page(page, f"/jobs?status=FAILED&job_type_id={world.checker}")
    page.get_by_role("button", name="Requeue all that match").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{len(world.failed)} jobs")
    dialog.get_by_role("button", name="Requeue").click()
    expect(page.get_by_role("status")).to_contain_text("Jobs are requeued")
    for job, tries in before.items():
        again = scale.until(job, "FAILED")
        assert wait_for("another try", lambda job=job, tries=tries: scale.job(job)["num_exes"] > tries), again  # type: ignore[misc]


def test_cancel_several_jobs_and_take_it_back(page: Page, world: World, scale: Scale) -> None:
    jobs = [scale.queue(scale.get(f"job-types/{world.giant}/"),
                        input_data=[{"name": "scene", "file_id": world.source}]) for _ in range(2)]  # fmt: skip
    open_page(page, f"/jobs?job_type_id={world.giant}")
    for job in jobs:
        page.get_by_role("checkbox", name=f"Select {job}", exact=True).check()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel them").click()
    expect(page.get_by_role("status")).to_contain_text("2 jobs canceled")
    for job in jobs:
        scale.until(job, "CANCELED")
    page.get_by_role("button", name="Undo").click()
    for job in jobs:
        scale.until(job, "QUEUED")
        scale.patch(f"jobs/{job}/", {"status": "CANCELED"})


def test_follow_a_running_log_search_it_and_link_to_a_line(page: Page, world: World) -> None:
    open_page(page, f"/jobs/{world.running}")
    log = page.get_by_role("log")
    expect(log.locator(".ansi-cyan").first).to_be_visible()
    last = log.locator(".log-line").last
    seen = last.inner_text()
    expect(last).not_to_have_text(seen)
    page.keyboard.press("/")
    page.keyboard.type("seam")
    page.keyboard.press("Enter")
    expect(log.locator("mark").first).to_have_text("seam")
    expect(page).to_have_url(re.compile(r"[?&]line=\d+"))
    line = re.search(r"line=(\d+)", page.url)
    assert line
    page.reload()
    expect(page.locator(".log-line.is-at > a")).to_have_text(line[1])


def test_what_the_api_refuses_is_shown_in_its_words(page: Page, watched: Watched) -> None:
    watched.expects_refusal = True
    page.goto("/ui/jobs/99999999")
    expect(page.get_by_role("alert")).to_contain_text("There is no job with the id 99999999.")


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


def test_from_the_grid_of_recipes_to_the_log_of_a_job(page: Page, world: World) -> None:
    open_page(page, "/recipes")
    row = page.locator("tbody tr", has_text="find-and-copy").first
    expect(row.get_by_role("link", name="copy: Completed")).to_be_visible()
    row.get_by_role("link", name=str(world.recipe), exact=True).click()
    page.locator(".graph a", has_text="find").first.click()
    expect(page).to_have_url(re.compile(rf"/ui/jobs/{world.completed}$"))
    expect(page.get_by_role("log")).to_contain_text("found 12 boats")
    page.get_by_role("link", name=f"Recipe {world.recipe}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Recipe {world.recipe}")


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


def test_run_a_job_by_hand(page: Page, world: World, scale: Scale, watched: Watched) -> None:
    copier = scale.results("job-types/", name="copier")[0]
    interface = {**scale.get(f"job-types/{copier['id']}/")["interface"]}
    interface["input_data"] = [*interface["input_data"], {"name": "note", "type": "property", "required": False}]
    asking = scale.post("job-types/", {"name": "asking", "version": "1.0", "title": "Asking", "interface": interface})
    open_page(page, f"/job-types/{asking['id']}")
    page.get_by_role("link", name="Run it…").click()
    run = page.get_by_role("button", name="Run it")
    expect(run).to_be_disabled()
    page.get_by_role("searchbox", name="scene").fill("harbour")
    page.get_by_role("list", name="Files for scene").get_by_role("button", name="scene_harbour.txt").click()
    page.get_by_role("button", name="Remove scene_harbour.txt").click()
    page.get_by_role("searchbox", name="scene").fill(str(world.source))
    page.get_by_role("list", name="Files for scene").get_by_role("button", name="scene_harbour.txt").click()
    page.get_by_label("note").fill("by hand")
    page.get_by_label("Workspace for what it makes").select_option("found")
    run.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Job \d+"))
    expect(page).to_have_url(re.compile(r"/ui/jobs/\d+$"))
    job = scale.until(int(page.url.rpartition("/")[2]), "COMPLETED")
    assert job["data"]["input_data"] == [
        {"name": "scene", "file_id": world.source},
        {"name": "note", "value": "by hand"},
    ]
    assert [each["file_name"] for each in job["products"]] == ["copy.txt"]


def test_run_a_recipe_with_a_file_that_it_does_not_take(
    page: Page, world: World, scale: Scale, watched: Watched
) -> None:
    watched.expects_refusal = True
    products = scale.results("products/", file_name="features.geojson")
    open_page(page, f"/recipe-types/{world.recipe_type}")
    page.get_by_role("link", name="Run it…").click()
    files = page.get_by_role("list", name="Files for scene")
    page.get_by_role("searchbox", name="scene").fill(str(products[0]["id"]))
    files.get_by_role("button", name="features.geojson").click()
    page.get_by_label("Workspace for what it makes").select_option("found")
    page.get_by_role("button", name="Run it").click()
    expect(page.locator(".field-problem")).to_contain_text("this input takes only text/plain")
    page.get_by_role("button", name="Remove features.geojson").click()
    page.get_by_role("searchbox", name="scene").fill("scene_reef.txt")
    files.get_by_role("button", name="scene_reef.txt").click()
    page.get_by_role("button", name="Run it").click()
    expect(page).to_have_url(re.compile(r"/ui/recipes/\d+$"))
    made = scale.get(f"recipes/{page.url.rpartition('/')[2]}/")
    assert [file["file_name"] for file in made["input_files"]] == ["scene_reef.txt"]
    for part in made["jobs"]:
        scale.until(part["job"]["id"], "COMPLETED")


def test_build_a_recipe_of_two_jobs(page: Page, scale: Scale) -> None:
    open_page(page, "/recipe-types/new")
    page.get_by_label("Name", exact=True).fill("built-by-hand")
    for title in ("Feature finder 1.0", "Copier 1.0"):
        page.get_by_label("Job type").select_option(label=title)
        page.get_by_role("button", name="Add it").click()
    graph = page.get_by_role("group", name="What depends on what")
    expect(graph.locator(".graph-node")).to_have_count(3)
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("built-by-hand")
    (made,) = [each for each in scale.results("recipe-types/") if each["name"] == "built-by-hand"]
    connections = made["definition"]["jobs"][1]["dependencies"]
    assert connections == [{"name": "feature-finder", "connections": [{"output": "features", "input": "scene"}]}]


def test_rebuild_a_recipe_by_clicks_and_compare_it_with_what_it_was(page: Page, scale: Scale, watched: Watched) -> None:
    watched.expects_refusal = True  # of the validation, while something is missing
    made = scale.make_recipe_type(
        "rebuilt",
        input_data=[{"name": "scene", "type": "file", "media_types": ["text/plain"]}],
        jobs=[
            {"name": "find", "job_type": {"name": "feature-finder", "version": "1.0"},
             "recipe_inputs": [{"recipe_input": "scene", "job_input": "scene"}]},
            {"name": "copy", "job_type": {"name": "copier", "version": "1.0"},
             "dependencies": [{"name": "find", "connections": [{"output": "features", "input": "scene"}]}]},
        ],
    )  # fmt: skip
    open_page(page, f"/recipe-types/{made}")
    graph = page.get_by_role("group", name="What depends on what")
    text = page.get_by_label("Graph", exact=True)

    def written() -> Any:
        return json.loads(text.input_value())

    graph.get_by_role("button", name="copy").click()
    feeds = page.get_by_label("scene is fed by")
    feeds.select_option("nothing yet")
    expect(page.locator(".field-problem", has_text="nothing feeds the required input 'scene'")).to_be_visible()
    expect(graph.locator(".is-wrong")).to_have_text(re.compile("copy"))
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    feeds.select_option("scene of the recipe")
    expect(page.get_by_text("Nothing is wrong with it.")).to_be_visible()
    assert written()["jobs"][1]["recipe_inputs"] == [{"recipe_input": "scene", "job_input": "scene"}]
    assert written()["jobs"][1]["dependencies"] == []
    page.get_by_label("Waits also for").select_option("find")
    expect(page.get_by_text("waits for find")).to_be_visible()
    assert written()["jobs"][1]["dependencies"] == [{"name": "find", "connections": []}]

    page.get_by_label("Job type").select_option(label="Copier 1.0")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="Job copier")).to_be_visible()
    page.get_by_label("scene is fed by").select_option("features of find")
    expect(graph.locator(".graph-node")).to_have_count(4)
    text.fill(text.input_value().replace('"copier",\n      "job_type"', '"deliver",\n      "job_type"'))
    expect(graph.get_by_role("button", name="deliver")).to_be_visible()  # what is typed is drawn
    graph.get_by_role("button", name="copy").click()
    page.get_by_role("button", name="Remove the job copy").click()
    expect(graph.locator(".graph-node")).to_have_count(3)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".page-title")).to_contain_text("revision 2")
    saved = scale.get(f"recipe-types/{made}/")["definition"]["jobs"]
    assert [job["name"] for job in saved] == ["find", "deliver"]
    assert saved[1]["dependencies"] == [{"name": "find", "connections": [{"output": "features", "input": "scene"}]}]

    expect(page.get_by_role("group", name="Graph of revision 1")).to_contain_text("copy")
    expect(page.get_by_role("group", name="Graph of revision 2")).to_contain_text("deliver")
    differs = page.get_by_role("group", name="What differs between revision 1 and revision 2")
    expect(differs.locator("del", has_text="copy")).to_be_visible()
    expect(differs.locator("ins", has_text="deliver")).to_be_visible()


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
    row = page.get_by_role("row").filter(has_text="scene_late.txt")
    expect(row).to_contain_text("Nothing was started")
    expect(row).to_contain_text("is archived")
    expect(row.get_by_role("link", name="Late check")).to_have_attribute("href", f"/ui/job-types/{target['id']}")
    row.get_by_role("link", name="scene_late.txt").click()
    expect(page).to_have_url(re.compile(rf"/ui/files/{file['id']}$"))
    expect(page.get_by_role("heading", name="What it triggered")).to_be_visible()
    page.get_by_role("link", name=re.compile("Event ")).click()
    expect(page.locator("main")).to_contain_text("Nothing was started")
    scale.patch(f"job-types/{target['id']}/", {"is_active": False})
