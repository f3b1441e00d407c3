"""Whether a task may be launched as its TaskInfo says, in the master's order and words."""

from __future__ import annotations

from typing import Any

from scale_worker.devcluster.framework import Framework, Task
from scale_worker.devcluster.resources import Resources


class TaskInvalid(Exception):
    """The task gets TASK_ERROR with this message."""


def check_task(framework: Framework, agent_id: str, info: dict[str, Any], free: Resources) -> tuple[Task, Resources]:
    """The task, and what its executor needs beyond that: nothing when it already runs. Raises TaskInvalid."""
    task_id = str(info["task_id"]["value"])
    _check_id(task_id)
    if task_id in framework.tasks:
        raise TaskInvalid(f"Task has duplicate ID: {task_id}")
    if info["agent_id"]["value"] != agent_id:
        raise TaskInvalid(f"Task uses invalid agent {info['agent_id']['value']} while agent {agent_id} is expected")
    executor = info.get("executor")
    if (executor is None) == (info.get("command") is None):
        raise TaskInvalid("Task should have at least one (but not both) of CommandInfo or ExecutorInfo present")
    needs = _parse(info.get("resources", []))
    if needs.is_empty:
        raise TaskInvalid("Task uses no resources")
    executor_id = str(executor["executor_id"]["value"]) if executor is not None else ""
    executor_needs = Resources()
    if executor is not None:
        executor_needs = _check_executor(framework, agent_id, executor_id, executor)
    if not free.contains(needs + executor_needs):
        raise TaskInvalid(
            f"Total resources {(needs + executor_needs).describe()} required by task and its executor is more than "
            f"available {free.describe()}"
        )
    return Task(task_id, info["name"], agent_id, executor_id, needs), executor_needs


def _check_executor(framework: Framework, agent_id: str, executor_id: str, info: dict[str, Any]) -> Resources:
    _check_id(executor_id)
    named = info.get("framework_id", {}).get("value", framework.id)
    if named != framework.id:
        raise TaskInvalid(f"ExecutorInfo has an invalid FrameworkID (Actual: {named} vs Expected: {framework.id})")
    if info.get("type", "CUSTOM") != "CUSTOM":
        raise TaskInvalid(f"Executors of type {info['type']} are not known to the devcluster; use CUSTOM")
    if info.get("command") is None:
        raise TaskInvalid("'ExecutorInfo.command' must be set for 'CUSTOM' executor")
    running = framework.executors.get((agent_id, executor_id))
    if running is None:
        return _parse(info.get("resources", []))
    if running.info != info:
        raise TaskInvalid(
            f"ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID '{executor_id}'"
        )
    return Resources()


def _check_id(identifier: str) -> None:
    if not identifier:
        raise TaskInvalid("ID must not be empty")
    if len(identifier) > 255:
        raise TaskInvalid("ID must not be greater than 255 characters")
    if identifier in {".", ".."}:
        raise TaskInvalid(f"'{identifier}' is disallowed")
    if any(c == "/" or c == "\\" or ord(c) < 32 or ord(c) == 127 for c in identifier):
        raise TaskInvalid(f"'{identifier}' contains invalid characters")


def _parse(raw: list[dict[str, Any]]) -> Resources:
    try:
        needs = Resources.parse(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise TaskInvalid(f"Task uses invalid resources: {error!r}") from None
    if any(amount < 0 for amount in needs.scalars.values()):
        raise TaskInvalid("Task uses invalid resources: Invalid scalar resource: value < 0")
    return needs
