"""Every resource of the API: the one table of blueprints."""

from __future__ import annotations

from flask_smorest import Api

from scale_api.entry import IdConverter
from scale_api.resources import (
    account,
    audit,
    configuration,
    error,
    file,
    ingest,
    job,
    job_execution,
    job_type,
    load,
    metrics,
    node,
    product,
    queue,
    recipe,
    recipe_type,
    session,
    system,
    trigger,
    workspace,
)

BLUEPRINTS = (
    error.blp,
    workspace.blp,
    ingest.blp,
    file.blp,
    product.blp,
    job_type.blp,
    job.blp,
    job_execution.blp,
    recipe_type.blp,
    recipe.blp,
    queue.blp,
    load.blp,
    metrics.blp,
    configuration.blp,
    trigger.blp,
    node.blp,
    system.blp,
    session.blp,
    account.blp,
    audit.blp,
)


def register(api: Api) -> None:
    api.register_converter(IdConverter, lambda _: {"type": "integer", "format": "int64", "minimum": 0})
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
