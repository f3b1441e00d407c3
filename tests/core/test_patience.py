"""Places that do not answer: whoever asks goes on, and one lost thread is enough."""

from __future__ import annotations

import threading

import pytest

from scale_core.errors import BrokerError
from scale_core.patience import within


def test_answers_and_errors_come_through() -> None:
    assert within("quick:/", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within("quick:/", lambda: 1 // 0)
    with pytest.raises(TimeoutError, match="the function's own"):
        within("quick:/", lambda: _raise(TimeoutError("the function's own")))


def test_a_place_that_hangs_is_touched_by_one_thread_only_until_it_answers() -> None:
    answer, touched = threading.Event(), []

    def touch() -> str:
        touched.append(1)
        answer.wait(60)
        return "done"

    for _ in range(3):
        with pytest.raises(BrokerError, match="stuck:/ does not answer"):
            within("stuck:/", touch, 0.05)
    assert touched == [1]
    assert within("other:/", lambda: 1) == 1, "others are not held up"
    (thread,) = [each for each in threading.enumerate() if each.name == "touching stuck:/"]
    answer.set()
    thread.join(60)
    assert within("stuck:/", touch) == "done"


def _raise(error: Exception) -> None:
    raise error
