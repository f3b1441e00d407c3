"""The operator's view of the agent, as its endpoint /state shows it."""

from __future__ import annotations

from typing import Any

from scale_worker.devcluster.agent import Agent
from scale_worker.devcluster.executors import AgentTask, ExecutorRun
from scale_worker.devcluster.framework import TERMINAL
from scale_worker.devcluster.master import Master
from scale_worker.devcluster.master_state import BUILD
from scale_worker.devcluster.resources import Resources


def state(agent: Agent, master: Master) -> dict[str, Any]:
    live = list(agent.runs.values())
    ended = list(agent.completed)
    used = sum((_resources(run) for run in live), Resources())
    ids = {run.framework_id: run.framework_info for run in [*ended, *live]}
    documents = {fid: _framework(agent, fid, info, live, ended) for fid, info in ids.items()}
    present = {fid for fid in ids if fid in master.frameworks or any(run.framework_id == fid for run in live)}
    return {
        **BUILD,
        "start_time": agent.started,
        "id": agent.id,
        "pid": f"slave(1)@{agent.host}:{agent.port}",
        "hostname": agent.hostname,
        "capabilities": ["MULTI_ROLE"],
        "resources": agent.total.to_state(),
        "reserved_resources": agent.total.to_state_by_role(),
        "unreserved_resources": agent.total.to_unreserved_state(),
        "reserved_resources_full": agent.total.to_messages_by_role(),
        "unreserved_resources_full": agent.total.offered_to("*").to_message({"role": "*"}),
        "reserved_resources_allocated": used.to_state_by_role(),
        "unreserved_resources_allocated": used.to_unreserved_state(),
        "resource_providers": [],
        "attributes": {},
        "master_hostname": master.host,
        "flags": {"work_dir": str(agent.directory.parent.parent), "port": str(agent.port)},
        "frameworks": [document for fid, document in documents.items() if fid in present],
        "completed_frameworks": [document for fid, document in documents.items() if fid not in present],
    }


def _framework(
    agent: Agent, fid: str, info: dict[str, Any], live: list[ExecutorRun], ended: list[ExecutorRun]
) -> dict[str, Any]:
    return {
        "id": fid,
        "name": info.get("name", ""),
        "user": info.get("user", ""),
        "failover_timeout": float(info.get("failover_timeout", 0)),
        "checkpoint": bool(info.get("checkpoint", False)),
        "hostname": info.get("hostname", ""),
        "role": info.get("role", "*"),
        "executors": [_executor(agent, run) for run in live if run.framework_id == fid],
        "completed_executors": [_executor(agent, run) for run in ended if run.framework_id == fid],
    }


def _resources(run: ExecutorRun) -> Resources:
    tasks = (task.resources for task in run.tasks.values() if task.state not in TERMINAL)
    return sum(tasks, run.resources)


def _executor(agent: Agent, run: ExecutorRun) -> dict[str, Any]:
    over = [task for task in run.tasks.values() if task.state in TERMINAL]
    return {
        "id": run.executor_id,
        "name": run.name,
        "source": run.source,
        "container": run.container_id,
        "directory": str(run.directory),
        "resources": _resources(run).to_state(),
        "role": "*",
        "tasks": [
            _task(agent, run, task) for task in run.tasks.values() if task not in over and task.id not in run.queued
        ],
        "queued_tasks": [_task(agent, run, task) for task in run.queued.values()],
        "completed_tasks": [_task(agent, run, task) for task in [*run.completed, *over]],
    }


def _task(agent: Agent, run: ExecutorRun, task: AgentTask) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.name,
        "framework_id": run.framework_id,
        "executor_id": "" if run.is_command else run.executor_id,
        "slave_id": agent.id,
        "state": task.state,
        "resources": task.resources.to_state(),
        "role": "*",
        "statuses": list(task.statuses),
    }
