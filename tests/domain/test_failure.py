"""Every state of Mesos, and the reasons that a real one was seen to give."""

from __future__ import annotations

import pytest

from scale_core.domain.failure import LOST_ERRORS, Failure, classify, classify_task
from scale_core.domain.task import LIVE_STATES, TaskState, TaskUpdate

T = TaskState

# state, reason, had it started, error, costs no try
TABLE = [
    (T.LOST, "REASON_RECONCILIATION", True, "mesos-lost", True),
    (T.LOST, "REASON_INVALID_OFFERS", False, "mesos-lost", True),
    (T.LOST, "REASON_AGENT_REMOVED", True, "node-lost", True),
    (T.LOST, "REASON_SLAVE_REMOVED", True, "node-lost", True),
    (T.LOST, "REASON_AGENT_DISCONNECTED", True, "node-lost", True),
    (T.LOST, "REASON_AGENT_RESTARTED", True, "node-lost", True),
    (T.LOST, "REASON_EXECUTOR_TERMINATED", False, "task-launch", True),
    (T.LOST, "", True, "mesos-lost", True),
    (T.DROPPED, "REASON_INVALID_OFFERS", False, "mesos-lost", True),
    (T.UNREACHABLE, "REASON_AGENT_REMOVED", True, "node-lost", True),
    (T.GONE, "", True, "node-lost", True),
    (T.GONE_BY_OPERATOR, "", True, "node-lost", True),
    (T.UNKNOWN, "REASON_RECONCILIATION", True, "mesos-lost", True),
    (T.FAILED, "REASON_EXECUTOR_TERMINATED", True, "mesos-lost", True),
    (T.FAILED, "REASON_EXECUTOR_TERMINATED", False, "task-launch", True),
    (T.FAILED, "REASON_EXECUTOR_UNREGISTERED", True, "mesos-lost", True),
    (T.FAILED, "REASON_EXECUTOR_REGISTRATION_TIMEOUT", False, "task-launch", True),
    (T.FAILED, "REASON_CONTAINER_LAUNCH_FAILED", False, "task-launch", False),
    (T.FAILED, "REASON_CONTAINER_LIMITATION_MEMORY", True, "unknown", False),
    (T.FAILED, "", True, "unknown", False),
    (T.FINISHED, "", True, "unknown", False),
    (T.KILLED, "", True, "mesos-lost", True),
    (T.KILLED, "REASON_TASK_KILLED_DURING_LAUNCH", False, "mesos-lost", True),
    (T.ERROR, "REASON_TASK_INVALID", False, "task-launch", False),
    (T.ERROR, "REASON_TASK_UNAUTHORIZED", False, "task-launch", False),
]


@pytest.mark.parametrize(("state", "reason", "started", "error", "lost"), TABLE)
def test_tasks_that_end_without_an_outcome(state: T, reason: str, started: bool, error: str, lost: bool) -> None:
    failure = classify_task(state, reason, has_started=started)
    assert (failure.error, failure.lost) == (error, lost)
    facts = {"state": state.value, "reason": reason, "message": "said so", "has_started": started}
    assert classify({"mesos": facts}, {}) == Failure(error, lost, "said so")


def test_a_launch_that_was_too_much_because_its_executor_had_left_costs_no_try() -> None:
    """What Mesos 1.11 says when a task and the executor that it needs again are more than the offers."""
    resources = "cpus(allocated: *):0.2; mem(allocated: *):96"
    said = f"Total resources {resources} required by task and its executor is more than available {resources}"
    facts = {"state": T.ERROR.value, "reason": "REASON_TASK_INVALID", "message": said}
    assert classify({"mesos": facts}, {}) == Failure("mesos-lost", lost=True, message=said)


def test_the_table_knows_every_state_that_can_end_a_task() -> None:
    assert {row[0] for row in TABLE} == set(T) - LIVE_STATES
    assert all(TaskUpdate("t", state).is_terminal == (state not in LIVE_STATES) for state in T)


@pytest.mark.parametrize("state", [T.KILLED, T.FAILED])
def test_what_was_killed_for_its_timeout_costs_a_try(state: T) -> None:
    failure = classify({"mesos": {"state": state.value, "timed_out": True, "message": "killed"}}, {})
    assert (failure.error, failure.lost) == ("timeout", False)
    assert "timeout" in failure.message


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ({"error": "timeout", "job": {"exit_code": 3}}, "timeout"),
        ({"error": None, "job": {"exit_code": 3}}, "bad-data"),
        ({"error": None, "job": {"exit_code": 4}}, "algorithm-unknown"),
        ({"error": None, "job": {"exit_code": -9}}, "algorithm-unknown"),
        ({"error": None, "job": {"exit_code": 0}, "post": {"exit_code": 1}}, "unknown"),
        ({"error": None, "job": None}, "unknown"),
    ],
)
def test_outcomes_of_a_node(outcome: dict[str, object], error: str) -> None:
    assert classify({**outcome, "message": "m"}, {"exit_codes": {"3": "bad-data"}}) == Failure(error, False, "m")


@pytest.mark.parametrize("mapping", [{}, {"version": "1.0", "exit_codes": None}])
def test_a_job_type_without_exit_codes(mapping: dict[str, object]) -> None:
    assert classify({"job": {"exit_code": 3}}, mapping).error == "algorithm-unknown"


@pytest.mark.parametrize("error", sorted(LOST_ERRORS))
def test_an_executor_may_say_that_the_cluster_failed(error: str) -> None:
    assert classify({"error": error}, {}).lost
