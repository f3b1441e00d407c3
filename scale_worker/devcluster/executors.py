"""One run of an executor on the agent: its sandbox, its process, its tasks; and how it is started."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scale_worker.devcluster import processes
from scale_worker.devcluster.processes import Process
from scale_worker.devcluster.recordio import EventStream
from scale_worker.devcluster.resources import Resources

# What a real agent gives and no more: an executor that works here needs nothing from its starter's shell.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMPLETED_TASKS = 200


class LaunchFailed(Exception):
    """An executor could not be started; its tasks end with this state and reason."""

    def __init__(self, message: str, state: str, reason: str) -> None:
        self.state, self.reason = state, reason
        super().__init__(message)


@dataclass
class AgentTask:
    """A task on the agent, with the updates that its framework has not acknowledged; the first one is on its way."""

    id: str
    name: str
    run: ExecutorRun
    resources: Resources
    info: dict[str, Any] | None = None  # as the executor gets it; dropped once it has it
    state: str = "TASK_STAGING"
    pending: deque[dict[str, Any]] = field(default_factory=deque)
    statuses: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=10))
    timer: asyncio.TimerHandle | None = None
    is_being_killed: bool = False


@dataclass
class ExecutorRun:
    """An executor from its start to its end. A command task has one to itself, without an ExecutorInfo."""

    framework_id: str
    framework_info: dict[str, Any]
    executor_id: str
    container_id: str
    directory: Path
    name: str
    source: str
    info: dict[str, Any] | None
    resources: Resources
    process: Process | None = None
    stream: EventStream | None = None
    has_subscribed: bool = False
    is_terminating: bool = False
    failure: tuple[str, str] = ("Executor terminated", "REASON_EXECUTOR_TERMINATED")
    tasks: dict[str, AgentTask] = field(default_factory=dict)
    queued: dict[str, AgentTask] = field(default_factory=dict)  # not delivered yet
    kills: list[str] = field(default_factory=list)  # to deliver when the executor is back
    completed: deque[AgentTask] = field(default_factory=lambda: deque(maxlen=COMPLETED_TASKS))
    timer: asyncio.TimerHandle | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.framework_id, self.executor_id

    @property
    def is_command(self) -> bool:
        return self.info is None

    @property
    def is_connected(self) -> bool:
        return self.stream is not None and self.stream.is_open

    def send(self, event: dict[str, Any]) -> None:
        if self.stream is not None:
            self.stream.send(event)

    def container_status(self, host: str) -> dict[str, Any]:
        address = {"protocol": "IPv4", "ip_address": host}
        status: dict[str, Any] = {
            "container_id": {"value": self.container_id},
            "network_infos": [{"ip_addresses": [address]}],
        }
        if self.process is not None:
            status["executor_pid"] = self.process.pid
        return status


def new_run(framework_info: dict[str, Any], executor: dict[str, Any] | None, task: dict[str, Any]) -> ExecutorRun:
    """The run that `task` needs, not started; `executor` is its ExecutorInfo, None for a command task."""
    fid = framework_info["id"]["value"]
    task_id = task["task_id"]["value"]
    if executor is None:
        value = str(task["command"].get("value", " ".join(task["command"].get("arguments", []))))
        shown = value if len(value) <= 15 else value[:12] + "..."
        eid, name, source = task_id, f"Command Executor (Task: {task_id}) (Command: sh -c '{shown}')", task_id
    else:
        eid = executor["executor_id"]["value"]
        name, source = executor.get("name", ""), executor.get("source", "")
    resources = Resources.parse((executor or {}).get("resources", []))
    return ExecutorRun(
        framework_id=fid,
        framework_info=framework_info,
        executor_id=eid,
        container_id=str(uuid.uuid4()),
        directory=Path(),
        name=name,
        source=source,
        info=executor,
        resources=resources,
    )


def start(run: ExecutorRun, agent_directory: Path, command: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Make the sandbox and start the command in it. Raises LaunchFailed."""
    user = command.get("user") or run.framework_info.get("user")
    if user and not processes.user_exists(user):
        raise LaunchFailed(
            f"Failed to create executor directory: no such user '{user}'", "TASK_LOST", "REASON_EXECUTOR_TERMINATED"
        )
    problem = "URIs are not fetched by the devcluster" if command.get("uris") else None
    if problem is None:
        try:
            run.directory = _make_sandbox(run, agent_directory, user)
            run.process = Process.start(_argv(command), run.directory, _environment(run, command, environment), user)
        except (OSError, ValueError) as error:  # ValueError: a NUL byte, or a variable named A=B
            problem = str(error)
    if problem is not None:
        raise LaunchFailed(f"Failed to launch container: {problem}", "TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED")


def _make_sandbox(run: ExecutorRun, agent_directory: Path, user: str | None) -> Path:
    runs = agent_directory / "frameworks" / run.framework_id / "executors" / run.executor_id / "runs"
    directory = runs / run.container_id
    directory.mkdir(parents=True, mode=0o755)
    for name in ("stdout", "stderr"):
        (directory / name).touch()
        processes.give(directory / name, user)
    processes.give(directory, user)
    latest = runs / f"latest.{run.container_id}"
    latest.symlink_to(directory)
    latest.rename(runs / "latest")
    return directory


def _argv(command: dict[str, Any]) -> list[str]:
    if command.get("shell", True):
        return ["/bin/sh", "-c", str(command.get("value", ""))]
    arguments = [str(argument) for argument in command.get("arguments", [])]
    # A real command executor execs in a child, whose failure is exit status 1 and not a failed launch.
    script = 'program=$0; command -v -- "$program" >/dev/null || exit 1; exec -- "$program" "$@"'
    return ["/bin/sh", "-c", script, str(command.get("value", "")), *arguments[1:]]


def _environment(run: ExecutorRun, command: dict[str, Any], agent: Mapping[str, str]) -> dict[str, str]:
    given = {
        variable["name"]: str(variable.get("value", ""))
        for variable in command.get("environment", {}).get("variables", [])
    }
    return {
        "PATH": PATH,
        "PWD": str(run.directory),
        "LIBPROCESS_IP": agent["LIBPROCESS_IP"],
        "LIBPROCESS_PORT": "0",
        **given,
        **agent,
        "MESOS_ALLOCATION_ROLE": "*",
        "MESOS_CHECKPOINT": "1" if run.framework_info.get("checkpoint") else "0",
        "MESOS_DIRECTORY": str(run.directory),
        "MESOS_SANDBOX": str(run.directory),
        "MESOS_EXECUTOR_ID": run.executor_id,
        "MESOS_FRAMEWORK_ID": run.framework_id,
        "MESOS_HTTP_COMMAND_EXECUTOR": "0",
    }
