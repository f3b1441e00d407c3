"""The queue's way onto nodes: claim a page, start what was matched, and the one row of the scheduler."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from scale_core.db.node import Scheduler
from scale_core.db.sql import load
from scale_core.domain.execution import ExecutionSpec
from scale_core.domain.job import Resources
from scale_core.domain.scheduling import JobTypeLimits, Launch, QueueEntry
from scale_core.errors import Deposed
from scale_core.services import execution_spec

SQL = load("queue")
Place = tuple[int, datetime, int]  # in the queue's order: QueueEntry.key


@dataclass(frozen=True)
class Started:
    """What `start` began: `specs` are to be launched; `broken` executions could not be and wait to be finished."""

    specs: tuple[ExecutionSpec, ...]
    broken: tuple[int, ...] = ()


@dataclass(frozen=True)
class SchedulerState:
    """What the offer handler must know of the scheduler row."""

    is_paused: bool
    framework_id: str | None
    epoch: int = 0


def claim(
    session: Session,
    window: int,
    largest_free: Resources,
    blocked_types: Sequence[int] = (),
    after: Place | None = None,
    hopeless: Sequence[tuple[int, Resources]] = (),
) -> list[QueueEntry]:
    """Lock the next `window` entries behind `after` that could fit; fewer come back when the queue has no more.

    `hopeless` are (job type, resources) that were found to fit nowhere: entries of the type that need as much or more
    are left out, unless they ask for a certain node.
    """
    rows = session.execute(
        SQL["claim"],
        {
            **_bounds(largest_free, blocked_types),
            "window": window,
            **_place("after", after),
            "hopeless_types": [kind for kind, _ in hopeless],
            "hopeless_cpus": [needs.cpus for _, needs in hopeless],
            "hopeless_mem": [needs.mem for _, needs in hopeless],
            "hopeless_disk": [needs.disk for _, needs in hopeless],
            "hopeless_gpus": [needs.gpus for _, needs in hopeless],
        },
    )
    return [_entry(row) for row in rows]


def reserving(session: Session, job_exe_ids: Iterable[int]) -> list[QueueEntry]:
    """Lock the entries that nodes are kept free for; those that are gone, or held by somebody else, are left out."""
    ids = sorted(job_exe_ids)
    return [_entry(row) for row in session.execute(SQL["reserving"], {"ids": ids})] if ids else []


def overdue(
    session: Session,
    largest_free: Resources,
    blocked_types: Sequence[int],
    now: datetime,
    reserve_after: timedelta,
    start: Place | None = None,
) -> list[QueueEntry]:
    """Entries near the queue's head that no node has room for now although they waited for `reserve_after`."""
    parameters = {**_bounds(largest_free, blocked_types), "before": now - reserve_after, **_place("from", start)}
    return [_entry(row) for row in session.execute(SQL["overdue"], parameters)]


def samples(session: Session) -> list[QueueEntry]:
    """One waiting entry of each job type that has any."""
    return [replace(_entry(row), not_before=row.not_before) for row in session.execute(SQL["samples"])]


def head(session: Session, start: Place | None = None) -> Place | None:
    """Where the queue begins, looking from `start` on (None: from the very beginning); None: nothing waits there."""
    row = session.execute(SQL["head"], _place("from", start)).one_or_none()
    return (row.priority, row.queued, row.job_exe_id) if row else None


def limits(session: Session) -> dict[int, JobTypeLimits]:
    """The switches of all job types that are paused or limited."""
    return {
        row.id: JobTypeLimits(row.is_paused, row.max_scheduled, row.running) for row in session.execute(SQL["limits"])
    }


def start(session: Session, launches: Iterable[Launch], now: datetime) -> Started:
    """QUEUED to RUNNING for all launches whose execution is still QUEUED, each with a task id never used before.

    To be committed before anything is launched.
    """
    chosen = {launch.entry.job_exe_id: launch for launch in launches}
    if not chosen:
        return Started(())
    task_ids = {job_exe_id: f"scale.{job_exe_id}.{secrets.token_hex(4)}" for job_exe_id in chosen}
    rows = session.execute(
        SQL["start"],
        {
            "now": now,
            "job_exe_ids": list(chosen),
            "node_ids": [launch.node_id for launch in chosen.values()],
            "agent_ids": [launch.agent_id for launch in chosen.values()],
            "task_ids": list(task_ids.values()),
        },
    ).all()
    session.execute(SQL["start_jobs"], {"now": now, "job_ids": sorted(row.job_id for row in rows)})
    session.execute(SQL["dequeue"], {"job_exe_ids": list(chosen)})
    built = execution_spec.build(session, sorted(row.id for row in rows), now)
    broken = _end_broken(session, built.problems, now)
    return Started(built.specs, broken)


