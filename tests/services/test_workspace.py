"""Sizes of workspaces, and what an archived one refuses."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from scale_core.db.file import Workspace
from scale_core.services import workspace
from tests import factories
from tests.conftest import NOW


def sizes(session: Session, store: Workspace) -> tuple[int | None, int | None]:
    session.expire_all()
    return store.used_size, store.total_size


def test_used_size_is_what_is_catalogued_and_not_deleted(session: Session) -> None:
    full, empty = factories.make_workspace(session), factories.make_workspace(session)
    factories.make_source(session, full, file_size=10)
    factories.make_source(session, full, file_size=2**40)
    factories.make_source(session, full, file_size=5, is_deleted=True, deleted=NOW)
    workspace.record_sizes(session, {})
    assert sizes(session, full) == (10 + 2**40, None)
    assert sizes(session, empty) == (0, None)


def test_total_size_is_measured_or_configured_or_unknown(session: Session) -> None:
    remote = {"type": "ftp", "host": "ftp.example.org"}
    stores = [factories.make_workspace(session) for _ in range(3)]
    for store, more in ((stores[1], {}), (stores[2], {"total_size": 77})):
        document = {"version": "1.0", "broker": {**remote, **more}}
        workspace.edit(session, store.id, {"json_config": document}, NOW)
    workspace.record_sizes(session, {stores[0].id: 100})
    assert [sizes(session, store) for store in stores] == [(0, 100), (0, None), (0, 77)]
    workspace.record_sizes(session, {})
    assert sizes(session, stores[0]) == (0, 100), "a mount that could not be measured keeps its size"


def test_measuring_is_no_edit(session: Session) -> None:
    store = factories.make_workspace(session)
    before = NOW - timedelta(days=3)
    store.last_modified = before
    session.flush()
    workspace.record_sizes(session, {store.id: 100})
    assert sizes(session, store) == (0, 100)
    assert store.last_modified == before
