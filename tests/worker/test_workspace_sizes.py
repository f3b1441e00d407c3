"""The clock's look at the file systems of workspaces."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core import patience
from scale_core.db.file import Workspace
from scale_core.db.job import Job, JobType
from scale_core.db.session import transaction
from scale_core.domain.job import JobStatus
from scale_core.settings import Settings
from scale_worker import workspace_sizes
from scale_worker.tasks import clock as shell
from tests import factories


@pytest.fixture
def stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory whose file system answers no call, as a mount whose server is gone."""
    directory, answer = tmp_path / "stuck", threading.Event()
    directory.mkdir()
    really: Callable[[Any], os.statvfs_result] = os.statvfs

    def statvfs(path: Any) -> os.statvfs_result:
        if Path(path) == directory:
            answer.wait(120)
        return really(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    monkeypatch.setattr(patience, "PATIENCE_S", 0.2)
    yield directory
    answer.set()


def test_sizes_of_file_systems(session: Session, tmp_path: Path, stuck: Path) -> None:
    here = factories.make_workspace(session, root=str(tmp_path))
    away = factories.make_workspace(session, root=str(tmp_path / "absent"))
    hanging = factories.make_workspace(session, root=str(stuck))
    hanging.total_size = 5
    mapped, unmapped = factories.make_workspace(session), factories.make_workspace(session)
    mapped.json_config = {"version": "1.0", "broker": {"type": "nfs", "mount": "nas:/data"}}
    unmapped.json_config = {"version": "1.0", "broker": {"type": "nfs", "mount": "other:/data"}}
    remote = factories.make_workspace(session)
    remote.json_config = {"version": "1.0", "broker": {"type": "s3", "bucket": "x", "total_size": 9}}
    session.flush()
    for _ in range(2):
        workspace_sizes.measure(session, Settings(home=tmp_path, mounts={"nas:/data": str(tmp_path)}))
        session.expire_all()
        found = [each.total_size for each in (here, away, hanging, mapped, unmapped, remote)]
        size = shutil.disk_usage(tmp_path).total
        assert found == [pytest.approx(size, rel=0.1), None, 5, pytest.approx(size, rel=0.1), None, 9]


def test_the_clock_measures(committed: Callable[[], Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "sessions", lambda: committed)
    monkeypatch.setattr(shell, "settings", lambda: Settings(home=tmp_path))
    with transaction(committed) as session:
        store = factories.make_workspace(session, root=str(tmp_path))
        factories.make_source(session, store, file_size=12345)
    shell.tick_clock()
    with committed() as session:
        query = select(Job).join(JobType).where(JobType.name == "scale-workspace-sizes")
        assert [job.status for job in session.scalars(query)] == [JobStatus.COMPLETED]
        found = session.scalars(select(Workspace)).one()
        assert found.used_size == 12345
        assert found.total_size
