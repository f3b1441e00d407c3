"""`script/bench NAME`: measures one thing on this machine, and beside it what it would be limited by.

Prints a table and, as the last line, one JSON object.
"""

from __future__ import annotations

import argparse
import signal
import sys

from bench import api, idle, ingest, jobs, pages, recipes, report, scheduler
from bench.server import BenchFailed
from scale_core.errors import ScaleError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    jobs.add_arguments(names.add_parser("jobs", help="no-op jobs from queue to COMPLETED, beside bare spawning"))
    api.add_arguments(names.add_parser("api", help="requests over HTTP on a full database, beside the bare SQL"))
    scheduler.add_arguments(names.add_parser("scheduler", help="executions per second of a simulated cluster"))
    ingest.add_arguments(names.add_parser("ingest", help="files through a Strike, beside cp"))
    recipes.add_arguments(names.add_parser("recipes", help="recipes on a simulated cluster, and the daily figures"))
    idle.add_arguments(names.add_parser("idle", help="memory and CPU of every process while there is no work"))
    pages.add_arguments(names.add_parser("pages", help="pages of the web UI on 200,000 jobs, in a browser"))
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server is stopped in any case
    try:
        benches = {
            "jobs": jobs, "api": api, "scheduler": scheduler, "ingest": ingest, "recipes": recipes, "idle": idle,
            "pages": pages,
        }  # fmt: skip
        report.show(benches[options.name].measure(options))
    except (BenchFailed, ScaleError) as error:
        print(f"script/bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
