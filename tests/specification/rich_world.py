"""A world in which every documented value is there: every list has rows, every reference refers to something."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.job import Error, Job, JobLoad
from scale_core.db.metrics import MetricsError, MetricsIngest, MetricsJobType
from scale_core.db.node import Node
from scale_core.db.recipe import Recipe
from scale_core.db.trigger import RuleType
from scale_core.services import error, trigger
from scale_core.timestamps import utcnow
from tests import factories
from tests.api.world import World, make_world
from tests.conftest import NOW

RULE_CONDITION = {"media_type": "image/png", "data_types": []}


@dataclass
class Rich:
    world: World
    own_error: Error
    offline: Node
    triggered: Job
    triggered_recipe: Recipe

    @property
    def ids(self) -> dict[str, Any]:
        """What replaces {id} or {name} in the path of an operation, by its first word."""
        return {
            "errors": self.own_error.id,
            "ingests": self.world.ingest.id,
            "jobs": self.world.completed.id,
            "job-executions": self.world.execution.id,
            "job-types": self.world.job_type.id,
            "metrics": "job-types",
            "nodes": self.world.node.id,
            "recipes": self.world.recipe.id,
            "recipe-types": self.triggered_recipe.recipe_type_id,
            "workspaces": self.world.products.id,
            "strikes": self.world.strike.id,
            "products": self.world.product.id,
            "sources": self.world.source.id,
        }


def make_rich_world(session: Session) -> Rich:
    world = make_world(session)
    now = utcnow()
    own = error.create(
        session, {"name": "bad-data", "title": "Bad Data", "description": "It is bad", "category": "DATA"}, NOW
    )
    offline = factories.make_node(session, pause_reason="out of order")
    world.node.resources = {"total": {"cpus": 8.0, "mem": 4096.0, "disk": 9999.0}, "used": {"cpus": 1.0}}
    world.running.started = world.running.last_status_change = now
    triggered, triggered_recipe = _trigger(session, world)
    _relate(session, world)
    world.completed.event_id, world.recipe.event_id = triggered.event_id, triggered_recipe.event_id
    for metrics in (
        MetricsJobType(job_type_id=world.job_type.id, occurred=NOW.date(), completed_count=1, queue_time_sum=1),
        MetricsIngest(strike_id=world.strike.id, occurred=NOW.date(), ingested_count=1),
        MetricsError(error_id=own.id, occurred=NOW.date(), total_count=1),
    ):
        session.add(metrics)
    counts = {"pending_count": 1, "queued_count": 2, "running_count": 3, "total_count": 6}
    session.add(JobLoad(job_type_id=world.job_type.id, measured=now - timedelta(hours=1), **counts))
    for job in (world.failed, world.completed):
        job.last_status_change = now
    session.commit()
    return Rich(world, own, offline, triggered, triggered_recipe)


def _trigger(session: Session, world: World) -> tuple[Job, Recipe]:
    """A job and a recipe that a rule has queued."""
    rule = {
        "type": "INGEST",
        "configuration": {
            "version": "1.0",
            "condition": RULE_CONDITION,
            "data": {"input_data_name": "file", "workspace_name": world.products.name},
        },
    }
    place = factories.place("one", world.job_type, recipe_inputs=[{"recipe_input": "file", "job_input": "in"}])
    definition = factories.definition(place, inputs=[{"name": "file", "type": "file"}])
    factories.make_recipe_type(session, definition, title="Triggered", trigger_rule=rule)
    world.source.media_type = "image/png"
    session.flush()
    assert trigger.fire(session, RuleType.INGEST, [world.source], NOW, NOW) == 2
    made = session.scalars(select(Recipe).order_by(Recipe.id.desc())).first()
    assert made is not None
    job = session.scalars(
        select(Job).where(Job.event_id != made.event_id, Job.job_type_id == world.job_type.id).order_by(Job.id.desc())
    ).first()
    assert job is not None
    return job, made


def _relate(session: Session, world: World) -> None:
    """What the world leaves null: times of parts, deletion, errors of jobs that run, an archived type."""
    execution = world.execution
    for number, name in enumerate(("pre", "job", "post")):
        setattr(execution, f"{name}_started", NOW + timedelta(seconds=2 * number))
        setattr(execution, f"{name}_completed", NOW + timedelta(seconds=2 * number + 1))
        setattr(execution, f"{name}_exit_code", 0)
    for file in (world.source, world.product):
        file.data_started, file.data_ended = NOW, NOW + timedelta(minutes=1)
        file.deleted = NOW
        file.meta_data = {"a": 1}
    world.source.is_parsed, world.source.parsed = True, NOW
    world.product.unpublished = NOW
    world.product.countries.extend(world.source.countries)
    world.job_type.description, world.job_type.author_name = "what it does", "who"
    world.job_type.author_url, world.job_type.icon_code, world.job_type.max_scheduled = "http://a.example", "f013", 5
    world.recipe.completed = NOW
    session.flush()
