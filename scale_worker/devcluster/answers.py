"""Updates of the master's own making: they bear no uuid, so there is nothing to acknowledge and nothing is repeated."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from scale_core import timestamps
from scale_worker.devcluster.framework import Framework, Task


def now() -> float:
    """Seconds since 1970."""
    return timestamps.utcnow().timestamp()


def send(framework: Framework, info: dict[str, Any], state: str, reason: str, text: str, **extra: Any) -> None:
    """Tell the state of a task; `info` names the task and, if it is known, the agent."""
    status = {
        "task_id": {"value": info["task_id"]["value"]},
        "state": state,
        "message": text,
        "source": "SOURCE_MASTER",
        "reason": reason,
        "timestamp": now(),
        **extra,
    }
    if "agent_id" in info:
        status["agent_id"] = {"value": info["agent_id"]["value"]}
    framework.send({"type": "UPDATE", "update": {"status": status}})


def send_unknown(framework: Framework, entry: dict[str, Any], agents: Container[str] = ()) -> None:
    """The task that `entry` names is not known: never was, or its end was acknowledged."""
    agent_known = entry.get("agent_id", {}).get("value") in agents
    aware = framework.has_capability("PARTITION_AWARE")
    state = ("TASK_GONE" if agent_known else "TASK_UNKNOWN") if aware else "TASK_LOST"
    text = "Reconciliation: Task is unknown" + (" to the agent" if agent_known else "")
    send(framework, entry, state, "REASON_RECONCILIATION", text)


def send_unreachable(framework: Framework, task: Task, text: str) -> None:
    """The task's agent was given up."""
    state = "TASK_UNREACHABLE" if framework.has_capability("PARTITION_AWARE") else "TASK_LOST"
    at = {"nanoseconds": int(now() * 1e9)}
    send(framework, _info(task), state, "REASON_AGENT_REMOVED", text, unreachable_time=at)


def send_readmitted(framework: Framework, task: Task, last: dict[str, Any]) -> None:
    """The task's agent, which was given up, is back; `last` is its newest status. The spelling is Mesos' own."""
    extra = {name: last[name] for name in ("container_status",) if name in last}
    text = "Unreachable agent re-reregistered"
    send(framework, _info(task), task.state, "REASON_AGENT_REREGISTERED", text, **extra)


def _info(task: Task) -> dict[str, Any]:
    return {"task_id": {"value": task.id}, "agent_id": {"value": task.agent_id}}


def reconcile(framework: Framework, asked: list[dict[str, Any]], agents: Container[str]) -> None:
    """Tell the present state of the tasks asked for; an empty list asks for all that are known."""
    for entry in asked or [{"task_id": {"value": task_id}} for task_id in framework.tasks]:
        task = framework.tasks.get(entry["task_id"]["value"])
        if task is None:
            send_unknown(framework, entry, agents)
            continue
        last = task.status or {"state": task.state}
        info = _info(task)
        extra = {name: last[name] for name in ("container_status",) if name in last}
        send(framework, info, last["state"], "REASON_RECONCILIATION", "Reconciliation: Latest task state", **extra)


def reconcile_operations(framework: Framework, operations: list[dict[str, Any]]) -> None:
    """No operation on resources is ever known here."""
    for operation in operations:
        status = {
            "operation_id": operation["operation_id"],
            "state": "OPERATION_UNKNOWN",
            "message": "Reconciliation: Operation is unknown and no 'agent_id' was provided",
        }
        framework.send({"type": "UPDATE_OPERATION_STATUS", "update_operation_status": {"status": status}})
