"""After a restart: executors that lived on are adopted with their tasks, tasks of the others are reported as failed."""

from __future__ import annotations

import asyncio
import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from scale_worker.devcluster.executors import AgentTask, ExecutorRun
from scale_worker.devcluster.framework import TERMINAL, Task
from scale_worker.devcluster.journal import Journal, Record
from scale_worker.devcluster.processes import Process
from scale_worker.devcluster.resources import Resources

if TYPE_CHECKING:
    from scale_worker.devcluster.agent import Agent
    from scale_worker.devcluster.master import Master

logger = logging.getLogger(__name__)

REREGISTRATION_S = 15.0  # an executor that lived on must subscribe within this; a real agent allows 2 to 15 s
LOST_CONTAINER = "Abnormal executor termination: unknown container"


def describe(run: ExecutorRun) -> Record:
    """What the journal must know of a run to find it again."""
    assert run.process is not None
    return {
        "framework_id": run.framework_id,
        "framework_info": run.framework_info,
        "executor_id": run.executor_id,
        "container_id": run.container_id,
        "directory": str(run.directory),
        "name": run.name,
        "source": run.source,
        "info": run.info,
        "pid": run.process.pid,
        "start_ticks": run.process.start_ticks,
    }


def recover(agent: Agent, master: Master, journal: Journal) -> None:
    """Take over what the journal says was running."""
    runs = {key: _run(record) for key, record in journal.contents.executors.items()}
    adopted = {key: run for key, run in runs.items() if run.process is not None and not run.is_command}
    for key, run in adopted.items():
        agent.runs[key] = run
        master.adopt_executor(run.framework_id, agent.id, run.executor_id, run.info or {})
    for record in list(journal.contents.tasks.values()):
        key = (record["framework_id"], record["executor_id"])
        run = runs.setdefault(key, unknown_run(*key))
        _restore(agent, master, run, record)
    for key, run in runs.items():
        if key in adopted:
            _watch(agent, run)
        else:
            agent.bury(run, LOST_CONTAINER)
    if runs:
        logger.info("%d executors of the last start live on, %d are gone", len(adopted), len(runs) - len(adopted))


def _run(record: Record) -> ExecutorRun:
    return ExecutorRun(
        framework_id=record["framework_id"],
        framework_info=record["framework_info"],
        executor_id=record["executor_id"],
        container_id=record["container_id"],
        directory=Path(record["directory"]),
        name=record["name"],
        source=record["source"],
        info=record["info"],
        resources=Resources.parse((record["info"] or {}).get("resources", [])),
        process=Process.find(record["pid"], record["start_ticks"]),
        has_subscribed=True,
        failure=(LOST_CONTAINER, "REASON_EXECUTOR_TERMINATED"),
    )


def unknown_run(fid: str, eid: str) -> ExecutorRun:
    """Of which there is nothing but a task that names it."""
    return ExecutorRun(fid, {"id": {"value": fid}}, eid, str(uuid.uuid4()), Path(), "", "", None, Resources())


def _restore(agent: Agent, master: Master, run: ExecutorRun, record: Record) -> None:
    resources = Resources.parse(record["resources"])
    task = AgentTask(record["task_id"], record["name"], run, resources, state=record["state"])
    agent.restore_task(task)
    executor_id = "" if run.is_command else run.executor_id
    is_charged = task.state not in TERMINAL
    known = Task(task.id, task.name, agent.id, executor_id, resources, state=task.state, is_charged=is_charged)
    master.adopt_task(run.framework_id, known)


def _watch(agent: Agent, run: ExecutorRun) -> None:
    assert run.process is not None
    run.process.watch(lambda status: agent.ended(run, status))
    run.timer = asyncio.get_running_loop().call_later(REREGISTRATION_S, agent.destroy, run)
