"""Markup in everything that people, files and jobs may call something: every page shows it as text and runs none of it.

A server of its own: its world is full of it.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page

from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.ui import browser as browsers
from tests.ui.browser import open_page
from tests.ui.conftest import Watched
from tests.ui.pages import addresses
from tests.ui.world import World, fail_on, last_month

MARKUP = "<img src=planted onerror=ran()>"
LONG = f'"\'>{MARKUP}<script>ran()</script><svg onload=ran()><iframe srcdoc="<script>parent.ran()</script>">{{{{7*7}}}}'
LINK = "javascript:ran()//"
WATCH = """
window.ran = () => { window.hasRun = true; };
window.violations = [];
document.addEventListener("securitypolicyviolation", event =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
FOUND = """() => ({
    ran: window.hasRun === true,
    violations: window.violations,
    made: [...document.querySelectorAll('img[src$=planted], svg[onload], iframe, [onerror], [srcdoc], object, embed')]
        .map(each => each.outerHTML.slice(0, 200)),
    links: [...document.querySelectorAll('a[href], area[href], form[action], use[href]')]
        .map(each => each.getAttribute('href') || each.getAttribute('action'))
        .filter(each => /^[\\s\\x00-\\x1f]*(javascript|data|vbscript):/i.test(each)),
})"""
CLEAN = {"ran": False, "violations": [], "made": [], "links": []}
SHOWS = """() => document.body.innerText.includes('<img src=planted')
    || [...document.querySelectorAll('input, textarea')].some(each => each.value.includes('<img src=planted'))"""
# pages that show nothing of what anybody has called something
HIDDEN = {
    "job-type-new", "files", "trigger", "workspace-new", "import-export", "scheduler", "accounts", "tokens", "password",
}  # fmt: skip


@pytest.mark.timeout(600)  # a server of its own, and every page
def test_markup_is_text_on_every_page(tmp_path: Path) -> None:
    if not browsers.chromium() and not os.environ.get("CI"):
        pytest.skip("there is no Chromium on this machine: apt install chromium")
    home = tmp_path / "home"
    try:
        with scale_process.scale(home) as scale:
            world = plant(scale)
            with browsers.browser() as running:
                page = browsers.context(running, scale.address).new_page()
                look_at_every_page(scale, page, addresses(world))
    finally:
        postgres.destroy(home)


def look_at_every_page(scale: Scale, page: Page, paths: dict[str, str]) -> None:
    watched = Watched(scale.address)
    page.on("console", watched.on_console)
    page.on("pageerror", lambda error: watched.complaints.append(f"error: {error}"))
    page.on("request", watched.on_request)
    page.on("request", lambda request: watched.complaints.append(request.url) if "/planted" in request.url else None)
    page.on("dialog", lambda dialog: on_dialog(dialog, watched))
    page.add_init_script(WATCH)
    page.set_default_timeout(60_000)
    for name, path in paths.items():
        open_page(page, path)
        if name not in HIDDEN:  # a page that shows nothing of it proves nothing; some learn of it a moment later
            page.wait_for_function(SHOWS)
        assert page.evaluate(FOUND) == CLEAN, name
        assert watched.complaints == [], name


def on_dialog(dialog: Dialog, watched: Watched) -> None:
    """An editor may ask whether to leave; a script of somebody's may not say anything."""
    if dialog.type != "beforeunload":
        watched.complaints.append(f"dialog: {dialog.message}")
    dialog.accept()


def plant(scale: Scale) -> World:
    """One of everything, with markup wherever the API takes it."""
    texts = {"title": MARKUP, "description": LONG}
    error = scale.post("errors/", {"name": f"e{MARKUP}", "category": "DATA", **texts})
    scale.patch(f"errors/{error['id']}/", {"title": MARKUP})
    workspace = make_workspace(scale)
    rule = {
        "filename_regex": ".*", "data_types": ["a"], "workspace_path": "in<b onclick=ran()>",
        "workspace_name": MARKUP,
    }  # fmt: skip
    incoming = scale.home / "incoming" / "<i onclick=ran()>"
    incoming.mkdir(parents=True)
    configuration = scale_process.strike_configuration(incoming, [rule], "_tmp")
    strike = scale.post("strike/create/", {"name": MARKUP, "configuration": configuration, **texts})["strike_id"]
    source = scale.ingest_file(incoming, f"{MARKUP}.txt", b"x")
    about = {"author_name": MARKUP, "author_url": LINK, "category": f"c{MARKUP}", **texts}
    mapping = {"version": "1.0", "exit_codes": {"3": error["name"]}}
    finder = make_type(scale, f"finds{MARKUP}", finding(), outputs=True, **about)
    checker = make_type(
        scale, f"fails{MARKUP}", says(LONG, "exit 3"), max_tries=1, error_mapping=mapping, **about,
    )  # fmt: skip
    talker = make_type(scale, f"talks{MARKUP}", says(LONG, "sleep 600"), timeout=3600, **about)
    giant = make_type(scale, f"giant{MARKUP}", "true", cpus_required=640, **about)
    given = {"input_data": [{"name": "file", "file_id": source["id"]}]}
    made = {"output_data": [{"name": "made", "workspace_id": workspace}]}
    recipe_type, recipe = make_recipe(scale, finder, source["id"], workspace)
    completed, failed = scale.queue(finder, **given, **made), tuple(scale.queue(checker, **given) for _ in range(3))
    running, waiting = scale.queue(talker, **given), scale.queue(giant, **given)
    month = last_month()
    fail_on(scale, checker, given, [month])
    scale.until(completed, "COMPLETED")
    for job in failed:
        scale.until(job, "FAILED")
    scale.until(running, "RUNNING")
    node = scale.results("nodes/")[0]["id"]
    scale.patch(f"nodes/{node}/", {"is_paused": True, "pause_reason": MARKUP})
    return World(
        incoming, workspace, source["id"], finder["id"], checker["id"], talker["id"], giant["id"], completed, failed,
        running, waiting, recipe_type, recipe, strike, node, checker["id"], giant["id"], month,
    )  # fmt: skip


def make_workspace(scale: Scale) -> int:
    root = scale.home / "workspaces" / "<u onclick=ran()>"
    root.mkdir(parents=True)
    document = {"version": "1.0", "broker": {"type": "host", "host_path": str(root)}}
    body = {"name": MARKUP, "title": MARKUP, "description": LONG, "json_config": document}
    return int(scale.post("workspaces/", body)["id"])


def make_type(scale: Scale, name: str, script: str, outputs: bool = False, **fields: Any) -> dict[str, Any]:
    return scale.make_job_type(
        name, "/bin/sh -c", f"{shlex.quote(script)} sh ${{file}}", version=MARKUP,
        inputs=[{"name": "file", "type": "file", "media_types": []}],
        outputs=[{"name": "made", "type": "file", "media_type": "text/html"}] if outputs else [],
        **fields,
    )  # fmt: skip


def says(words: str, then: str) -> str:
    coloured = f"\033[31m{words}\033[0m"
    return f"printf '%s\\n' {shlex.quote(words)}; printf '%s\\n' {shlex.quote(coloured)} >&2; {then}"


def finding() -> str:
    """A product whose name, type and metadata are markup."""
    feature = {
        "type": "Feature", "geometry": {"type": "Point", "coordinates": [11.2, 47.9]},
        "properties": {"note": LONG, MARKUP: LONG},
    }  # fmt: skip
    path = f"{MARKUP}.html"
    output = {"name": "made", "file": {"path": path, "geo_metadata": {"geo_json": feature}}}
    manifest = json.dumps({"version": "1.1", "output_data": [output]})
    write = f"printf '%s' {shlex.quote(LONG)} >{shlex.quote(path)}"
    return says(LONG, f"{write}; printf '%s' {shlex.quote(manifest)} >results_manifest.json")


def make_recipe(scale: Scale, finder: dict[str, Any], source: int, workspace: int) -> tuple[int, int]:
    definition = {
        "version": "1.0",
        "input_data": [{"name": "file", "type": "file", "media_types": []}],
        "jobs": [{
            "name": "find", "job_type": {"name": finder["name"], "version": MARKUP},
            "recipe_inputs": [{"recipe_input": "file", "job_input": "file"}],
        }],
    }  # fmt: skip
    body = {"name": MARKUP, "version": MARKUP, "title": MARKUP, "description": LONG, "definition": definition}
    recipe_type = int(scale.post("recipe-types/", body)["id"])
    data = {"version": "1.0", "input_data": [{"name": "file", "file_id": source}], "workspace_id": workspace}
    made = scale.post("queue/new-recipe/", {"recipe_type_id": recipe_type, "recipe_data": data})
    return recipe_type, int(made["id"])
