"""How long pages take to show their data on many jobs, in a browser: python -m tests.ui.speed."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench import api
from scale_server import postgres
from tests.ui.browser import browser, context, settle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.ui.speed")
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs in the database (default 200,000)")
    parser.add_argument("--times", type=int, default=5, help="how often each page is opened (default 5)")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="scale-speed-"))
    try:
        url = postgres.start(home)
        job_type = api.fill(url, given.jobs)
        with api.serve(home, url) as (port, _):
            measure(f"http://127.0.0.1:{port}", pages(given.jobs, job_type), given.times)
    finally:
        postgres.destroy(home)
        shutil.rmtree(home, ignore_errors=True)


def pages(jobs: int, job_type: int) -> dict[str, str]:
    """Those that show many jobs, or what was made of many. The ids are those that bench/api_rows.sql makes."""
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


def measure(address: str, paths: dict[str, str], times: int) -> None:
    """From asking for the page until there are data in the place of all skeletons; the browser knows the assets."""
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
            print(f"{name:30} median {statistics.median(took):.2f} s, most {max(took):.2f} s", flush=True)


if __name__ == "__main__":
    main()
