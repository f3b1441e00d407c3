"""Why an execution failed: what Mesos or the node said -> an entry of the error catalogue; and did it cost a try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scale_core.domain.task import TaskState


@dataclass(frozen=True)
class Failure:
    """`error` names a row of the error catalogue. `lost`: the cluster failed, not the job, so it costs no try."""

    error: str
    lost: bool
    message: str = ""


T = TaskState

LOST_STATES = frozenset({T.LOST, T.DROPPED, T.UNREACHABLE, T.GONE, T.GONE_BY_OPERATOR, T.UNKNOWN})
NODE_LOST_STATES = frozenset({T.UNREACHABLE, T.GONE, T.GONE_BY_OPERATOR})

# Mesos 1.4 says SLAVE where 1.11 says AGENT
NODE_LOST_REASONS = frozenset(
    f"REASON_{name}_{what}"
    for name in ("AGENT", "SLAVE")
    for what in ("REMOVED", "REMOVED_BY_OPERATOR", "DISCONNECTED", "UNKNOWN", "RESTARTED", "REREGISTERED")
)

# the executor ended and took its tasks with it
EXECUTOR_REASONS = frozenset(
    {
        "REASON_EXECUTOR_TERMINATED",
        "REASON_EXECUTOR_UNREGISTERED",
        "REASON_EXECUTOR_PREEMPTED",
        "REASON_EXECUTOR_REREGISTRATION_TIMEOUT",
        "REASON_EXECUTOR_REGISTRATION_TIMEOUT",
    }
)

# the agent or master refused to begin; it would refuse again, so a try is charged
LAUNCH_REASONS = frozenset(
    {
        "REASON_CONTAINER_LAUNCH_FAILED",
        "REASON_CONTAINER_PREEMPTED",
        "REASON_CONTAINER_UPDATE_FAILED",
        "REASON_INVALID_FRAMEWORKID",
        "REASON_TASK_INVALID",
        "REASON_TASK_UNAUTHORIZED",
        "REASON_TASK_GROUP_INVALID",
        "REASON_TASK_GROUP_UNAUTHORIZED",
        "REASON_RESOURCES_UNKNOWN",
    }
)

# Never more is launched than was offered: what is too much all of a sudden is the executor, which has left meanwhile
# and is to be started again.
TOO_MUCH = "required by task and its executor is more than available"

LOST_ERRORS = frozenset({"mesos-lost", "node-lost", "scheduler-lost"})


def classify_task(
    state: TaskState, reason: str = "", said: str = "", *, has_started: bool = False, timed_out: bool = False
) -> Failure:
    """What the end of a task without an outcome of its executor means; `said` is Mesos' message.

    An executor that dies before the task ran took down a job that had no part in it: that costs no try either. A node
    where executors cannot start at all does not go on for ever: domain.job.MAX_LOST bounds what a job may lose.
    """
    if timed_out:
        return Failure("timeout", lost=False, message="ran longer than its timeout and was killed")
    if reason in EXECUTOR_REASONS:
        return _lost("mesos-lost" if has_started else "task-launch", state, reason)
    if state in NODE_LOST_STATES or reason in NODE_LOST_REASONS:
        return _lost("node-lost", state, reason)
    if state in LOST_STATES or state is T.KILLED or (reason == "REASON_TASK_INVALID" and TOO_MUCH in said):
        return _lost("mesos-lost", state, reason)
    if state is T.ERROR or reason in LAUNCH_REASONS:
        return _charged("task-launch", state, reason)
    return _charged("unknown", state, reason)


def classify(outcome: Mapping[str, Any], error_mapping: Mapping[str, Any]) -> Failure:
    """Why the execution with this `job_exe.outcome` failed: Outcome as JSON, or ``{"mesos": {…}}`` when none came.

    `error_mapping` is the job type's error interface. Its names are not checked against the catalogue.
    """
    if "mesos" in outcome:
        return _classify_facts(outcome["mesos"])
    message = str(outcome.get("message") or "")
    error = outcome.get("error")
    if error:
        return Failure(str(error), lost=error in LOST_ERRORS, message=message)
    exit_code = (outcome.get("job") or {}).get("exit_code")
    if exit_code:
        mapped = (error_mapping.get("exit_codes") or {}).get(str(exit_code))
        return Failure(mapped or "algorithm-unknown", lost=False, message=message)
    return Failure("unknown", lost=False, message=message)


def _classify_facts(facts: Mapping[str, Any]) -> Failure:
    if facts.get("error"):  # it was never sent to Mesos
        return Failure(str(facts["error"]), lost=False, message=str(facts.get("message") or ""))
    said = str(facts.get("message") or "")
    failure = classify_task(
        TaskState(facts.get("state") or T.LOST),
        str(facts.get("reason") or ""),
        said,
        has_started=bool(facts.get("has_started")),
        timed_out=bool(facts.get("timed_out")),
    )
    return Failure(failure.error, failure.lost, said if said and not facts.get("timed_out") else failure.message)


def _lost(error: str, state: TaskState, reason: str) -> Failure:
    return Failure(error, lost=True, message=f"{state} {reason}".strip())


def _charged(error: str, state: TaskState, reason: str) -> Failure:
    return Failure(error, lost=False, message=f"{state} {reason}".strip())
