"""Versions of rows: whoever edits may say which version it has seen, and is refused when there is a newer one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.account import Account
from scale_core.db.file import ScaleFile, Workspace
from scale_core.db.ingest import Strike
from scale_core.db.job import Error, Job, JobType
from scale_core.db.node import Node, Scheduler
from scale_core.db.recipe import RecipeType
from scale_core.errors import PreconditionFailed
from scale_core.timestamps import isoformat

_MODELS: dict[str, Any] = {
    "account": Account,
    "error": Error,
    "job": Job,
    "job type": JobType,
    "node": Node,
    "product": ScaleFile,
    "recipe type": RecipeType,
    "scheduler": Scheduler,
    "Strike": Strike,
    "workspace": Workspace,
}
# Canceling locks other rows before the job. That is no race: a status changes by compare-and-set.
_UNLOCKED = ("job",)


def version_of(value: datetime | bool | str) -> str:
    """The version that a row's last_modified (the scheduler's is_paused), or REST's text of it, stands for."""
    shown = isoformat(value) if isinstance(value, datetime) else str(value)
    return "".join(filter(str.isalnum, shown)).lower()


def require(session: Session, what: str, id_: int, versions: Collection[str] | None) -> None:
    """Lock the row; it must be of one of the versions (None: of any). Raises PreconditionFailed."""
    if versions is None:
        return
    model = _MODELS[what]
    query = select(model.is_paused if model is Scheduler else model.last_modified).where(model.id == id_)
    found = session.scalar(query if what in _UNLOCKED else query.with_for_update())
    if found is not None and version_of(found) not in versions:
        raise PreconditionFailed(f"The {what} was changed since you read it; read it again and repeat your change.")
