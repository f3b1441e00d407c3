"""Makes rows for tests: plain functions with defaults."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from scale_core.db.file import FileType, ScaleFile, Workspace
from scale_core.db.job import Job, JobExecution, JobType, JobTypeRevision
from scale_core.db.node import Node
from scale_core.db.queue import Queue
from scale_core.db.trigger import TriggerEvent
from scale_core.domain.job import ExecutionStatus, JobStatus

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_numbers = itertools.count(1)

INTERFACE: dict[str, Any] = {
    "version": "1.0",
    "command": "run.sh",
    "command_arguments": "${image} ${job_output_dir}",
    "input_data": [{"name": "image", "type": "file", "required": False}],
    "output_data": [{"name": "thumb", "type": "file", "media_type": "image/png"}],
}


def _save(session: Session, row: Any) -> Any:
    session.add(row)
    session.flush()
    return row


def make_job_type(session: Session, **values: Any) -> JobType:
    values = {"name": f"type-{next(_numbers)}", "version": "1.0", "interface": INTERFACE, "error_mapping": {}} | values
    job_type = _save(session, JobType(**values))
    _save(session, JobTypeRevision(job_type_id=job_type.id, revision_num=1, interface=job_type.interface))
    return job_type


def make_queued(
    session: Session,
    job_type: JobType | None = None,
    *,
    priority: int = 100,
    queued: datetime = NOW - timedelta(seconds=1),
    cpus: float = 1.0,
    mem: float = 64.0,
    data: dict[str, Any] | None = None,
    timeout: int = 60,
    node_required_id: int | None = None,
) -> JobExecution:
    """A job with one execution in the queue."""
    job_type = job_type or make_job_type(session)
    revision = session.query(JobTypeRevision).filter_by(job_type_id=job_type.id).one()
    event = _save(session, TriggerEvent(type="USER", occurred=NOW))
    common = {"priority": priority, "timeout": timeout}
    job = _save(
        session,
        Job(
            job_type_id=job_type.id,
            job_type_rev_id=revision.id,
            event_id=event.id,
            status=JobStatus.QUEUED,
            data=data or {},
            max_tries=3,
            cpus_required=cpus,
            mem_required=mem,
            num_exes=1,
            **common,
        ),
    )
    execution = _save(
        session, JobExecution(job_id=job.id, status=ExecutionStatus.QUEUED, timeout=timeout, queued=queued)
    )
    _save(
        session,
        Queue(
            job_exe_id=execution.id,
            job_id=job.id,
            job_type_id=job_type.id,
            priority=priority,
            node_required_id=node_required_id,
            cpus_required=cpus,
            mem_required=mem,
            disk_in_required=1.0,
            disk_out_required=2.0,
            disk_total_required=3.0,
            queued=queued,
        ),
    )
    return execution


def make_workspace(session: Session, **values: Any) -> Workspace:
    broker = {"version": "1.0", "broker": {"type": "host", "host_path": "/data"}}
    return _save(session, Workspace(**({"name": f"workspace-{next(_numbers)}", "json_config": broker} | values)))


def make_source(session: Session, workspace: Workspace, **values: Any) -> ScaleFile:
    name = values.pop("file_name", f"file-{next(_numbers)}.png")
    defaults = {"file_type": FileType.SOURCE, "media_type": "image/png", "file_size": 10, "uuid": uuid.uuid4().hex}
    paths = {"file_name": name, "file_path": f"in/{name}", "workspace_id": workspace.id}
    return _save(session, ScaleFile(**(defaults | paths | values)))


def make_node(session: Session, **values: Any) -> Node:
    number = next(_numbers)
    defaults = {"hostname": f"node-{number}", "port": 5051, "agent_id": f"agent-{number}", "is_online": True}
    return _save(session, Node(**(defaults | values)))
