"""Waiting for what may never answer: once, by one thread, and anew in a process that was forked."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from scale_core import patience
from scale_core.errors import BrokerError


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """A place "far" that does not answer before the event is set."""
    answers = threading.Event()
    with pytest.raises(BrokerError, match="far does not answer"):
        patience.within("far", lambda: answers.wait(60), 0.1)
    yield answers
    answers.set()


def test_others_are_asked_and_it_is_asked_again_when_it_answers(hanging: threading.Event) -> None:
    assert patience.within("near", lambda: 3) == 3
    asked = threading.Event()
    with pytest.raises(BrokerError, match="far does not answer"):
        patience.within("far", asked.set)
    assert not asked.is_set(), "not while it hangs"
    hanging.set()
    for thread in threading.enumerate():
        if thread.name == "touching far":
            thread.join(30)
    assert patience.within("far", lambda: 4) == 4


def test_what_the_function_raises_is_raised() -> None:
    for error in (ValueError("its own"), TimeoutError("its own")):
        with pytest.raises(type(error), match="its own"):
            patience.within("near", lambda error=error: (_ for _ in ()).throw(error))


def test_a_forked_process_waits_for_nobody_of_its_parent(hanging: threading.Event) -> None:
    """Threads are not forked: neither the one that hangs, nor one that just holds the lock."""
    with patience._lock:
        child = os.fork()
        if not child:
            answer = patience.within("far", lambda: 7, 30)
            os._exit(answer)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert not hanging.is_set()
