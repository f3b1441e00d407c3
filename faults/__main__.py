"""`script/faults --count N --seed S`: breaks a private Scale under load, N times, and checks what it promises.

Prints a table by kind of fault and, as the last line, one JSON object. Exit status 1: a promise was broken; logs and
events around it are kept.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from faults import campaign
from faults.acts import ACTS, possible
from faults.schedule import plan
from faults.system import FaultsFailed, System
from faults.visitor import Visitor
from scale_core.errors import ScaleError
from scale_core.settings import CHECKOUT


def main(arguments: list[str] | None = None, make: Callable[[], System] = System) -> int:
    parser = argparse.ArgumentParser(prog="script/faults", description=__doc__)
    parser.add_argument("--count", type=int, default=len(ACTS), help="faults")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="the same seed, the same faults")
    parser.add_argument("--minutes", type=float, default=0, help="no new fault after that long")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds after a fault until all must be well")
    parser.add_argument("--only", nargs="+", choices=sorted(ACTS), default=possible(), help="kinds of faults")
    parser.add_argument("--no-browser", action="store_true", help="nobody has the web UI open meanwhile")
    parser.add_argument("--keep", type=Path, help="where logs and events go (default: var/faults/SEED)")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server is stopped in any case
    print(f"script/faults: {options.count} faults, seed {options.seed}", flush=True)
    keep = options.keep or CHECKOUT / "var" / "faults" / str(options.seed)
    browser = Visitor.is_possible() and not options.no_browser
    faults = plan(options.count, options.seed, options.only)
    try:
        result = campaign.run(faults, options.seed, options.patience, keep, _say, options.minutes, make, browser)
    except (FaultsFailed, ScaleError) as error:
        print(f"script/faults: seed {options.seed}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    show(result)
    return 1 if result.violations else 0


def _say(line: str) -> None:
    print(line, flush=True)


def show(result: campaign.Result) -> None:
    table = Table(title=f"{result.faults} faults, seed {result.seed}; recovery in seconds")
    for name in ("fault", "count", "median", "longest", "lost", "doubled", "stuck", "other"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    summary = {}
    for kind in sorted(result.recovery_s):
        count, median, longest, broken = result.row(kind)
        named = [broken.pop(rule, 0) for rule in ("lost", "doubled", "stuck")]
        cells = [count, f"{median:.1f}", f"{longest:.1f}", *named, broken.total()]
        table.add_row(kind, *map(str, cells))
        summary[kind] = {"count": count, "median_s": round(median, 2), "longest_s": round(longest, 2)}
    Console(width=120).print(table)
    for kind, violation in result.violations:
        print(f"after {kind}: {violation.rule}: {violation.subject} {violation.message}")
    if result.kept:
        print(f"logs and events: {result.kept}")
    totals = {"jobs": result.jobs, "executions": result.executions, "files": result.files}
    print(json.dumps({"seed": result.seed, **totals, "violations": len(result.violations), "faults": summary}))


if __name__ == "__main__":
    sys.exit(main())