def load_scheduler(session: Session) -> SchedulerState:
    """The scheduler row, made if it is not there."""
    columns = (Scheduler.is_paused, Scheduler.framework_id, Scheduler.epoch)
    row = session.execute(select(*columns).where(Scheduler.id == 1)).one_or_none()
    if row is None:
        session.execute(insert(Scheduler).values(id=1).on_conflict_do_nothing())
        return load_scheduler(session)
    return SchedulerState(*row)


def begin_epoch(session: Session) -> int:
    """Take the lead: the number of a new epoch. Transactions that check an older one fail from the commit on."""
    fresh = insert(Scheduler).values(id=1, epoch=1)
    taken = fresh.on_conflict_do_update(index_elements=[Scheduler.id], set_={"epoch": Scheduler.epoch + 1})
    return session.scalars(taken.returning(Scheduler.epoch)).one()


def check_epoch(session: Session, epoch: int) -> SchedulerState:
    """Keep everybody from taking the lead until this transaction ends. Raises Deposed when somebody has taken it."""
    row = session.execute(SQL["held_scheduler"]).one_or_none()
    if row is None or row.epoch != epoch:
        raise Deposed(f"another offer handler leads: epoch {row and row.epoch}, ours was {epoch}")
    return SchedulerState(*row)


def database_time(session: Session) -> datetime:
    """PostgreSQL's clock. All offer handlers, on whatever machines, measure timeouts by this one."""
    told: datetime = session.scalars(select(func.clock_timestamp())).one()
    return told


def save_framework_id(session: Session, framework_id: str | None) -> None:
    """Remember under which id the master knows us; None: it knows us no more."""
    session.execute(update(Scheduler).where(Scheduler.id == 1).values(framework_id=framework_id))


@dataclass(frozen=True)
class Heartbeat:
    """What the offer handler tells the rest of Scale about itself. `waiting`: job type id -> why its jobs wait."""

    hostname: str
    master_hostname: str
    master_port: int
    master_online: bool
    waiting: Mapping[int, str]
    last_error: str | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)


def heartbeat(session: Session, beat: Heartbeat, now: datetime) -> None:
    """Record that an offer handler leads."""
    values: dict[str, Any] = {
        "hostname": beat.hostname,
        "master_online": beat.master_online,
        "waiting": {str(kind): reason for kind, reason in beat.waiting.items()},
        "last_error": beat.last_error,
        "stats": dict(beat.stats),
        "heartbeat": now,
    }
    if beat.master_hostname:
        values |= {"master_hostname": beat.master_hostname, "master_port": beat.master_port}
    session.execute(update(Scheduler).where(Scheduler.id == 1).values(**values))


def _end_broken(session: Session, problems: Mapping[int, str], now: datetime) -> tuple[int, ...]:
    """An execution that cannot even be described is over at once; `finish` tells the user why."""
    from_scheduler = {"state": "TASK_ERROR", "source": "SOURCE_SCHEDULER", "error": "invalid-job-data"}
    if problems:
        session.execute(
            SQL["end_tasks"],
            {
                "now": now,
                "ids": list(problems),
                "outcomes": [
                    execution_spec.to_json({"mesos": {**from_scheduler, "message": message}})
                    for message in problems.values()
                ],
                **{name: [None] * len(problems) for name in ("outcome_files", "directories", "agent_ids")},
            },
        )
    return tuple(problems)


def _place(name: str, place: Place | None) -> dict[str, Any]:
    priority, queued, job_exe_id = place or (-(2**31), "-infinity", 0)
    return {f"{name}_priority": priority, f"{name}_queued": queued, f"{name}_id": job_exe_id}


def _bounds(largest_free: Resources, blocked_types: Sequence[int]) -> dict[str, Any]:
    return {
        "max_cpus": largest_free.cpus,
        "max_mem": largest_free.mem,
        "max_disk": largest_free.disk,
        "max_gpus": largest_free.gpus,
        "blocked_types": list(blocked_types),
    }


def _entry(row: Any) -> QueueEntry:
    return QueueEntry(
        job_exe_id=row.job_exe_id,
        job_id=row.job_id,
        job_type_id=row.job_type_id,
        priority=row.priority,
        queued=row.queued,
        needs=Resources(row.cpus_required, row.mem_required, row.disk_total_required, row.gpus_required),
        node_required_id=row.node_required_id,
    )
