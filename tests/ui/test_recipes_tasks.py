"""What people come to do with recipes and their types."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.journeys.scale_process import Scale
from tests.ui.browser import open_page
from tests.ui.conftest import Watched
from tests.ui.world import World


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


def test_compare_two_versions_of_a_recipe_type(page: Page, world: World, scale: Scale) -> None:
    old = scale.get(f"recipe-types/{world.recipe_type}/")
    inputs, (find, _copy) = old["definition"]["input_data"], old["definition"]["jobs"]
    body = {"version": "1.0", "input_data": inputs, "jobs": [find]}
    made = scale.post("recipe-types/", {"name": old["name"], "version": "2.0", "definition": body})
    open_page(page, f"/recipe-types/{made['id']}")
    expect(page.get_by_role("group", name="Graph of version 1.0")).to_contain_text("copy")
    expect(page.get_by_role("group", name="Graph of version 2.0")).not_to_contain_text("copy")
    beside = page.get_by_role("table", name="Version 1.0 beside 2.0")
    expect(beside.locator("tr", has_text="Jobs").locator("td")).to_have_text(["Jobs", "2", "1"])
    differs = page.get_by_role("group", name="What differs between version 1.0 and version 2.0")
    expect(differs.locator("del", has_text='"name": "copy"')).to_be_visible()
