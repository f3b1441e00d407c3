"""How long pages of the web UI take to show their data on many jobs, in a browser."""

from __future__ import annotations

import argparse
import os
import statistics
import time

from bench import api
from bench.home import fresh_home
from bench.report import PagesResult, PageTime, say
from scale_server import postgres
from tests.ui.browser import browser, context, settle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs in the database (default 200,000)")
    parser.add_argument("--times", type=int, default=5, help="how often each page is opened (default 5)")


def measure(options: argparse.Namespace) -> PagesResult:
    """Run the benchmark."""
    load = os.getloadavg()
    with fresh_home() as home:
        url = postgres.start(home)
        say(f"making {options.jobs} jobs ({home})")
        job_type = api.fill(url, options.jobs)
        with api.serve(home, url) as (port, _):
            found = open_pages(f"http://127.0.0.1:{port}", pages(options.jobs, job_type), options.times)
    return PagesResult(options.jobs, found, load=tuple(round(value, 2) for value in load))


def pages(jobs: int, job_type: int) -> dict[str, str]:
    """Those that show many jobs, or what was made of many. The ids are those that api_rows.sql makes."""
    return {
        "Overview": "/",
        "Jobs": "/jobs",
        "Jobs that failed, of a type": f"/jobs?status=FAILED&job_type_id={job_type}",
        "Job": f"/jobs/{jobs // 2}",
        "Recipes": "/recipes",
        "Queue": "/queue",
        "Load": "/load",
        "Nodes": "/nodes",
        "Ingest": "/ingests",
        "Files": "/files",
        "Files by a part of the name": "/files?file_name_part=le-9987",
        "Triggers": "/triggers",
        "Job types": "/job-types",
        "Job type": f"/job-types/{job_type}",
        "Metrics": "/metrics",
        "Scheduler": "/scheduler",
    }


def open_pages(address: str, paths: dict[str, str], times: int) -> dict[str, PageTime]:
    """From asking for the page until there are data in the place of all skeletons; the browser knows the assets."""
    found = {}
    with browser() as running:
        page = context(running, address).new_page()
        page.goto("/ui/")
        settle(page)
        for name, path in paths.items():
            took = []
            for _ in range(times):
                began = time.perf_counter()
                page.goto(f"/ui{path}")
                settle(page)
                took.append(time.perf_counter() - began)
            found[name] = PageTime(round(statistics.median(took), 3), round(max(took), 3))
    return found
