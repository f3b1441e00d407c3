"""Workspaces: where files are stored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile, Workspace
from scale_core.documents import workspace_configuration
from scale_core.errors import Conflict, Invalid, Problem, Warning_
from scale_core.services import assign, get, require

MOUNTED = ("nfs", "host")  # types of brokers whose files lie on a file system of this machine
_LINK = re.compile(r"https?://[^\x00-\x20\x7f]+", re.IGNORECASE)
_EDITABLE = ("title", "description", "base_url")


def create(session: Session, fields: Mapping[str, Any], now: datetime) -> Workspace:
    """A new workspace. Raises Invalid, Conflict."""
    configuration = _check(fields)
    if session.scalar(select(Workspace.id).where(Workspace.name == fields["name"])):
        raise Conflict(f"There is already a workspace called {fields['name']!r}; choose another name")
    workspace = Workspace(name=fields["name"], json_config=configuration, description="", created=now)
    assign(workspace, _without_null_description(fields), _EDITABLE)
    workspace.is_active = fields.get("is_active") is not False
    workspace.archived = None if workspace.is_active else now
    session.add(workspace)
    session.flush()
    return workspace


def edit(session: Session, workspace_id: int, fields: Mapping[str, Any], now: datetime) -> Workspace:
    """Change anything but the name. An archived workspace takes no new files. Raises Invalid, NotFound."""
    workspace = get(session, Workspace, workspace_id, "workspace", lock=True)
    _check_base_url(fields)
    if "json_config" in fields:
        workspace.json_config = workspace_configuration.normalize(fields["json_config"])
    assign(workspace, _without_null_description(fields), _EDITABLE)
    is_active = fields.get("is_active")
    if is_active is not None and is_active is not workspace.is_active:
        workspace.is_active = is_active
        workspace.archived = None if is_active else now
    session.flush()
    return workspace


def validate(session: Session, fields: Mapping[str, Any]) -> list[Warning_]:
    """What create would refuse raises Invalid; a different broker under an existing name is a warning."""
    configuration = _check(fields)
    existing = session.scalar(select(Workspace).where(Workspace.name == fields["name"]))
    warnings = []
    if existing and existing.json_config["broker"]["type"] != configuration["broker"]["type"]:
        warnings.append(Warning_("broker_type", "The broker type changes: files stored so far may become unreachable"))
    if workspace_configuration.sends_in_clear(configuration["broker"]):
        warnings.append(Warning_("broker_tls", "Files and credentials travel unencrypted: use https, or tls for ftp"))
    return warnings


def by_names(session: Session, names: Sequence[str]) -> dict[str, Workspace]:
    rows = session.scalars(select(Workspace).where(Workspace.name.in_(names)))
    return {workspace.name: workspace for workspace in rows}


def activity(session: Session, ids: Sequence[int]) -> dict[int, bool]:
    """id -> is it active, for those that exist."""
    rows = session.execute(select(Workspace.id, Workspace.is_active).where(Workspace.id.in_(ids)))
    return dict(rows.all())


def brokers(session: Session) -> dict[int, Mapping[str, Any]]:
    """id -> the broker object of every workspace."""
    rows = session.execute(select(Workspace.id, Workspace.json_config).order_by(Workspace.id))
    return {row.id: row.json_config.get("broker") or {} for row in rows}


def record_sizes(session: Session, measured: Mapping[int, int]) -> None:
    """used_size of all workspaces: what is catalogued in each. total_size: as measured (bytes by workspace), else what
    the workspace's document says; one on a mount that could not be measured keeps what it had.

    That is no edit of the workspace: last_modified stays, so that nobody's If-Match fails for it.
    """
    held = select(ScaleFile.workspace_id, func.sum(ScaleFile.file_size)).where(~ScaleFile.is_deleted)
    used = {workspace_id: int(size) for workspace_id, size in session.execute(held.group_by(ScaleFile.workspace_id))}
    columns = (Workspace.id, Workspace.json_config, Workspace.used_size, Workspace.total_size)
    for row in session.execute(select(*columns).order_by(Workspace.id)).all():
        broker = row.json_config.get("broker") or {}
        known = row.total_size if broker.get("type") in MOUNTED else broker.get("total_size")
        sizes = used.get(row.id, 0), measured.get(row.id, known)
        if sizes != (row.used_size, row.total_size):
            session.execute(
                update(Workspace)
                .where(Workspace.id == row.id)
                .values(used_size=sizes[0], total_size=sizes[1], last_modified=Workspace.last_modified)
                .execution_options(synchronize_session=False)
            )


def _check(fields: Mapping[str, Any]) -> dict[str, Any]:
    require(fields, "name", "json_config")
    _check_base_url(fields)
    return workspace_configuration.normalize(fields["json_config"])


def _check_base_url(fields: Mapping[str, Any]) -> None:
    """What browsers are led to must not be a script. Raises Invalid."""
    url = fields.get("base_url")
    if url and not _LINK.fullmatch(url):
        raise Invalid(problems=[Problem("base_url", "must begin with http:// or https://")])


def _without_null_description(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "" if name == "description" and value is None else value for name, value in fields.items()}
