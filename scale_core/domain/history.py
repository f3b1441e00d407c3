"""What must be true of everything that happened: events of all processes, and what the database says in the end.

The promises of docs/reliability.md as rules. `script/faults` and the tests feed it what real processes noted
(scale_core/history.py) while they were killed; it knows nothing of how.

Events by kind, with their facts:

| kind | noted by | facts |
|---|---|---|
| committed | offer handler, after the commit of a round | job_exe_id, job_id, task_id |
| launched | offer handler, after ACCEPT | job_exe_id, job_id, task_id |
| written | offer handler, after the commit of status updates | task_id, state |
| begun, ended | executor, around one execution | job_exe_id, job_id, task_id; ended: state |
| stored | executor, after a file lies in its workspace | job_exe_id, workspace_id, file_path |
| died | an executor's guardian, when nothing of its executor runs any more | - |
| finished | worker or offer handler, after the commit | job_exe_ids |
| seen | an observer of the database | job_id or job_exe_id, status |
| doubled | a job that found another run of itself at work | job_id |
| given-up | whoever takes an agent away, before its master gives it up | - |
| met-again | whoever takes an agent away, when it is back with what lived on | - |

What runs on an agent that is given up is lost to its master and may meet its successor; that is beyond the promise. It
must be over soon after the agent is back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELED"})
OPEN_END = float("inf")
LEFT_S = 30.0  # what lived on with an agent that was given up is over so long after it is back


@dataclass(frozen=True)
class Event:
    """`at` is seconds of the machine's monotonic clock: comparable over processes of one machine, whatever its date."""

    kind: str
    at: float
    process: str = ""
    pid: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JobEnd:
    """A job as the database has it."""

    id: int
    status: str
    products: int = 0  # that its latest completed execution is to have


@dataclass(frozen=True)
class ExecutionEnd:
    """An execution as the database has it."""

    id: int
    job_id: int
    status: str
    queued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    phases: Sequence[tuple[datetime | None, datetime | None]] = ()  # begin and end of pre, job and post


@dataclass(frozen=True)
class Product:
    """A product as it is catalogued."""

    job_id: int
    job_exe_id: int
    workspace_id: int
    file_path: str


@dataclass(frozen=True)
class Ends:
    """What is left when all is quiet. `promised`: jobs that a client was told of. `present`: files in workspaces."""

    promised: Collection[int] = ()
    jobs: Sequence[JobEnd] = ()
    executions: Sequence[ExecutionEnd] = ()
    queued: Collection[int] = ()  # executions with a row in the queue
    products: Sequence[Product] = ()
    present: Collection[tuple[int, str]] = ()  # (workspace id, path)
    once: Mapping[str, int] = field(default_factory=dict)  # what is to be there once -> how often it is


@dataclass(frozen=True)
class Violation:
    """A broken promise. `at`: when, if a moment can be named; `subject`: what a reader looks for in the events."""

    rule: str  # lost, doubled, stuck, products, final, order, clock
    subject: str
    message: str
    at: float | None = None


def parse(lines: Iterable[str | bytes]) -> list[Event]:
    """Events of files of JSON lines, in the order in which they happened. The torn last line of a file is left out."""
    events = []
    for line in lines:
        try:
            raw = json.loads(line)
        except ValueError:
            continue
        kind, at, process, pid = (raw.pop(name) for name in ("kind", "at", "process", "pid"))
        events.append(Event(kind, at, process, pid, raw))
    return sorted(events, key=lambda event: event.at)


def check(events: Sequence[Event], ends: Ends) -> list[Violation]:
    """Every broken promise; none is the proof."""
    return [*check_events(events), *check_ends(events, ends)]


def check_events(events: Sequence[Event]) -> list[Violation]:
    """What no moment may show, whatever is still to come. Events are in order."""
    return [*_doubled(events), *_out_of_order(events), *_unfinal(events)]


def check_ends(events: Sequence[Event], ends: Ends) -> list[Violation]:
    """What must be true when everything has ended."""
    return [*_lost(ends), *_stuck(ends), *_products(events, ends), *_clocks(ends)]


@dataclass(frozen=True)
class Run:
    """One execution in one executor, from when it began until it ended or nothing of its executor was left."""

    job_id: int
    job_exe_id: int
    pid: int
    began: float
    ended: float = OPEN_END


