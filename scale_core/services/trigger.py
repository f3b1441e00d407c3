"""Firing: an ingested or parsed file meets the rules; each match makes one event and queues one job or recipe."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core import tracing
from scale_core.db.file import ScaleFile
from scale_core.db.job import JobType
from scale_core.db.recipe import RecipeType
from scale_core.db.trigger import RuleType, TriggerRule
from scale_core.documents import job_interface, trigger_rule
from scale_core.domain.job_interface import DataValue, JobData
from scale_core.domain.recipe import RecipeData
from scale_core.domain.trigger import FileRule
from scale_core.errors import Invalid
from scale_core.services import event, queue, workspace

logger = logging.getLogger(__name__)

Target = JobType | RecipeType


@dataclass(frozen=True)
class _File:
    """What rules want to know of a file: plain values, for queuing jobs expires what the session knows."""

    id: int
    file_name: str
    media_type: str
    data_type: frozenset[str]
    trace_id: str


def fire(
    session: Session,
    type_: RuleType,
    files: Sequence[ScaleFile],
    occurred: datetime,
    now: datetime,
    traces: Mapping[int, str] | None = None,
) -> int:
    """Check the files against every active rule of this type (Ingest Triggers, Parse Triggers); returns the matches.

    A file fires a rule once, however often this is called. A rule that cannot queue anything (archived workspace,
    media type not accepted, a configuration that cannot be read …) leaves an event with its error; the file stays what
    it is, and the other rules fire. The events go on with the `traces` of their files (by id), else with the one that
    goes on here, else each begins one.
    """
    matches, of_files = 0, traces or {}
    known = [
        _File(
            each.id,
            each.file_name,
            each.media_type,
            frozenset(each.data_type),
            of_files.get(each.id) or tracing.current() or tracing.new_id(),
        )
        for each in {file.id: file for file in files}.values()
    ]
    for rule, target in _active_rules(session, type_) if known else ():
        parsed = _parse(rule)
        if isinstance(parsed, Invalid):
            wanted = known
        else:
            wanted = [file for file in known if parsed.matches(file.media_type, file.data_type)]
        if wanted:
            matches += _fire_all(session, rule, parsed, target, wanted, occurred, now)
    return matches


def _parse(rule: TriggerRule) -> FileRule | Invalid:
    """The condition; or why there is none: it was written by hand, or by a newer Scale."""
    try:
        return trigger_rule.parse(rule.configuration)
    except Invalid as error:
        return error


def _fire_all(
    session: Session,
    rule: TriggerRule,
    parsed: FileRule | Invalid,
    target: Target,
    files: Sequence[_File],
    occurred: datetime,
    now: datetime,
) -> int:
    """Jobs of many files are queued together. What cannot be is queued one by one, so that each has its own error."""
    if isinstance(target, JobType) and not isinstance(parsed, Invalid) and len(files) > 1:
        try:
            with session.begin_nested():
                return _queue_jobs(session, rule, parsed, target, files, occurred, now)
        except Invalid:
            logger.info("rule %s cannot start %s for all of %d files", rule.id, target.name, len(files))
    return sum(_fire_one(session, rule, parsed, target, file, occurred, now) for file in files)


def _queue_jobs(
    session: Session,
    rule: TriggerRule,
    parsed: FileRule,
    target: JobType,
    files: Sequence[_File],
    occurred: datetime,
    now: datetime,
) -> int:
    described = {_firing(rule, file): (_describe(file), file.trace_id) for file in files}
    events = event.record_all(session, rule.type, rule.id, described, occurred)
    fresh = [file for file in files if _firing(rule, file) in events]
    if fresh:
        store = _workspace(session, parsed)
        outputs = {output.name: store for output in job_interface.parse(target.interface).outputs}
        data = [JobData({parsed.input_data_name: DataValue(file_ids=(file.id,))}, outputs) for file in fresh]
        wanted = [(events[_firing(rule, file)], each) for file, each in zip(fresh, data, strict=True)]
        queue.queue_jobs(session, target, wanted, now)
    return len(fresh)


def _firing(rule: TriggerRule, file: _File) -> str:
    return f"{rule.type}:{rule.id}:{file.id}"


def _describe(file: _File) -> dict[str, Any]:
    return {"version": "1.0", "file_id": file.id, "file_name": file.file_name}


def _workspace(session: Session, rule: FileRule) -> int:
    """The id of the rule's workspace. Raises Invalid."""
    store = workspace.by_names(session, [rule.workspace_name]).get(rule.workspace_name)
    if store is None:
        raise Invalid(f"there is no workspace called {rule.workspace_name!r}")
    return store.id


def _active_rules(session: Session, type_: RuleType) -> list[tuple[TriggerRule, Target]]:
    """Rules of job types first, then those of recipe types, in order of their ids."""
    found: list[tuple[TriggerRule, Target]] = []
    targets: tuple[type[JobType] | type[RecipeType], ...] = (JobType, RecipeType)
    for target in targets:
        rows = session.execute(
            select(TriggerRule, target)
            .join(target, target.trigger_rule_id == TriggerRule.id)
            .where(TriggerRule.type == type_, TriggerRule.is_active, target.is_active)
            .order_by(TriggerRule.id)
        )
        found.extend((rule, owner) for rule, owner in rows)  # type: ignore[misc]
    return found


def _fire_one(
    session: Session,
    rule: TriggerRule,
    parsed: FileRule | Invalid,
    target: Target,
    file: _File,
    occurred: datetime,
    now: datetime,
) -> int:
    event_id = event.record(
        session,
        rule.type,
        now,
        rule_id=rule.id,
        description=_describe(file),
        firing=_firing(rule, file),
        occurred=occurred,
        trace_id=file.trace_id,
    )
    if event_id is None:
        return 0
    name = target.name
    try:
        if isinstance(parsed, Invalid):
            raise parsed
        with session.begin_nested():
            _queue(session, parsed, target, file.id, event_id, now)
    except Invalid as error:
        logger.warning("rule %s cannot start %s for file %s: %s", rule.id, name, file.id, error)
        event.set_error(session, event_id, str(error))
    return 1


def _queue(session: Session, rule: FileRule, target: Target, file_id: int, event_id: int, now: datetime) -> None:
    store = _workspace(session, rule)
    inputs = {rule.input_data_name: DataValue(file_ids=(file_id,))}
    if isinstance(target, RecipeType):
        queue.queue_recipe(session, target, RecipeData(inputs, store), event_id, now)
    else:
        outputs = job_interface.parse(target.interface).outputs
        queue.queue_job(session, target, JobData(inputs, {o.name: store for o in outputs}), event_id, now)
