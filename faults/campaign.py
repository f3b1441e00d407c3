"""One fault after the other under load; after each the system must recover, and at the end every promise be kept."""

from __future__ import annotations

import shutil
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from faults.acts import ACTS
from faults.load import Load, missing_files, open_jobs, patiently
from faults.schedule import Fault
from faults.system import FaultsFailed, System
from faults.visitor import Visitor
from scale_core.domain import history
from scale_core.domain.history import Ends, ExecutionEnd, JobEnd, Product, Violation

LOOK_S = 0.1
OBSERVE_S = 0.5
GIVE_UP_S = 120.0
CHECK_EVERY = 10  # faults: a look at all events takes seconds once there are hundreds of thousands
AROUND_S = 15.0  # of the events that are kept for whoever looks into a violation


@dataclass
class Result:
    """Recovery times in seconds by kind of fault, and what went wrong."""

    seed: int
    recovery_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    violations: list[tuple[str, Violation]] = field(default_factory=list)  # (kind of the last fault, what)
    jobs: int = 0
    executions: int = 0
    files: int = 0
    kept: str = ""

    @property
    def faults(self) -> int:
        return sum(map(len, self.recovery_s.values()))

    def row(self, kind: str) -> tuple[int, float, float, Counter[str]]:
        """Count, median and longest recovery, violations by rule."""
        times = self.recovery_s[kind]
        return (
            len(times),
            statistics.median(times),
            max(times),
            Counter(v.rule for k, v in self.violations if k == kind),
        )


class Observer(threading.Thread):
    """Notes every change of status that a look at the database shows."""

    def __init__(self, system: System) -> None:
        super().__init__(name="observer", daemon=True)
        self._system, self._ending = system, threading.Event()
        self._known: dict[tuple[str, int], str] = {}

    def finish(self) -> None:
        self._ending.set()
        self.join()

    def run(self) -> None:
        while not self._ending.wait(OBSERVE_S):
            for table, name in (("job", "job_id"), ("job_exe", "job_exe_id")):
                try:
                    changed = self._system.sql(
                        f"SELECT id, status FROM {table} WHERE last_modified > clock_timestamp() - interval '30 s'"  # noqa: S608
                    )
                except psycopg2.Error:
                    continue
                for id_, status in changed:
                    if self._known.get((name, id_)) != status:
                        self._known[name, id_] = status
                        self._system.note("seen", **{name: id_, "status": status})


def run(
    faults: list[Fault],
    seed: int,
    patience_s: float,
    keep: Path,
    say: Callable[[str], None],
    minutes: float = 0,
    make: Callable[[], System] = System,
    browser: bool = False,
) -> Result:
    """With a `browser`, somebody has the web UI open meanwhile. Raises FaultsFailed when it cannot go on itself."""
    result = Result(seed)
    deadline = time.monotonic() + minutes * 60 if minutes else float("inf")
    system = make()
    system.prepare({fault.kind for fault in faults})
    with system:
        load, observer = Load(system, seed), Observer(system)
        visitor = Visitor(system.address) if browser else None
        for thread in (load, observer, visitor):
            if thread is not None:
                thread.start()
        kind = ""
        try:
            for fault in faults:
                if time.monotonic() > deadline:
                    break
                kind = fault.kind
                _strike(system, load, visitor, fault, result, patience_s, say)
            load.finish()
            observer.finish()
            if visitor is not None:
                visitor.finish()
            _settle(system, load, kind, result, patience_s)
        except FaultsFailed:
            result.kept = str(_keep(system, keep, float("-inf")))
            say(f"logs and events are in {result.kept}")
            raise
        if result.violations:
            moments = [each.at for _, each in result.violations if each.at is not None]
            result.kept = str(_keep(system, keep, min(moments, default=float("-inf")) - AROUND_S))
    return result


def _strike(
    system: System,
    load: Load,
    visitor: Visitor | None,
    fault: Fault,
    result: Result,
    patience_s: float,
    say: Callable[[str], None],
) -> None:
    time.sleep(fault.pause_s)
    system.note("fault", fault=fault.number, name=fault.kind)
    ACTS[fault.kind](system, fault)
    began = time.monotonic()
    system.note("given-back", fault=fault.number, name=fault.kind)
    stuck = _recover(system, load, began, patience_s)
    took = time.monotonic() - began
    system.note("recovered", fault=fault.number, name=fault.kind)
    result.recovery_s[fault.kind].append(took)
    system.broken, broken = [], system.broken
    wrong = [Violation("answers", "500", said, began) for said in broken]
    wrong += _look(visitor, load.probed, began, patience_s) if visitor is not None and not stuck else []
    found = [*stuck, *wrong]
    if fault.number % CHECK_EVERY == 0:  # and once more when all is over
        found += _news(result, history.check_events(system.events()))
    result.violations += [(fault.kind, each) for each in found]
    say(f"{fault.number:4} {fault.kind:40} {took:6.1f} s" + "".join(f"\n     {each}" for each in found))


