"""Statuses of jobs and executions, which may follow which, and when a failed job is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scale_core.errors import IllegalTransition


class JobStatus(StrEnum):
    PENDING = "PENDING"  # part of a recipe, waits for its inputs
    BLOCKED = "BLOCKED"  # a job before it in its recipe failed or was canceled
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class ExecutionStatus(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class ErrorCategory(StrEnum):
    SYSTEM = "SYSTEM"  # Scale's or the cluster's fault: tried again
    ALGORITHM = "ALGORITHM"
    DATA = "DATA"


J = JobStatus

JOB_MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    J.PENDING: frozenset({J.QUEUED, J.BLOCKED, J.FAILED, J.CANCELED}),
    J.BLOCKED: frozenset({J.PENDING, J.CANCELED}),
    J.QUEUED: frozenset({J.RUNNING, J.CANCELED}),
    # back to QUEUED: an automatic retry, never visible as FAILED
    J.RUNNING: frozenset({J.QUEUED, J.COMPLETED, J.FAILED, J.CANCELED}),
    J.FAILED: frozenset({J.QUEUED, J.CANCELED, J.PENDING, J.BLOCKED}),
    J.CANCELED: frozenset({J.QUEUED, J.PENDING, J.BLOCKED}),
    J.COMPLETED: frozenset(),
}

FINAL_JOB_STATUSES = frozenset({J.FAILED, J.COMPLETED, J.CANCELED})
BLOCKING_JOB_STATUSES = frozenset({J.FAILED, J.CANCELED, J.BLOCKED})


def origins(finish: JobStatus) -> tuple[JobStatus, ...]:
    """The statuses from which a job may become `finish`: the `WHERE status = ANY(…)` of the compare-and-set."""
    return tuple(start for start, finishes in JOB_MOVES.items() if finish in finishes)


def check_move(job_id: int, start: JobStatus, finish: JobStatus) -> None:
    """Raise IllegalTransition unless a job may go from start to finish."""
    if finish not in JOB_MOVES[start]:
        raise IllegalTransition("job", [job_id], start, finish)


# an execution that the cluster lost costs no try, but a job that takes its nodes down each time must end
MAX_LOST = 20


def may_retry(category: ErrorCategory, tries: int, max_tries: int, is_long_running: bool) -> bool:
    """Whether a failed job goes back to the queue by itself.

    SYSTEM errors are tried up to `max_tries` times; DATA and ALGORITHM errors are final; long-running jobs always
    return (Job Type Services: is_long_running). `tries` leaves out the executions that the cluster lost.
    """
    return is_long_running or (category is ErrorCategory.SYSTEM and tries < max_tries)


@dataclass(frozen=True)
class Resources:
    """cpus, MiB of memory and disk, and GPUs."""

    cpus: float = 0.0
    mem: float = 0.0
    disk: float = 0.0
    gpus: float = 0.0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cpus + other.cpus, self.mem + other.mem, self.disk + other.disk, self.gpus + other.gpus)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.cpus - other.cpus, self.mem - other.mem, self.disk - other.disk, self.gpus - other.gpus)

    def holds(self, other: Resources) -> bool:
        """Whether `other` fits in here; a thousandth is forgiven because Mesos counts in thousandths."""
        return (
            other.cpus <= self.cpus + 0.001
            and other.mem <= self.mem + 0.001
            and other.disk <= self.disk + 0.001
            and other.gpus <= self.gpus + 0.001
        )
