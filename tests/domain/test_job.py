"""Statuses of jobs: every pair of them; and when a failed job is tried again."""

from __future__ import annotations

import itertools

import pytest

from scale_core.domain.job import (
    FINAL_JOB_STATUSES,
    JOB_MOVES,
    ErrorCategory,
    JobStatus,
    Resources,
    check_move,
    may_retry,
    origins,
)
from scale_core.errors import IllegalTransition

# written out once more, by hand: a change of the table has to be meant
EXPECTED = {
    "PENDING": {"QUEUED", "BLOCKED", "FAILED", "CANCELED"},
    "BLOCKED": {"PENDING", "CANCELED"},
    "QUEUED": {"RUNNING", "CANCELED"},
    "RUNNING": {"QUEUED", "COMPLETED", "FAILED", "CANCELED"},
    "FAILED": {"QUEUED", "CANCELED", "PENDING", "BLOCKED"},
    "CANCELED": {"QUEUED", "PENDING", "BLOCKED"},
    "COMPLETED": set(),
}


@pytest.mark.parametrize(("start", "finish"), list(itertools.product(JobStatus, JobStatus)))
def test_every_pair_of_statuses(start: JobStatus, finish: JobStatus) -> None:
    if finish.value in EXPECTED[start.value]:
        check_move(7, start, finish)
        assert start in origins(finish)
    else:
        with pytest.raises(IllegalTransition, match=f"job 7 is {start} and cannot become {finish}"):
            check_move(7, start, finish)
        assert start not in origins(finish)


def test_only_completed_is_for_ever() -> None:
    assert {status for status in JobStatus if not JOB_MOVES[status]} == {JobStatus.COMPLETED}
    assert {s.value for s in FINAL_JOB_STATUSES} == {"FAILED", "COMPLETED", "CANCELED"}


@pytest.mark.parametrize(
    ("category", "tries", "max_tries", "is_long_running", "again"),
    [
        ("SYSTEM", 1, 3, False, True),
        ("SYSTEM", 3, 3, False, False),
        ("SYSTEM", 1, 0, False, False),
        ("DATA", 1, 3, False, False),
        ("ALGORITHM", 1, 3, False, False),
        ("ALGORITHM", 9, 0, True, True),
    ],
)
def test_retries(category: str, tries: int, max_tries: int, is_long_running: bool, again: bool) -> None:
    assert may_retry(ErrorCategory(category), tries, max_tries, is_long_running) is again


def test_resources_hold_what_fits_in_each_of_them() -> None:
    whole = Resources(1.0, 100.0, 10.0)
    assert whole.holds(Resources(1.0, 100.0, 10.0))
    assert not whole.holds(Resources(1.1, 1.0, 1.0))
    assert not whole.holds(Resources(0.1, 101.0, 1.0))
    assert not whole.holds(Resources(0.1, 1.0, 11.0))
    assert whole - Resources(0.5, 50.0, 5.0) + Resources(0.5, 50.0, 5.0) == whole
