"""Trigger rules and what they trigger; trigger events and what they queued."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.job import Job, JobType
from scale_core.db.recipe import Recipe, RecipeType
from scale_core.db.trigger import RuleType, TriggerEvent, TriggerRule
from scale_core.errors import NotFound
from scale_core.queries.listing import ALWAYS, Order, Page, Period, Query, known, read_page
from scale_core.queries.shape import Json, Shape, rows

RULE_ORDER = Order(TriggerRule, default=["last_modified"])
EVENT_ORDER = Order(TriggerEvent, default=["occurred"], related=["rule"])


@dataclass(frozen=True)
class RuleFilters:
    """Types nobody knows match no rule."""

    period: Period = ALWAYS
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    is_active: bool | None = None


@dataclass(frozen=True)
class EventFilters:
    period: Period = ALWAYS
    types: tuple[str, ...] = ()
    rule_ids: tuple[int, ...] = ()
    rule_names: tuple[str, ...] = ()
    file_ids: tuple[int, ...] = ()
    file_names: tuple[str, ...] = ()
    has_error: bool | None = None


def list_rules(session: Session, filters: RuleFilters, page: Page, shape: Shape) -> tuple[list[Json], int]:
    """Rules with the `job_type` or `recipe_type` that they trigger, None when it is the other one or none any more."""
    query = filters.period.limit(select(TriggerRule.id), TriggerRule.last_modified)
    if filters.types:
        query = query.where(TriggerRule.type.in_(known(RuleType, filters.types)))
    if filters.names:
        query = query.where(TriggerRule.name.in_(filters.names))
    if filters.media_types:
        media_type = TriggerRule.configuration["condition"]["media_type"].astext
        query = query.where(media_type.in_(filters.media_types))
    if filters.is_active is not None:
        query = query.where(TriggerRule.is_active.is_(filters.is_active))
    read = rows(TriggerRule, shape, ("id",)).read_with_extra
    found, total = read_page(session, query, RULE_ORDER, page, filters, read)
    return _with_targets(session, found, shape), total


def get_rule(session: Session, rule_id: int, shape: Shape) -> Json:
    """Raises NotFound."""
    query = select(TriggerRule.id).where(TriggerRule.id == rule_id)
    found = rows(TriggerRule, shape, ("id",)).read_with_extra(session, query)
    if not found:
        raise NotFound(f"There is no trigger rule with the id {rule_id}.")
    return _with_targets(session, found, shape)[0]


def list_events(session: Session, filters: EventFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(TriggerEvent.id), TriggerEvent.occurred)
    if filters.types:
        query = query.where(TriggerEvent.type.in_(filters.types))
    if filters.rule_ids:
        query = query.where(TriggerEvent.rule_id.in_(filters.rule_ids))
    if filters.rule_names:
        named = select(TriggerRule.id).where(TriggerRule.name.in_(filters.rule_names))
        query = query.where(TriggerEvent.rule_id.in_(named))
    if filters.file_ids:
        query = query.where(TriggerEvent.description["file_id"].astext.in_([str(each) for each in filters.file_ids]))
    if filters.file_names:
        query = query.where(TriggerEvent.description["file_name"].astext.in_(filters.file_names))
    if filters.has_error is not None:
        query = query.where(TriggerEvent.error.is_not(None) if filters.has_error else TriggerEvent.error.is_(None))
    return read_page(session, query, EVENT_ORDER, page, filters, rows(TriggerEvent, shape).read)


def get_event(session: Session, event_id: int, shape: Shape) -> Json:
    """An event with the `jobs` and `recipes` that it queued. Raises NotFound."""
    found = rows(TriggerEvent, shape).read(session, select(TriggerEvent.id).where(TriggerEvent.id == event_id))
    if not found:
        raise NotFound(f"There is no trigger event with the id {event_id}.")
    made = {
        name: rows(model, shape[name]).read(
            session, select(model.id).where(model.event_id == event_id).order_by(model.id)
        )
        for name, model in _MADE.items()
    }
    return {**found[0], **made}


_MADE: dict[str, Any] = {"jobs": Job, "recipes": Recipe}
_TARGETS: dict[str, Any] = {"job_type": JobType, "recipe_type": RecipeType}


def _with_targets(session: Session, found: Sequence[tuple[Json, Any]], shape: Shape) -> list[Json]:
    ids = [row.id for _, row in found]
    targets: dict[int, Json] = defaultdict(dict)
    for name, model in _TARGETS.items():
        query: Query = select(model.id).where(model.trigger_rule_id.in_(ids))
        for target, row in rows(model, shape[name], ("trigger_rule_id",)).read_with_extra(session, query):
            targets[row.trigger_rule_id][name] = target
    return [{**rule, **{name: targets[row.id].get(name) for name in _TARGETS}} for rule, row in found]
