"""Mesos tasks as their status updates tell of them: the states, and what one update says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class TaskState(StrEnum):
    """Every state of the v1 API; the DROPPED to UNKNOWN family is sent to PARTITION_AWARE frameworks only."""

    STAGING = "TASK_STAGING"
    STARTING = "TASK_STARTING"
    RUNNING = "TASK_RUNNING"
    KILLING = "TASK_KILLING"
    FINISHED = "TASK_FINISHED"
    FAILED = "TASK_FAILED"
    KILLED = "TASK_KILLED"
    ERROR = "TASK_ERROR"
    LOST = "TASK_LOST"
    DROPPED = "TASK_DROPPED"
    UNREACHABLE = "TASK_UNREACHABLE"
    GONE = "TASK_GONE"
    GONE_BY_OPERATOR = "TASK_GONE_BY_OPERATOR"
    UNKNOWN = "TASK_UNKNOWN"


LIVE_STATES = frozenset({TaskState.STAGING, TaskState.STARTING, TaskState.RUNNING, TaskState.KILLING})


@dataclass(frozen=True)
class TaskUpdate:
    """One status update. `uuid` is empty when Mesos wants no acknowledgement.

    `directory`, `outcome` and `outcome_file` are what our executor put into its data: see domain.execution.StatusData;
    `outcome` is Outcome as a JSON object.
    """

    task_id: str
    state: TaskState
    reason: str = ""
    source: str = ""
    message: str = ""
    agent_id: str = ""
    uuid: str = ""
    directory: str | None = None
    outcome: dict[str, Any] | None = None
    outcome_file: str | None = None

    @property
    def is_terminal(self) -> bool:
        return self.state not in LIVE_STATES
