"""Waiting for a file system that may never answer: a network mount whose server is gone blocks whoever touches it.

No signal ends such a call. So it runs on a thread of its own, and whoever asked goes on without it when the time is
up. While it hangs, nobody else of this process touches the same place: there is one lost thread, not one per try.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from scale_core.errors import BrokerError

Result = TypeVar("Result")
PATIENCE_S = 5.0

_lock = threading.Lock()
_hanging: dict[str, Future[Any]] = {}


def _begin_anew() -> None:
    """In a forked child: the parent's threads are not there, neither one that holds the lock nor those that hang."""
    global _lock
    _lock = threading.Lock()
    _hanging.clear()


os.register_at_fork(after_in_child=_begin_anew)


def within(place: str, function: Callable[[], Result], seconds: float | None = None) -> Result:
    """What the function returns or raises. Raises BrokerError when the place (a mount) does not answer within
    `seconds`, by default PATIENCE_S.

    A call that is late goes on by itself: the function must be harmless then.
    """
    with _lock:
        before = _hanging.get(place)
        if before is not None and not before.done():
            raise _silent(place)
        _hanging.pop(place, None)
    answer: Future[Result] = Future()
    threading.Thread(target=_run, args=(function, answer), name=f"touching {place}", daemon=True).start()
    try:
        return answer.result(PATIENCE_S if seconds is None else seconds)
    except FutureTimeout:
        if answer.done():
            raise  # the function's own
        with _lock:
            _hanging[place] = answer
        raise _silent(place) from None


def _run(function: Callable[[], Result], answer: Future[Result]) -> None:
    try:
        answer.set_result(function())
    except BaseException as error:  # carried to whoever waits
        answer.set_exception(error)


def _silent(place: str) -> BrokerError:
    return BrokerError(f"{place} does not answer; its mount seems to hang on this machine")
