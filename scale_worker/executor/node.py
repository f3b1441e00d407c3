"""The executor of one node: every Mesos task is one execution, run on a thread of its own."""

from __future__ import annotations

import base64
import binascii
import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from scale_core import history, logs, tracing
from scale_core.domain.execution import INLINE_LIMIT, ExecutionSpec, Outcome, StatusData
from scale_worker.executor import failures, staging
from scale_worker.executor.cancel import KILLED, Cancellation, Watchdog
from scale_worker.executor.execution import Node, run_execution
from scale_worker.executor.usage import LOOK_S, NodeUsage, Reports

MAX_EXECUTIONS = 2048  # at once; Mesos' resources limit them long before
KEPT_DIRECTORIES = 10_000  # ended executions whose logs stay in the sandbox
KEPT_S = 7 * 24 * 3600.0
SHUTDOWN_S = 3.0  # for executions to end; less than the 5 s that an agent waits
_MESSAGE_LIMIT = 1000
_IDLE_LOOK_S = 0.5
_TASK_ID_SUFFIX = 12

log = logging.getLogger(__name__)


class NodeExecutor:
    """Receives what the driver is told (pymesos' callback names); `send` takes status updates and must not fail."""

    def __init__(self, node: Node, sandbox: Path, stopped: Callable[[], None]) -> None:
        self._node = node
        self._directory = sandbox.absolute() / "executions"
        self._stopped = stopped
        self._watchdog = Watchdog()
        self._pool = ThreadPoolExecutor(MAX_EXECUTIONS, thread_name_prefix="execution")
        self._lock = threading.Lock()
        self._running: dict[str, Cancellation] = {}
        self._ended: deque[tuple[float, Path]] = deque()
        self._closing = False
        self._busy_at = time.monotonic()

    def registered(self, driver: Any, executor_info: Any, framework_info: Any, agent_info: Any) -> None:
        log.info("registered with agent %s", agent_info.get("hostname"))

    def reregistered(self, driver: Any, agent_info: Any) -> None:
        log.info("registered again with agent %s", agent_info.get("hostname"))

    def disconnected(self, driver: Any) -> None:
        log.warning("the agent is away; executions go on")

    def frameworkMessage(self, driver: Any, data: Any) -> None:
        log.warning("a message of the framework was ignored: this executor knows none")

    def error(self, driver: Any, message: Any) -> None:
        log.error("the agent reports: %s", message)

    def launchTask(self, driver: Any, task: Any) -> None:
        task_id = task["task_id"]["value"]
        with self._lock:
            if self._closing or task_id in self._running:
                return
            self._busy_at = time.monotonic()
            cancel = self._running[task_id] = Cancellation(self._watchdog)
        self._pool.submit(self._execute, driver, task_id, task.get("data") or "", cancel)

    def launchTaskGroup(self, driver: Any, tasks: Any) -> None:
        for task in tasks:
            self.launchTask(driver, task)

    def killTask(self, driver: Any, task_id: Any) -> None:
        with self._lock:
            cancel = self._running.get(task_id["value"])
        if cancel is not None:
            cancel.request(KILLED)

    def shutdown(self, driver: Any) -> None:
        """Stop every execution without updates: Mesos tells the framework that their executor ended."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            running = list(self._running.values())
        log.info("shutting down with %s executions", len(running))
        for cancel in running:
            cancel.request(KILLED)
        self._watchdog.after(SHUTDOWN_S if running else 0, self._stopped)

    def leave_if_idle(self, driver: Any) -> bool:
        """End an executor that nobody needs. A launch that is on its way then fails with its executor.

        The agent reports such a task with REASON_EXECUTOR_TERMINATED, which costs the job no try.
        """
        idle_s = self._node.settings.executor_idle_s
        with self._lock:
            if self._running or not driver.is_settled:
                self._busy_at = time.monotonic()
            if self._closing or not idle_s or time.monotonic() - self._busy_at < idle_s:
                return False
            self._closing = True
        log.info("idle for %s s: leaving", idle_s)
        self._stopped()
        return True

    def watch_node(self, driver: Any) -> None:
        """Report what the node uses and look for idleness, until the end. A thread's work."""
        usage, reports = NodeUsage(self._directory.parent), Reports()
        next_look = time.monotonic() + 1
        while not self._closing:
            time.sleep(_IDLE_LOOK_S)
            if self.leave_if_idle(driver):
                return
            if (now := time.monotonic()) >= next_look:
                next_look = now + LOOK_S
                message = reports.message(usage.look(), len(self._running), now)
                if message is not None:
                    driver.sendFrameworkMessage(message)

    def _execute(self, driver: Any, task_id: str, data: str, cancel: Cancellation) -> None:
        with logs.bound(task_id):
            try:
                self._run(driver, task_id, data, cancel)
            except Exception:
                log.exception("the execution was lost in the executor")
                outcome = Outcome(task_id, 0, False, failures.TASK_LAUNCH, "the executor failed; see its log")
                self._send(driver, task_id, "TASK_FAILED", StatusData(None, outcome).encode(), outcome.message)
            finally:
                self._forget(task_id)

    def _run(self, driver: Any, task_id: str, data: str, cancel: Cancellation) -> None:
        try:
            spec = replace(_decode(data), task_id=task_id)
        except ValueError as error:
            outcome = Outcome(task_id, 0, False, failures.TASK_LAUNCH, f"the task's data is malformed: {error}")
            log.error(outcome.message)
            self._send(driver, task_id, "TASK_FAILED", StatusData(None, outcome).encode(), outcome.message)
            return
        directory = self._directory / f"{spec.job_exe_id}-{staging.safe_name(task_id)[-_TASK_ID_SUFFIX:]}"
        self._send(driver, task_id, "TASK_RUNNING", StatusData(str(directory)).encode())
        history.note_each("begun", [spec], "job_exe_id", "job_id", "task_id")
        with tracing.continued(spec.trace_id):
            log.info(
                "execution %s of job %s, %s %s", spec.job_exe_id, spec.job_id, spec.job_type, spec.job_type_version
            )
            outcome = run_execution(spec, directory, self._node, cancel)
        if outcome.succeeded:
            state = "TASK_FINISHED"
        else:
            state = "TASK_KILLED" if cancel.reason == KILLED else "TASK_FAILED"
            log.info("execution %s of %s: %s", spec.job_exe_id, spec.job_type, outcome.message)
        history.note("ended", job_exe_id=spec.job_exe_id, job_id=spec.job_id, task_id=task_id, state=state)
        self._send(driver, task_id, state, encode_outcome(directory, outcome), outcome.message)
        self._prune(directory)

    def _send(self, driver: Any, task_id: str, state: str, data: str, message: str = "") -> None:
        if self._closing:
            return
        status = {"task_id": {"value": task_id}, "state": state, "data": data, "timestamp": time.time()}
        if message:
            status["message"] = message[:_MESSAGE_LIMIT]
        driver.sendStatusUpdate(status)

    def _forget(self, task_id: str) -> None:
        with self._lock:
            self._running.pop(task_id, None)
            finished = self._closing and not self._running
        if finished:
            self._stopped()

    def _prune(self, directory: Path) -> None:
        """Remove the oldest logs: an executor may live for months, and the agent cleans up only after it."""
        now = time.monotonic()
        with self._lock:
            self._ended.append((now, directory))
            oldest_time, oldest = self._ended[0]
            if len(self._ended) <= KEPT_DIRECTORIES and now - oldest_time < KEPT_S:
                return
            self._ended.popleft()
        shutil.rmtree(oldest, ignore_errors=True)


def encode_outcome(directory: Path, outcome: Outcome) -> str:
    """TaskStatus.data of a last update; an outcome too large for a message is left in the directory's outcome.json."""
    data = StatusData(str(directory), outcome).encode()
    if len(data) * 3 // 4 <= INLINE_LIMIT:
        return data
    path = directory / "outcome.json"
    path.write_text(outcome.to_json())
    return StatusData(str(directory), None, str(path)).encode()


def _decode(data: str) -> ExecutionSpec:
    """Raises ValueError when a task's data is not a specification."""
    try:
        return ExecutionSpec.from_json(base64.b64decode(data, validate=True))
    except (binascii.Error, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(str(error)) from error
