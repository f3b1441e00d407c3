"""What people come to do with jobs, by clicks and keys."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect

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
    wait_for("another try of each", lambda: all(scale.job(job)["num_exes"] > tries for job, tries in before.items()))
    for job in before:
        scale.until(job, "FAILED")


def select_two_that_wait(page: Page, world: World, scale: Scale) -> list[int]:
    """Of a type that no node could ever hold, in the list of jobs."""
    giant = scale.get(f"job-types/{world.giant}/")
    jobs = [scale.queue(giant, input_data=[{"name": "scene", "file_id": world.source}]) for _ in range(2)]
    open_page(page, f"/jobs?job_type_id={world.giant}")
    for job in jobs:
        page.get_by_role("checkbox", name=f"Select {job}", exact=True).check()
    return jobs


def test_cancel_several_jobs_and_take_it_back(page: Page, world: World, scale: Scale) -> None:
    jobs = select_two_that_wait(page, world, scale)
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


def test_what_the_api_refuses_is_shown_in_its_words(page: Page, watched: Watched) -> None:
    watched.expects_refusal = True
    page.goto("/ui/jobs/99999999")
    expect(page.get_by_role("alert")).to_contain_text("There is no job with the id 99999999.")


def test_rows_stay_under_the_pointer_while_others_come_in(page: Page, world: World, scale: Scale) -> None:
    watched_type = shell_type(scale, "watched", "exit 0", title="Watched")
    given = [{"name": "scene", "file_id": world.source}]
    old = scale.queue(watched_type, input_data=given)
    scale.until(old, "COMPLETED")
    open_page(page, f"/jobs?job_type_id={watched_type['id']}")
    rows = page.locator("tbody tr")
    expect(rows).to_contain_text(["Completed"])
    rows.first.hover()
    expect(page.get_by_text("The rows stay in place while the pointer is on them.")).to_be_visible()
    new = scale.queue(watched_type, input_data=given)
    show = page.get_by_role("button", name="Show 1 changed job")
    expect(show).to_be_visible()
    expect(rows).to_have_count(1)
    expect(rows.first.get_by_role("link").first).to_have_text(str(old))
    show.click()
    expect(rows.first.get_by_role("link").first).to_have_text(str(new))
    expect(rows.first).to_contain_text("Completed")  # live, without a reload


def test_times_are_relative_and_the_absolute_one_is_on_hover(page: Page, world: World) -> None:
    open_page(page, "/jobs")
    changed = page.locator("tbody time").first
    expect(changed).to_have_text(re.compile(r"^(now|\d+ (s|min|h) ago)$"))
    expect(changed).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"))
    page.get_by_role("button", name="Clock:").click()
    expect(changed).to_have_attribute("title", re.compile(r" UTC$"))


def test_skeletons_stand_where_data_will(page: Page, world: World) -> None:
    late: list[Route] = []
    may_answer = False
    page.route(re.compile(r"/jobs/\?"), lambda route: route.continue_() if may_answer else late.append(route))
    page.goto("/ui/jobs")
    expect(page.locator("tbody .skeleton").first).to_be_visible()
    expect(page.get_by_role("columnheader", name="Priority")).to_be_visible()
    may_answer = True
    for route in late:
        route.continue_()
    expect(page.get_by_role("link", name=str(world.waiting), exact=True)).to_be_visible()
    expect(page.locator("main .skeleton")).to_have_count(0)


def test_give_waiting_jobs_another_priority(page: Page, world: World, scale: Scale) -> None:
    jobs = select_two_that_wait(page, world, scale)
    page.get_by_role("button", name="Priority…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Priority").fill("3")
    dialog.get_by_role("button", name="Give it").click()
    expect(page.get_by_role("status")).to_contain_text("2 jobs given the priority 3")
    waiting = {row["job_id"]: row["priority"] for row in scale.results("queue/")}
    assert [waiting[job] for job in jobs] == [3, 3]
    for job in jobs:
        scale.patch(f"jobs/{job}/", {"status": "CANCELED"})


def test_from_a_bar_of_the_overview_to_the_jobs_of_that_hour(page: Page, world: World) -> None:
    open_page(page, "/")
    page.locator(".chart .leads").last.click()
    expect(page).to_have_url(re.compile(r"/ui/jobs\?status=COMPLETED&status=FAILED&status=CANCELED&started=.+&ended="))
    expect(page.locator("tbody tr").first).to_be_visible()