def runs(events: Sequence[Event]) -> list[Run]:
    """What ran when, in the order in which it began. One whose end nobody saw runs on.

    In a long history a pid is given to a later executor as well: a run ends by the first death after it began.
    """
    began: list[Event] = []
    ends: dict[tuple[int, str], float] = {}
    deaths: dict[int, list[float]] = {}
    for event in events:
        if event.kind == "begun":
            began.append(event)
        elif event.kind == "ended":
            ends[event.pid, event.facts["task_id"]] = event.at
        elif event.kind == "died":
            deaths.setdefault(event.pid, []).append(event.at)
    return [
        Run(
            e.facts["job_id"],
            e.facts["job_exe_id"],
            e.pid,
            e.at,
            ends.get((e.pid, e.facts["task_id"])) or next((at for at in deaths.get(e.pid, ()) if at > e.at), OPEN_END),
        )
        for e in began
    ]


def _doubled(events: Sequence[Event]) -> Iterator[Violation]:
    """No job runs twice at once, no execution begins twice."""
    last: dict[int, Run] = {}
    of_job: dict[int, list[Run]] = {}
    begun: set[int] = set()
    ran = runs(events)
    lost = _given_up(events, ran)
    for run in ran:
        of_job.setdefault(run.job_id, []).append(run)
        if run.job_exe_id in begun:
            yield Violation("doubled", f"execution {run.job_exe_id}", "began a second time", run.began)
        begun.add(run.job_exe_id)
        before = last.get(run.job_id)
        if before and before.ended > run.began and not _is_lost(lost, run.began, before, run):
            message = f"execution {run.job_exe_id} began while {before.job_exe_id} still ran"
            yield Violation("doubled", f"job {run.job_id}", message, run.began)
        last[run.job_id] = max(before, run, key=lambda each: each.ended) if before else run
    yield from _outlived(events, ran, lost)
    for event in events:
        if event.kind == "doubled" and not _is_lost(lost, event.at, *of_job.get(event.facts["job_id"], ())):
            message = "met another run of itself"
            yield Violation("doubled", f"job {event.facts['job_id']}", message, event.at)


def _given_up(events: Sequence[Event], ran: Sequence[Run]) -> dict[int, tuple[float, float]]:
    """Executions that an agent had when its master gave it up: when that was, and until when they may live on."""
    moments = [e.at for e in events if e.kind == "given-up"]
    if not moments:
        return {}
    launched = {e.facts["job_exe_id"]: e.at for e in events if e.kind == "launched"}
    met_again = [e.at for e in events if e.kind == "met-again"]
    lost: dict[int, tuple[float, float]] = {}
    for run in ran:
        since = launched.get(run.job_exe_id, run.began)
        if moment := next((at for at in moments if since < at < run.ended), None):
            lost[run.job_exe_id] = moment, next((at for at in met_again if at > moment), OPEN_END) + LEFT_S
    return lost


def _is_lost(lost: Mapping[int, tuple[float, float]], at: float, *concerned: Run) -> bool:
    return any(lost[run.job_exe_id][0] < at for run in concerned if run.job_exe_id in lost)


def _outlived(
    events: Sequence[Event], ran: Sequence[Run], lost: Mapping[int, tuple[float, float]]
) -> Iterator[Violation]:
    now = events[-1].at if events else 0.0
    for run in ran if lost else ():
        _, until = lost.get(run.job_exe_id, (0.0, OPEN_END))
        if run.ended > until and now > until:
            message = f"execution {run.job_exe_id} still ran {LEFT_S:g} s after its agent was back"
            yield Violation("doubled", f"job {run.job_id}", message, until)


def _out_of_order(events: Sequence[Event]) -> Iterator[Violation]:
    """Written, committed, then acted upon: nothing is launched or run that is not in the database."""
    committed: set[str] = set()
    for event in events:
        if event.kind == "committed":
            if event.facts["task_id"] in committed:
                yield Violation("order", event.facts["task_id"], "a task id was given twice", event.at)
            committed.add(event.facts["task_id"])
        elif event.kind in ("launched", "begun") and event.facts["task_id"] not in committed:
            yield Violation("order", event.facts["task_id"], f"{event.kind} before it was committed", event.at)


