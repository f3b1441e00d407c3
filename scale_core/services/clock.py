"""Clock rules: which are due, the jobs that their firing queues, and running those jobs (Clock Triggers).

A firing is written down with its jobs in one transaction; the jobs are then run one by one, each in a transaction of
its own. These jobs need no node: they have an execution, but no row in the queue. One that a dying worker left QUEUED
is found again by the next tick.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from scale_core.db.job import Job, JobExecution, JobType
from scale_core.db.trigger import RuleType, TriggerEvent, TriggerRule
from scale_core.documents import clock_rule
from scale_core.domain import clock
from scale_core.domain import job as rules
from scale_core.domain.job import ErrorCategory, ExecutionStatus, JobStatus
from scale_core.errors import Invalid
from scale_core.services import error, event, job, metrics, workspace
from scale_core.timestamps import isoformat, parse_datetime

logger = logging.getLogger(__name__)

Inputs = Mapping[str, str]
Run = Callable[[Session, Inputs, datetime], None]


def _once(last: datetime | None, slot: datetime) -> list[Inputs]:
    return [{}]


def _each_day(last: datetime | None, slot: datetime) -> list[Inputs]:
    return [{"Day": day} for day in clock.missed_days(last, slot)]


def _by_a_shell(session: Session, inputs: Inputs, now: datetime) -> None:
    raise Invalid("Only a worker can do this: it knows the settings (see `outside` of clock.run)")


@dataclass(frozen=True)
class Processor:
    """What a rule of this name does. `run` is given the inputs of one job and the time; what it raises fails the job.

    `plan` tells the inputs of each job that a firing queues, from the slot fired before (if any) and the present one.
    A processor may run twice and must then find its work done.
    """

    run: Run
    plan: Callable[[datetime | None, datetime], Sequence[Inputs]] = _once


# By the name of the rule, which is that of the system job type too: both are in the seed.
PROCESSORS: dict[str, Processor] = {
    "scale-daily-metrics": Processor(
        lambda session, inputs, now: metrics.compute_day(session, date.fromisoformat(inputs["Day"])), _each_day
    ),
    "scale-retention": Processor(_by_a_shell),
    "scale-job-load": Processor(lambda session, inputs, now: metrics.measure_load(session, now)),
    "scale-workspace-sizes": Processor(lambda session, inputs, now: workspace.record_sizes(session, {})),
}


@dataclass(frozen=True)
class Due:
    """An active rule."""

    id: int
    name: str
    configuration: Mapping[str, Any]


def active_rules(session: Session) -> list[Due]:
    """The clock rules that may fire, in order of their ids."""
    query = select(TriggerRule.id, TriggerRule.name, TriggerRule.configuration)
    query = query.where(TriggerRule.type == RuleType.CLOCK, TriggerRule.is_active).order_by(TriggerRule.id)
    return [Due(*row) for row in session.execute(query)]


def fire(session: Session, rule: Due, now: datetime) -> int | None:
    """Fire the rule if it is due: an event and its jobs. The event's id, None when there was nothing to do.

    Two clocks that tick at once fire a slot once. Raises Invalid for a rule without a processor, a wrong configuration.
    """
    processor = PROCESSORS.get(rule.name)
    if processor is None:
        raise Invalid(f"There is no clock processor called {rule.name!r}: use one of {', '.join(PROCESSORS)}")
    parsed = clock_rule.parse(rule.configuration)
    last = _last(session, rule, parsed, now)
    slot = clock.due_slot(parsed, last.occurred if last else None, now)
    if slot is None:
        return None
    event_id = event.record(
        session,
        parsed.event_type,
        now,
        rule_id=rule.id,
        description={"version": "1.0", "rule_name": rule.name, "slot": isoformat(slot)},
        firing=f"CLOCK:{rule.id}:{isoformat(slot)}",
    )
    if event_id is not None:
        before = (parse_datetime(last[1]) if last[1] else last.occurred) if last else None
        _queue(session, rule.name, processor.plan(before, slot), event_id, now)
    return event_id


def record_error(session: Session, rule: Due, now: datetime, reason: str) -> int | None:
    """Say on an event of its own why the rule could not fire: once for each slot that it misses, or for each hour when
    its schedule cannot be read. The event's id, None when it was said before.

    Such an event is no firing: what was missed is made up for as soon as the rule works again.
    """
    description = {"version": "1.0", "rule_name": rule.name}
    try:
        parsed = clock_rule.parse(rule.configuration)
    except Invalid:
        type_: str = RuleType.CLOCK
        slot = now.replace(minute=0, second=0, microsecond=0)
    else:
        type_ = parsed.event_type
        last = _last(session, rule, parsed, now)
        due = clock.due_slot(parsed, last.occurred if last else None, now)
        if due is None:
            return None
        slot, description["slot"] = due, isoformat(due)
    firing = f"CLOCK:{rule.id}:{isoformat(slot)}:error"
    event_id = event.record(session, type_, now, rule_id=rule.id, description=description, firing=firing)
    if event_id is not None:
        event.set_error(session, event_id, reason)
    return event_id


def _last(session: Session, rule: Due, parsed: clock.ClockRule, now: datetime) -> Any:
    """When the rule fired last, not later than now, and for which slot; None: never."""
    return session.execute(
        select(TriggerEvent.occurred, TriggerEvent.description["slot"].astext)
        .where(
            TriggerEvent.rule_id == rule.id,
            TriggerEvent.type == parsed.event_type,
            TriggerEvent.error.is_(None),
            TriggerEvent.occurred <= now,
        )
        .order_by(TriggerEvent.occurred.desc())
        .limit(1)
    ).one_or_none()


def waiting(session: Session) -> list[int]:
    """Executions of clock jobs that wait to be run, oldest first."""
    query = select(JobExecution.id).join(Job, Job.id == JobExecution.job_id)
    query = query.join(JobType, JobType.id == Job.job_type_id)
    query = query.where(
        Job.status == JobStatus.QUEUED,
        JobExecution.status == ExecutionStatus.QUEUED,
        JobType.is_system,
        ~JobType.is_paused,
        JobType.name.in_(PROCESSORS),
    )
    return list(session.scalars(query.order_by(JobExecution.id)))


def run(
    session: Session,
    job_exe_id: int,
    started: datetime,
    clock_: Callable[[], datetime],
    outside: Mapping[str, Run] | None = None,
) -> bool:
    """Run one waiting execution to its end, in this transaction; False when somebody else does, or did.

    `outside` has those processors, by name, that also look at what is not in the database; only a shell can. What the
    processor raises undoes what it did, and fails the execution; the job is tried again as its type says.
    """
    found = session.execute(
        select(JobExecution.job_id)
        .where(JobExecution.id == job_exe_id, JobExecution.status == ExecutionStatus.QUEUED)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if found is None:
        return False
    (owner,) = job.lock(session, [found.job_id])
    if owner.status is not JobStatus.QUEUED:
        return False
    inputs = {each["name"]: each["value"] for each in owner.data.get("input_data", [])}
    owner.status, owner.started, owner.last_status_change = JobStatus.RUNNING, started, started
    session.flush()
    message = ""
    try:
        with session.begin_nested():
            name = owner.job_type.name
            ((outside or {}).get(name) or PROCESSORS[name].run)(session, inputs, started)
    except Exception as problem:  # whatever it is, it belongs to this job alone
        logger.exception("execution %d of %s failed", job_exe_id, owner.job_type.name)
        message = str(problem) or type(problem).__name__
    ended = max(clock_(), started)
    _end(session, job_exe_id, owner, started, ended, message)
    return True


def _queue(session: Session, name: str, plan: Sequence[Inputs], event_id: int, now: datetime) -> None:
    job_type = job.system_type(session, name)
    job_ids = job.create(session, [job_type] * len(plan), event_id, now)
    requests = [job.QueueRequest(id_, _document(inputs), 0.0, 0.0) for id_, inputs in zip(job_ids, plan, strict=True)]
    job.enqueue(session, requests, now)


def _document(inputs: Inputs) -> dict[str, Any]:
    entries = [{"name": name, "value": value} for name, value in inputs.items()]
    return {"version": "1.0", "input_data": entries, "output_data": []}


def _end(session: Session, job_exe_id: int, owner: Job, started: datetime, ended: datetime, message: str) -> None:
    cause = error.by_name(session, "unknown") if message else None
    status = ExecutionStatus.FAILED if cause else ExecutionStatus.COMPLETED
    session.execute(
        update(JobExecution)
        .where(JobExecution.id == job_exe_id)
        .values(
            status=status,
            error_id=cause.id if cause else None,
            message=message,
            command_arguments=" ".join(str(each["value"]) for each in owner.data.get("input_data", [])),
            started=started,
            job_started=started,
            job_completed=ended,
            job_exit_code=1 if cause else 0,
            ended=ended,
            last_modified=func.clock_timestamp(),
        )
    )
    again = cause is not None and rules.may_retry(
        ErrorCategory(cause.category), owner.num_exes, owner.max_tries, owner.job_type.is_long_running
    )
    if again:
        job.enqueue(session, [job.QueueRequest(owner.id)], ended)
        return
    owner.status = JobStatus.FAILED if cause else JobStatus.COMPLETED
    owner.error_id, owner.reason = (cause.id, message) if cause else (None, None)
    owner.ended, owner.last_status_change = ended, ended
    session.flush()
