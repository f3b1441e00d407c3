"""Workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.file import Workspace
from scale_core.errors import NotFound
from scale_core.queries.listing import ALWAYS, Order, Page, Period, read_page
from scale_core.queries.shape import Json, Shape, rows

ORDER = Order(Workspace, default=["name"])


@dataclass(frozen=True)
class WorkspaceFilters:
    period: Period = ALWAYS
    names: tuple[str, ...] = ()


def list_workspaces(
    session: Session, filters: WorkspaceFilters, page: Page, shape: Shape
) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(Workspace.id), Workspace.last_modified)
    if filters.names:
        query = query.where(Workspace.name.in_(filters.names))
    return read_page(session, query, ORDER, page, filters, rows(Workspace, shape).read)


def get_workspace(session: Session, workspace_id: int) -> Workspace:
    """Raises NotFound."""
    workspace = session.get(Workspace, workspace_id)
    if workspace is None:
        raise NotFound(f"There is no workspace with the id {workspace_id}.")
    return workspace