def _look(visitor: Visitor, job_id: int, began: float, patience_s: float) -> list[Violation]:
    """What was wrong with the web UI since the last look."""
    said = [] if visitor.sees(job_id, patience_s) else [f"does not show job {job_id} after {patience_s:g} s"]
    visitor.complaints, complaints = [], visitor.complaints
    return [Violation("ui", "the web UI", each, began) for each in [*said, *complaints]]


def _recover(system: System, load: Load, began: float, patience_s: float) -> list[Violation]:
    """Wait until all that was promised before, and one more job, has ended. What is not there in time is stuck."""
    files = list(load.files)
    given = patiently(lambda: open_jobs(system), began + patience_s) or {}
    waiting = set(given) | {load.probe()}
    stuck: list[Violation] = []
    while time.monotonic() < began + GIVE_UP_S:
        system.check()
        if load.trouble:
            raise FaultsFailed(f"the load ended: {load.trouble!r}")
        now_open = patiently(lambda: open_jobs(system), began + GIVE_UP_S) or {}
        missing = patiently(lambda: missing_files(system, files), began + GIVE_UP_S) or set()
        left = sorted(waiting & set(now_open))
        if not left and not missing:
            return stuck
        if not stuck and time.monotonic() > began + patience_s:
            at = time.monotonic()
            stuck = [Violation("stuck", f"job {id_}", f"is {now_open[id_]} after {patience_s:g} s", at) for id_ in left]
            stuck += [Violation("stuck", name, f"is not through after {patience_s:g} s", at) for name in missing]
        time.sleep(LOOK_S)
    raise FaultsFailed(f"no recovery within {GIVE_UP_S:g} s: {stuck}")


def _news(result: Result, found: list[Violation]) -> list[Violation]:
    known = {each for _, each in result.violations}
    return [each for each in found if each not in known]


def _settle(system: System, load: Load, kind: str, result: Result, patience_s: float) -> None:
    """The end of all work, and then what the database and the workspaces say."""
    until_quiet(system, load, patience_s)
    ends = ends_of(system, load)
    result.jobs, result.executions, result.files = len(ends.jobs), len(ends.executions), len(load.files)
    result.violations += [(kind, each) for each in _news(result, history.check(system.events(), ends))]


def until_quiet(system: System, load: Load, patience_s: float) -> None:
    """Wait until all work has ended, or for so long."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and (open_jobs(system) or missing_files(system, load.files)):
        time.sleep(LOOK_S)


def ends_of(system: System, load: Load) -> Ends:
    """What is left of this load."""
    jobs = system.sql("""
        SELECT j.id, j.status, CASE WHEN t.is_system THEN 0 ELSE 1 END
        FROM job j JOIN job_type t ON t.id = j.job_type_id WHERE NOT t.is_long_running""")
    ids = {id_ for id_, _, _ in jobs}
    executions = system.sql("""
        SELECT id, job_id, status, queued, started, ended,
            pre_started, pre_completed, job_started, job_completed, post_started, post_completed FROM job_exe""")
    products = "SELECT job_id, job_exe_id, workspace_id, file_path FROM scale_file WHERE file_type = 'PRODUCT'"
    return Ends(
        promised=load.jobs,
        jobs=[JobEnd(*row) for row in jobs],
        executions=[_execution(row) for row in executions if row[1] in ids],
        queued=[id_ for (id_,) in system.sql("SELECT job_exe_id FROM queue")],
        products=[Product(*row) for row in system.sql(products)],
        present={
            (load.workspace_id, path.relative_to(load.root).as_posix())
            for path in load.root.rglob("*")
            if path.is_file()
        },
        once=_once(system, load),
    )


def _execution(row: tuple[Any, ...]) -> ExecutionEnd:
    id_, job_id, status, queued, started, ended, *phases = row
    return ExecutionEnd(id_, job_id, status, queued, started, ended, list(zip(phases[::2], phases[1::2], strict=True)))


def _once(system: System, load: Load) -> dict[str, int]:
    """Every recipe, every file that was dropped, and the job that each file triggers."""
    recipes = Counter(id_ for (id_,) in system.sql("SELECT id FROM recipe"))
    sources = Counter(name for (name,) in system.sql("SELECT file_name FROM scale_file WHERE file_type = 'SOURCE'"))
    triggered = Counter(
        name
        for (name,) in system.sql(
            "SELECT f.file_name FROM job j JOIN scale_file f "
            "ON f.id = (j.data -> 'input_data' -> 0 ->> 'file_id')::bigint WHERE j.job_type_id = %s",
            load.triggered_type,
        )
    )
    return (
        {f"recipe {id_}": recipes[id_] for id_ in load.recipes}
        | {name: sources[name] for name in load.files}
        | {f"job of {name}": triggered[name] for name in load.files}
    )


def _keep(system: System, keep: Path, since: float) -> Path:
    """Logs, and the events from shortly before the first violation on."""
    keep.mkdir(parents=True, exist_ok=True)
    shutil.copytree(system.home / "logs", keep / "logs", dirs_exist_ok=True)
    shutil.copy(system.home / "server.out", keep)
    lines = [
        f"{event.at:.3f} {event.process} {event.pid} {event.kind} {dict(event.facts)}\n"
        for event in system.events()
        if event.at >= since
    ]
    (keep / "events").write_text("".join(lines))
    return keep
