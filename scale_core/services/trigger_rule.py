"""Trigger rules of job and recipe types: checked, set, replaced, toggled, removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.file import Workspace
from scale_core.db.job import JobType
from scale_core.db.recipe import RecipeType
from scale_core.db.trigger import RuleType, TriggerRule
from scale_core.documents import trigger_rule as document
from scale_core.domain.job_interface import InputSpec, media_type_warnings
from scale_core.errors import Invalid, Problem, Warning_

FILE_RULES = (RuleType.INGEST, RuleType.PARSE)


def check_rule(
    session: Session, raw: Mapping[str, Any] | None, inputs: Sequence[InputSpec]
) -> tuple[list[Problem], list[Warning_]]:
    """What is wrong with a rule that is to start something with these inputs."""
    if not raw or set(raw) <= {"is_active"}:
        return [], []
    problems = [
        Problem(f"trigger_rule.{name}", "is required: a rule needs type and configuration")
        for name in ("type", "configuration")
        if not raw.get(name)
    ]
    if problems:
        return problems, []
    if raw["type"] not in FILE_RULES:
        return [Problem("trigger_rule.type", f"{raw['type']!r} is not one of INGEST, PARSE")], []
    try:
        rule = document.parse(raw["configuration"])
    except Invalid as error:
        return list(error.problems), []
    data = "trigger_rule.configuration.data"
    workspace = session.scalar(select(Workspace).where(Workspace.name == rule.workspace_name))
    if workspace is None:
        problems.append(Problem(f"{data}.workspace_name", f"there is no workspace called {rule.workspace_name!r}"))
    elif not workspace.is_active:
        problems.append(Problem(f"{data}.workspace_name", f"the workspace {rule.workspace_name!r} is archived"))
    target = next((spec for spec in inputs if spec.name == rule.input_data_name), None)
    if target is None or target.type == "property":
        problems.append(Problem(f"{data}.input_data_name", f"there is no file input called {rule.input_data_name!r}"))
    for spec in inputs:
        if spec.required and spec.name != rule.input_data_name:
            problems.append(
                Problem(f"{data}.input_data_name", f"the input {spec.name!r} is required and no rule can provide it")
            )
    warnings = media_type_warnings(target.name, target, [rule.media_type] if rule.media_type else []) if target else []
    return problems, warnings


def set_rule(session: Session, owner: JobType | RecipeType, fields: Mapping[str, Any], now: datetime) -> None:
    """Apply the `trigger_rule` of a create or edit, if one was given: set, replace, toggle (only is_active) or remove
    (null). A replaced rule is archived, its events keep pointing at it. The rule has been checked before."""
    if "trigger_rule" not in fields:
        return
    raw = fields["trigger_rule"]
    old = session.get(TriggerRule, owner.trigger_rule_id) if owner.trigger_rule_id else None
    if raw and set(raw) == {"is_active"}:
        if old is not None:
            old.is_active = bool(raw["is_active"])
        return
    if not raw:
        _archive(old, now)
        owner.trigger_rule = None
        return
    configuration = document.normalize(raw["configuration"])
    is_active = raw.get("is_active") is not False
    if old is not None and (old.type, old.configuration) == (raw["type"], configuration):
        old.is_active = is_active
        return
    _archive(old, now)
    owner.trigger_rule = TriggerRule(
        type=RuleType(raw["type"]),
        name=raw.get("name") or owner.name,
        configuration=configuration,
        is_active=is_active,
        archived=None,
        created=now,
    )
    session.flush()


def _archive(rule: TriggerRule | None, now: datetime) -> None:
    if rule is not None:
        rule.is_active = False
        rule.archived = now
