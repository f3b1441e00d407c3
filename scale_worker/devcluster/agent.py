"""The agent: starts executors and command tasks, and keeps each update until its framework has acknowledged it."""

from __future__ import annotations

import asyncio
import base64
import logging
import signal
import uuid
from collections import deque
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from scale_worker.devcluster import calls, executors, recovery
from scale_worker.devcluster.answers import now
from scale_worker.devcluster.calls import CallError
from scale_worker.devcluster.executors import AgentTask, ExecutorRun, LaunchFailed
from scale_worker.devcluster.framework import TERMINAL
from scale_worker.devcluster.journal import Journal
from scale_worker.devcluster.launching import Info
from scale_worker.devcluster.master import Master
from scale_worker.devcluster.recordio import EventStream
from scale_worker.devcluster.resources import Resources, normalise
from scale_worker.devcluster.updates import Updates, Uplink

logger = logging.getLogger(__name__)

REGISTRATION_S = 60.0  # a new executor must subscribe within this
SHUTDOWN_GRACE_S = 5.0
KILL_GRACE_S = 3.0
_COMPLETED_RUNS = 150


class Agent:
    """One agent and all that runs on it. Methods run in the event loop and never wait, except `stop`."""

    def __init__(
        self,
        master: Master,
        journal: Journal,
        work_dir: Path,
        hostname: str,
        port: int,
        total: Resources,
        retry_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Take up what a previous agent on `work_dir` left; updates are repeated after 1, 2, 4 … times `retry_s`.

        `environment` is what every executor is given, as by --executor_environment_variables of a real agent.
        """
        self.id = journal.contents.agent_id or master.new_agent_id()
        self.host, self.hostname, self.port, self.total = master.host, hostname, port, total
        self.started = now()
        self._given = dict(environment or {})
        self._updates = Updates(master, journal, retry_s)
        self.directory = work_dir / "slaves" / self.id
        self.directory.mkdir(parents=True, exist_ok=True)
        self.runs: dict[tuple[str, str], ExecutorRun] = {}
        self.completed: deque[ExecutorRun] = deque(maxlen=_COMPLETED_RUNS)
        self._tasks: dict[tuple[str, str], AgentTask] = {}
        self._master: Uplink = master
        self._journal = journal
        self._all_gone = asyncio.Event()
        self.is_down = False  # its process is dead
        if journal.contents.agent_id is None:
            journal.write("agent", agent_id=self.id)
        master.register_agent(self)
        recovery.recover(self, master, journal)

    # Death and return of the agent's process, while this object lives

    def connect(self, master: Uplink) -> None:
        """Tell news to `master` from now on."""
        self._master = master
        self._updates.connect(master)

    def hang_up(self) -> None:
        """The streams of all executors end; those must subscribe again."""
        for run in self.runs.values():
            if run.stream is not None:
                run.stream.close()

    def catch_up(self, framework_ids: Container[str]) -> None:
        """The master knows these frameworks: repeat to them what is not acknowledged, end what is of others."""
        for run in list(self.runs.values()):
            if run.framework_id not in framework_ids:
                self.shutdown_framework(run.framework_id)
            elif not run.is_command and not run.is_connected and not run.is_terminating and run.has_subscribed:
                run.timer = self._later(recovery.REREGISTRATION_S, self.destroy, run)
        for task in list(self._tasks.values()):
            self._updates.resend(task)

    def disown(self, known: Iterable[tuple[str, str, str]]) -> None:
        """The master knows these tasks here (framework, task and name): those whose launch never arrived are lost."""
        for fid, task_id, name in known:
            if (fid, task_id) not in self._tasks:
                task = AgentTask(task_id, name, recovery.unknown_run(fid, task_id), Resources())
                self.restore_task(task)
                self._fail(task, "TASK_LOST", "REASON_RECONCILIATION", "Reconciliation: task unknown to the agent")

    def tasks(self) -> list[AgentTask]:
        """All tasks whose end is not acknowledged."""
        return list(self._tasks.values())

    # Launching

    def launch(self, framework_info: Info, task: Info, executor_info: Info | None) -> None:
        """Run a task: over its executor, which is started when it does not run yet, or as a command."""
        fid = framework_info["id"]["value"]
        eid = executor_info["executor_id"]["value"] if executor_info is not None else task["task_id"]["value"]
        run = self.runs.get((fid, eid))
        is_new = run is None
        if run is None:
            run = executors.new_run(framework_info, executor_info, task)
            self.runs[run.key] = run
        agent_task = self._add_task(run, task)
        if run.is_terminating:
            self._fail(agent_task, "TASK_LOST", "REASON_EXECUTOR_TERMINATED", "Executor is terminating")
        elif is_new:
            self._start(run, agent_task, task)
        elif run.is_connected:
            self._deliver(agent_task)
        else:
            run.queued[agent_task.id] = agent_task

    def _add_task(self, run: ExecutorRun, info: dict[str, Any]) -> AgentTask:
        message = {**info, "resources": normalise(info["resources"])}
        if run.info is not None:
            message["executor"] = run.info
        task_id = info["task_id"]["value"]
        task = AgentTask(task_id, info["name"], run, Resources.parse(info["resources"]), message)
        self.restore_task(task)
        self._journal.write(
            "task",
            framework_id=run.framework_id,
            task_id=task_id,
            name=task.name,
            executor_id=run.executor_id,
            resources=message["resources"],
        )
        return task

    def restore_task(self, task: AgentTask) -> None:
        task.run.tasks[task.id] = task
        self._tasks[task.run.framework_id, task.id] = task

    def _start(self, run: ExecutorRun, task: AgentTask, info: dict[str, Any]) -> None:
        command = run.info["command"] if run.info is not None else info["command"]
        try:
            if (info.get("container") or {}).get("type") == "DOCKER":
                raise LaunchFailed(
                    "Failed to launch container: the devcluster has no docker containerizer",
                    "TASK_FAILED",
                    "REASON_CONTAINER_LAUNCH_FAILED",
                )
            executors.start(run, self.directory, command, self._environment())
        except LaunchFailed as error:
            logger.warning("Executor %s: %s", run.executor_id, error)
            self._retire(run, None)
            self._fail(task, error.state, error.reason, str(error))
            return
        assert run.process is not None
        self._journal.write("executor", **recovery.describe(run))
        run.process.watch(lambda status: self.ended(run, status))
        if run.is_command:
            task.info = None
            self._report(task, "TASK_STARTING")
            self._report(task, "TASK_RUNNING")
        else:
            run.queued[task.id] = task
            run.timer = self._later(REGISTRATION_S, self._give_up, run)

    def _environment(self) -> dict[str, str]:
        return {
            **self._given,
            "LIBPROCESS_IP": self.host,
            "MESOS_AGENT_ENDPOINT": f"{self.host}:{self.port}",
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": f"{SHUTDOWN_GRACE_S:g}secs",
            "MESOS_RECOVERY_TIMEOUT": "15mins",
            "MESOS_SLAVE_ID": self.id,
            "MESOS_SLAVE_PID": f"slave(1)@{self.host}:{self.port}",
            "MESOS_SUBSCRIPTION_BACKOFF_MAX": "2secs",
        }

    def _give_up(self, run: ExecutorRun) -> None:
        run.failure = ("Executor did not register within 1mins", "REASON_EXECUTOR_REGISTRATION_TIMEOUT")
        self.destroy(run)

    @staticmethod
    def _deliver(task: AgentTask) -> None:
        task.run.send({"type": "LAUNCH", "launch": {"task": task.info}})
        task.info = None  # it may carry much data and is never sent twice

    # Calls of executors

    def run_of(self, call: dict[str, Any]) -> ExecutorRun:
        """The executor that makes a call. Raises CallError."""
        fid = call.get("framework_id", {}).get("value")
        eid = call.get("executor_id", {}).get("value")
        for name, value in (("executor_id", eid), ("framework_id", fid)):
            if not value:
                raise CallError(400, f"Failed to validate executor::Call: Expecting '{name}' to be present")
        if not any(framework_id == fid for framework_id, _ in self.runs):
            raise CallError(400, "Framework cannot be found")
        run = self.runs.get((fid, eid))
        if run is None or run.is_command:
            raise CallError(400, "Executor cannot be found")
        if call["type"] != "SUBSCRIBE" and not run.is_connected:
            raise CallError(403, "Executor is not subscribed")
        return run

    def subscribe(self, run: ExecutorRun, subscribe: dict[str, Any]) -> EventStream:
        """A new stream for an executor; what it still holds unacknowledged is taken in."""
        if run.stream is not None:
            run.stream.close()
        if run.timer is not None and not run.is_terminating:
            run.timer.cancel()
        run.stream = EventStream(str(uuid.uuid4()))
        run.has_subscribed = True
        run.send({"type": "SUBSCRIBED", "subscribed": self._introduction(run)})
        if run.is_terminating:
            run.send({"type": "SHUTDOWN"})
            return run.stream
        for update in subscribe.get("unacknowledged_updates", []):
            self.update(run, update["status"])
        arrived = {task["task_id"]["value"] for task in subscribe.get("unacknowledged_tasks", [])}
        self._settle(run, arrived)
        for task in run.queued.values():
            self._deliver(task)
        run.queued.clear()
        for task_id in run.kills:
            run.send({"type": "KILL", "kill": {"task_id": {"value": task_id}}})
        run.kills.clear()
        return run.stream

    def _settle(self, run: ExecutorRun, arrived: set[str]) -> None:
        """End the tasks that the executor, as its re-subscription shows, never got or has already forgotten."""
        for task in list(run.tasks.values()):
            if task.id in run.queued or task.id in arrived or task.pending:
                continue
            if task.state == "TASK_STAGING":
                self._fail(task, "TASK_LOST", "REASON_AGENT_RESTARTED", "Task launched during agent restart")
            elif task.state in TERMINAL:
                text = "Reconciliation: task unknown to the agent"
                self._fail(task, "TASK_LOST", "REASON_RECONCILIATION", text)

    def _introduction(self, run: ExecutorRun) -> dict[str, Any]:
        return {
            "executor_info": run.info,
            "framework_info": run.framework_info,
            "agent_info": {
                "hostname": self.hostname,
                "port": self.port,
                "resources": self.total.to_message(),
                "id": {"value": self.id},
            },
            "container_id": {"value": run.container_id},
        }

    def update(self, run: ExecutorRun, status: dict[str, Any]) -> None:
        """Take an update from an executor. Raises CallError."""
        if "uuid" not in status:
            raise CallError(400, "Failed to validate executor::Call: Expecting 'uuid' to be present")
        calls.check_uuid(status["uuid"], "executor")
        if status.get("source") != "SOURCE_EXECUTOR":
            raise CallError(
                400,
                "Failed to validate executor::Call: Received Call with an invalid source; expecting SOURCE_EXECUTOR",
            )
        task = run.tasks.get(status["task_id"]["value"])
        if task is None:  # its end was acknowledged before, and the executor did not hear of it
            self._tell_acknowledged(run, status["task_id"]["value"], status["uuid"])
            return
        container_status = {**run.container_status(self.host), **status.get("container_status", {})}
        extra = {"agent_id": {"value": self.id}, "container_status": container_status}
        self._updates.take(task, {"timestamp": now(), **status, **extra})

    def message_from(self, run: ExecutorRun, data: str) -> None:
        self._master.executor_message(run.framework_id, self.id, run.executor_id, data)

    # Updates

    def acknowledge(self, framework_id: str, task_id: str, update_uuid: str) -> None:
        """The framework has an update for good; one that is not the task's first pending update is ignored."""
        task = self._tasks.get((framework_id, task_id))
        status = self._updates.settle(task, update_uuid) if task is not None else None
        if task is None or status is None:
            return
        if status["source"] == "SOURCE_EXECUTOR":
            self._tell_acknowledged(task.run, task_id, update_uuid)
        if status["state"] in TERMINAL and not task.pending:
            self._forget(task)

    @staticmethod
    def _tell_acknowledged(run: ExecutorRun, task_id: str, update_uuid: str) -> None:
        run.send({"type": "ACKNOWLEDGED", "acknowledged": {"task_id": {"value": task_id}, "uuid": update_uuid}})

    def _forget(self, task: AgentTask) -> None:
        self._updates.drop(task)
        run = task.run
        self._tasks.pop((run.framework_id, task.id), None)
        run.tasks.pop(task.id, None)
        run.queued.pop(task.id, None)
        run.completed.append(task)
        task.info = None
        self._journal.write("task_gone", framework_id=run.framework_id, task_id=task.id)

    def resend(self, framework_id: str) -> None:
        """The framework is (back) on its stream: repeat at once what it has not acknowledged."""
        for (fid, _), task in list(self._tasks.items()):
            if fid == framework_id:
                self._updates.resend(task)

    def _report(self, task: AgentTask, state: str, text: str | None = None) -> None:
        """An update of a command task, as Mesos' own executor would send it."""
        status = self._status(task, state, "SOURCE_EXECUTOR", text)
        status["container_status"] = task.run.container_status(self.host)
        self._updates.take(task, status)

    def _fail(self, task: AgentTask, state: str, reason: str, text: str) -> None:
        """End a task in the agent's own name."""
        task.run.queued.pop(task.id, None)
        self._updates.take(task, {**self._status(task, state, "SOURCE_AGENT", text), "reason": reason})

    def _status(self, task: AgentTask, state: str, source: str, text: str | None) -> dict[str, Any]:
        status = {
            "task_id": {"value": task.id},
            "state": state,
            "source": source,
            "agent_id": {"value": self.id},
            "executor_id": {"value": task.run.executor_id},
            "timestamp": now(),
            "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
        }
        return status if text is None else {**status, "message": text}

    # Ending

    def kill(self, framework_id: str, task_id: str) -> None:
        """End one task, by its executor; the update that it ended comes from there."""
        task = self._tasks.get((framework_id, task_id))
        if task is None or task.state in TERMINAL:
            return
        run = task.run
        if task.id in run.queued:
            text = "Killed before delivery to the executor"
            self._fail(task, "TASK_KILLED", "REASON_TASK_KILLED_DURING_LAUNCH", text)
            if not run.has_subscribed and not run.queued:
                self.destroy(run)
        elif run.is_command:
            self._terminate_command(task)
        elif run.is_connected:
            run.send({"type": "KILL", "kill": {"task_id": {"value": task_id}}})
        else:
            run.kills.append(task_id)

    def _terminate_command(self, task: AgentTask) -> None:
        run = task.run
        if run.process is not None and not task.is_being_killed:
            task.is_being_killed = True
            if any(each.get("type") == "TASK_KILLING_STATE" for each in run.framework_info.get("capabilities", ())):
                self._report(task, "TASK_KILLING")
            run.process.kill_tree(signal.SIGTERM)
            run.timer = self._later(KILL_GRACE_S, self.destroy, run)

    def message(self, framework_id: str, executor_id: str, data: str) -> None:
        if run := self.runs.get((framework_id, executor_id)):
            run.send({"type": "MESSAGE", "message": {"data": data}})

    def shutdown_executor(self, framework_id: str, executor_id: str) -> None:
        if run := self.runs.get((framework_id, executor_id)):
            self._shut_down(run, SHUTDOWN_GRACE_S)

    def shutdown_framework(self, framework_id: str) -> None:
        """The framework was removed: nobody waits for updates any more, and its executors must go."""
        for run in [run for run in self.runs.values() if run.framework_id == framework_id]:
            self._shut_down(run, SHUTDOWN_GRACE_S)
        for task in [task for (fid, _), task in self._tasks.items() if fid == framework_id]:
            task.state = task.state if task.state in TERMINAL else "TASK_KILLED"
            self._forget(task)

    def _shut_down(self, run: ExecutorRun, grace_s: float) -> None:
        if run.is_terminating:
            return
        run.is_terminating = True
        if run.timer is not None:
            run.timer.cancel()
        if run.is_command and run.process is not None:
            for task in run.tasks.values():
                task.is_being_killed = True
            run.process.kill_tree(signal.SIGTERM)
            grace_s = min(grace_s, KILL_GRACE_S)
        elif run.is_connected:
            run.send({"type": "SHUTDOWN"})
        else:
            grace_s = 0
        run.timer = self._later(grace_s, self.destroy, run)

    def destroy(self, run: ExecutorRun) -> None:
        """Kill an executor with all its descendants, now."""
        run.is_terminating = True
        if run.process is not None:
            run.process.kill_tree(signal.SIGKILL)

    def ended(self, run: ExecutorRun, wait_status: int | None) -> None:
        """The process of a run is gone: what it left behind is killed, and its tasks end."""
        logger.info("Executor %s of %s ended (wait status %s)", run.executor_id, run.framework_id, wait_status)
        self.destroy(run)
        if run.is_command and self.is_down:  # its executor has nobody to tell, and leaves a second later
            self.bury(run, recovery.LOST_CONTAINER)
            return
        self._retire(run, wait_status)
        if run.is_command:
            for task in list(run.tasks.values()):
                self._end_command(task, wait_status or 0)
            return
        text, reason = run.failure
        for task in list(run.tasks.values()):
            if task.state not in TERMINAL:
                self._fail(task, "TASK_FAILED", reason, text)

    def _retire(self, run: ExecutorRun, wait_status: int | None) -> None:
        if run.timer is not None:
            run.timer.cancel()
        if run.stream is not None:
            run.stream.close()
        self.runs.pop(run.key, None)
        self.completed.append(run)
        self._journal.write("executor_gone", framework_id=run.framework_id, executor_id=run.executor_id)
        self._master.executor_gone(run.framework_id, self.id, run.executor_id, wait_status)
        if not self.runs:
            self._all_gone.set()

    def bury(self, run: ExecutorRun, text: str) -> None:
        """A run of before the restart is gone, or it was a command, whose exit status nobody can learn any more."""
        self.destroy(run)
        self._retire(run, None)
        for task in list(run.tasks.values()):
            self._fail(task, "TASK_FAILED", "REASON_EXECUTOR_TERMINATED", text)

    def _end_command(self, task: AgentTask, wait_status: int) -> None:
        if task.state in TERMINAL:
            return
        number, code = wait_status & 0x7F, wait_status >> 8
        if number:
            text = f"Command terminated with signal {signal.strsignal(number)}"
        else:
            text = f"Command exited with status {code}"
        ended = "TASK_FAILED" if wait_status else "TASK_FINISHED"
        self._report(task, "TASK_KILLED" if task.is_being_killed else ended, text)

    async def stop(self, grace_s: float) -> None:
        """Shut all executors down: ask, wait `grace_s` seconds, kill."""
        self._all_gone.clear()
        for run in list(self.runs.values()):
            self._shut_down(run, grace_s)
        for timeout_s in (grace_s, 1.0):
            if self.runs:
                try:
                    await asyncio.wait_for(self._all_gone.wait(), timeout_s)
                except TimeoutError:
                    for run in list(self.runs.values()):
                        self.destroy(run)

    @staticmethod
    def _later(delay_s: float, call: Any, *arguments: Any) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, call, *arguments)
