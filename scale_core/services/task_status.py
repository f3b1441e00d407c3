"""What Mesos says about tasks, written down: a batch of updates is a handful of statements, and any of them may come
late, twice or out of order."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from scale_core.db.job import JobExecution
from scale_core.db.sql import load
from scale_core.domain.job import ExecutionStatus, JobStatus
from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.services import completion
from scale_core.services.completion import End
from scale_core.services.execution_spec import to_json

logger = logging.getLogger(__name__)

SQL = load("queue")
KILLED_STATES = frozenset({TaskState.KILLED, TaskState.FAILED})
CANCEL_WINDOW = timedelta(days=1)


@dataclass(frozen=True)
class Applied:
    """`ended`: executions that now wait to be finished (services.execution). `kill`: tasks that run although nobody
    wants them any more. `completed`: executions that only succeeded, and so are COMPLETED already.
    """

    ended: tuple[int, ...] = ()
    kill: tuple[str, ...] = ()
    completed: tuple[int, ...] = ()


def apply_updates(session: Session, updates: Sequence[TaskUpdate], now: datetime) -> Applied:
    """Note what became of tasks. Commit before acknowledging; acknowledge all of them whatever they meant."""
    if not updates:
        return Applied()
    known = {
        row.task_id: row
        for row in session.execute(SQL["lock_tasks"], {"task_ids": list({u.task_id for u in updates}), "now": now})
    }
    ends = _ends(updates, known)
    _log_ignored(updates, known)
    _log_strangers(updates, known)
    ran = {update.task_id: update.directory for update in updates if update.state is TaskState.RUNNING}
    _note_running(session, {task_id: known[task_id] for task_id in ran if task_id in known}, ran, ends, now)
    rows = sorted(((known[task_id], said) for task_id, said in ends.items()), key=lambda end: end[0].id)
    completed = _complete_plain(session, [end for end in rows if _is_plain(*end)], ran, now)
    ended = _note_ended(session, [end for end in rows if end[0].id not in completed], ran, now)
    return Applied(ended, tuple(_unwanted(updates, known)), tuple(sorted(completed)))


def store_outcome(session: Session, job_exe_id: int, outcome: Mapping[str, Any]) -> None:
    """Keep an outcome that was too large for its status update and has been fetched from the node."""
    document = {**outcome, "stdout": "", "stderr": ""}
    session.execute(
        update(JobExecution)
        .where(JobExecution.id == job_exe_id, JobExecution.outcome.is_(None))
        .values(outcome=document, outcome_file=None)
    )
    _keep_logs(session, [(job_exe_id, dict(outcome))])


def running_tasks(session: Session, before: datetime) -> list[tuple[str, str]]:
    """(task id, agent id) of each task started before then that Mesos should know."""
    return [(row.task_id, row.agent_id or "") for row in session.execute(SQL["running_tasks"], {"before": before})]


def tasks_on(session: Session, agent_ids: Sequence[str]) -> list[tuple[str, str]]:
    """(task id, agent id) of each task that runs on these agents, as far as is known."""
    rows = session.execute(SQL["tasks_on"], {"agent_ids": list(agent_ids)})
    return [(row.task_id, row.agent_id) for row in rows]


def lose_all(session: Session, reason: str, message: str, now: datetime) -> list[int]:
    """Every task is gone (the master forgot our framework): all running executions wait to be finished as lost."""
    parameters = {"reason": reason, "message": message, "now": now}
    return sorted(session.execute(SQL["lose_tasks"], parameters).scalars())


def tasks_to_kill(session: Session, now: datetime, grace_s: float = 30.0) -> list[str]:
    """Tasks of canceled executions, and of those so long over their timeout that no executor acted."""
    parameters = {"canceled_after": now - CANCEL_WINDOW, "overdue_before": now - timedelta(seconds=grace_s)}
    return list(session.execute(SQL["tasks_to_kill"], parameters).scalars())


def _log_ignored(updates: Iterable[TaskUpdate], known: Mapping[str, Any]) -> None:
    """An end is final. What comes after it is acknowledged like the rest, changes nothing, and is told here."""
    for said in updates:
        row = known.get(said.task_id)
        if row is not None and row.has_ended:
            facts = (said.task_id, row.id, said.state.value, said.reason or "no reason", said.source or "no source")
            logger.info("task %s of execution %d has ended before; ignored: %s (%s, %s)", *facts)


def _log_strangers(updates: Iterable[TaskUpdate], known: Mapping[str, Any]) -> None:
    """Started by whoever had this database before a restore: whoever looks for what was lost must find them listed."""
    for said in updates:
        if said.task_id not in known and not said.is_terminal:
            facts = (said.task_id, said.agent_id or "an agent that it does not name")
            logger.warning("task %s on %s belongs to no execution that is known; it is killed", *facts)


def _ends(updates: Iterable[TaskUpdate], known: Mapping[str, Any]) -> dict[str, TaskUpdate]:
    """The update that ends each task still open: the first terminal one, but one that brings an outcome wins."""
    ends: dict[str, TaskUpdate] = {}
    for said in updates:
        row = known.get(said.task_id)
        if not said.is_terminal or row is None or row.has_ended:
            continue
        if said.task_id not in ends or (_brings_outcome(said) and not _brings_outcome(ends[said.task_id])):
            ends[said.task_id] = said
    return ends


def _brings_outcome(update: TaskUpdate) -> bool:
    return update.outcome is not None or update.outcome_file is not None


def _unwanted(updates: Iterable[TaskUpdate], known: Mapping[str, Any]) -> dict[str, None]:
    """Live tasks that we do not know, or whose execution went on without them (lost, requeued, canceled)."""
    unwanted: dict[str, None] = {}
    for said in updates:
        row = known.get(said.task_id)
        if not said.is_terminal and (row is None or row.has_ended or row.status != ExecutionStatus.RUNNING):
            unwanted[said.task_id] = None
    return unwanted


def _note_running(
    session: Session, rows: Mapping[str, Any], ran: Mapping[str, str | None], ends: Mapping[str, Any], now: datetime
) -> None:
    """What ended in the same batch is written once, by _note_ended."""
    open_rows = [row for task_id, row in rows.items() if task_id not in ends and not row.has_ended]
    if open_rows:
        directories = [_clean(ran[row.task_id]) for row in open_rows]
        session.execute(
            SQL["run_tasks"], {"now": now, "ids": [row.id for row in open_rows], "directories": directories}
        )


def _is_plain(row: Any, update: TaskUpdate) -> bool:
    """Nothing is to be catalogued, and no recipe waits: then there is nothing that another process should do."""
    is_running = row.status == ExecutionStatus.RUNNING
    return is_running and not row.in_recipe and update.outcome is not None and completion.is_plain(update.outcome)


def _complete_plain(
    session: Session, ends: Sequence[tuple[Any, TaskUpdate]], ran: Mapping[str, str | None], now: datetime
) -> set[int]:
    """Complete executions and jobs; a job in no status for that is left to `finish`, which tells why."""
    if not ends:
        return set()
    statuses = completion.lock_jobs(session, [row.job_id for row, _ in ends])
    running = [end for end in ends if statuses.get(end[0].job_id) is JobStatus.RUNNING]
    completed = [
        End(
            row.id,
            row.job_id,
            row.started,
            now,
            said.outcome or {},
            _clean(said.directory or ran.get(said.task_id)),
            said.agent_id or None,
        )
        for row, said in running
    ]
    completion.complete(session, completed, statuses, now)
    _keep_logs(session, [(end.id, dict(end.outcome)) for end in completed])
    return {end.id for end in completed}


def _note_ended(
    session: Session, ends: Sequence[tuple[Any, TaskUpdate]], ran: Mapping[str, str | None], now: datetime
) -> tuple[int, ...]:
    if not ends:
        return ()
    rows = session.execute(
        SQL["end_tasks"],
        {
            "now": now,
            "ids": [row.id for row, _ in ends],
            "outcomes": [_outcome(row, update, update.task_id in ran) for row, update in ends],
            "outcome_files": [_clean(update.outcome_file) for _, update in ends],
            "directories": [_clean(update.directory or ran.get(update.task_id)) for _, update in ends],
            "agent_ids": [update.agent_id or None for _, update in ends],
        },
    ).all()
    changed = {row.id for row in rows}
    _keep_logs(session, [(row.id, update.outcome) for row, update in ends if update.outcome and row.id in changed])
    return tuple(sorted(row.id for row in rows if row.status == ExecutionStatus.RUNNING))


def _outcome(row: Any, update: TaskUpdate, ran: bool) -> str | None:
    if update.outcome is not None:
        return to_json({**update.outcome, "stdout": "", "stderr": ""})
    if update.outcome_file is not None:
        return None
    facts = {
        "state": update.state.value,
        "reason": update.reason,
        "source": update.source,
        "message": update.message,
        "has_started": row.has_started or ran,
        "timed_out": bool(row.timed_out) and update.state in KILLED_STATES,
    }
    return to_json({"mesos": facts})


def _keep_logs(session: Session, outcomes: Sequence[tuple[int, dict[str, Any]]]) -> None:
    if outcomes:
        session.execute(
            SQL["keep_logs"],
            {
                "ids": [job_exe_id for job_exe_id, _ in outcomes],
                "stdouts": [_pack(outcome.get("stdout")) for _, outcome in outcomes],
                "stderrs": [_pack(outcome.get("stderr")) for _, outcome in outcomes],
            },
        )


@lru_cache(maxsize=64)
def _pack(text: Any) -> bytes:
    """Most jobs write nothing, or the same few words."""
    return zlib.compress(str(text or "").encode("utf-8", "replace"), 6)


def _clean(text: str | None) -> str | None:
    """PostgreSQL stores no NUL characters."""
    return text.replace("\0", "\ufffd") if text else None