def _unfinal(events: Sequence[Event]) -> Iterator[Violation]:
    """What has ended stays as it ended, and ends once."""
    last: dict[str, str] = {}
    finished: set[int] = set()
    for event in events:
        if event.kind == "seen":
            subject, status = _subject(event), event.facts["status"]
            before = last.get(subject)
            if before in FINAL and status != before:
                yield Violation("final", subject, f"was {before} and became {status}", event.at)
            last[subject] = status
        elif event.kind == "finished":
            for job_exe_id in event.facts["job_exe_ids"]:
                if job_exe_id in finished:
                    yield Violation("final", f"execution {job_exe_id}", "was finished a second time", event.at)
                finished.add(job_exe_id)


def _subject(event: Event) -> str:
    if "job_exe_id" in event.facts:
        return f"execution {event.facts['job_exe_id']}"
    return f"job {event.facts['job_id']}"


def _lost(ends: Ends) -> Iterator[Violation]:
    """Each job that a client was told of is there and COMPLETED; what is to be there once is there once."""
    known = {job.id: job.status for job in ends.jobs}
    for job_id in sorted(ends.promised):
        status = known.get(job_id)
        if status is None:
            yield Violation("lost", f"job {job_id}", "is not in the database")
    for job in ends.jobs:
        if job.status in FINAL - {"COMPLETED"}:
            yield Violation("lost", f"job {job.id}", f"ended {job.status}")
    for name, count in ends.once.items():
        if count != 1:
            rule = "products" if count else "lost"
            yield Violation(rule, name, f"is there {count} times")


def _stuck(ends: Ends) -> Iterator[Violation]:
    for job in ends.jobs:
        if job.status not in FINAL:
            yield Violation("stuck", f"job {job.id}", f"is {job.status}")
    for execution in ends.executions:
        if execution.status not in FINAL:
            yield Violation("stuck", f"execution {execution.id}", f"is {execution.status}")
    for job_exe_id in sorted(ends.queued):
        yield Violation("stuck", f"execution {job_exe_id}", "is in the queue")


def _products(events: Sequence[Event], ends: Ends) -> Iterator[Violation]:
    """Each job completed in one execution, whose files are catalogued once each and lie where the catalogue says."""
    status = {execution.id: execution.status for execution in ends.executions}
    completed = Counter(execution.job_id for execution in ends.executions if execution.status == "COMPLETED")
    per_job = Counter(product.job_id for product in ends.products)
    for job in ends.jobs:
        if completed[job.id] > 1:
            yield Violation("products", f"job {job.id}", f"completed {completed[job.id]} times")
        if job.status == "COMPLETED" and per_job[job.id] != job.products:
            yield Violation("products", f"job {job.id}", f"has {per_job[job.id]} products instead of {job.products}")
    for product in ends.products:
        if status.get(product.job_exe_id) != "COMPLETED":
            message = f"is of execution {product.job_exe_id}, which did not complete"
            yield Violation("products", product.file_path, message)
    yield from _files(events, ends, {id_ for id_, ended in status.items() if ended == "COMPLETED"})


def _files(events: Sequence[Event], ends: Ends, completed: Collection[int]) -> Iterator[Violation]:
    catalogued = Counter((product.workspace_id, product.file_path) for product in ends.products)
    present = set(ends.present)
    for (workspace_id, path), count in catalogued.items():
        if count > 1:
            yield Violation("products", path, f"is catalogued {count} times")
        if (workspace_id, path) not in present:
            yield Violation("products", path, "is catalogued and not there")
    for event in events:
        if event.kind == "stored" and event.facts["job_exe_id"] in completed:
            workspace_id, path = event.facts["workspace_id"], event.facts["file_path"]
            if (workspace_id, path) not in catalogued:
                yield Violation("products", path, "was stored and not catalogued", event.at)


def _clocks(ends: Ends) -> Iterator[Violation]:
    """Whatever the clocks say, nothing ends before it begins. (A node's phases are measured by the node alone.)"""
    for execution in ends.executions:
        for moments in ((execution.queued, execution.started, execution.ended), *execution.phases):
            known = [each for each in moments if each is not None]
            if known != sorted(known):
                yield Violation("clock", f"execution {execution.id}", "goes back: " + ", ".join(map(str, known)))
