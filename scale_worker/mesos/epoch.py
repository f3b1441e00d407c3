"""The epoch of whoever leads (leadership.py says who): transactions in which nobody else can begin the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from scale_core.db.session import Sessions, transaction
from scale_core.services import scheduling
from scale_core.services.scheduling import SchedulerState

EPOCH_VALID_S = 1.0  # so long after a look a launch needs no further one: nobody is deposed that fast


class Epoch:
    """`state` is the scheduler's as of the begin of the newest transaction. `clock` is monotonic seconds."""

    def __init__(self, sessions: Sessions, number: int | None, clock: Callable[[], float]) -> None:
        """`number` is that of scheduling.begin_epoch; None: nobody else can lead."""
        self._sessions, self._number, self._clock = sessions, number, clock
        self._checked_at = 0.0
        self.state = SchedulerState(is_paused=False, framework_id=None)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Raises Deposed."""
        with transaction(self._sessions) as session:
            if self._number is None:
                self.state = scheduling.load_scheduler(session)
            else:
                self.state = scheduling.check_epoch(session, self._number)
            self._checked_at = self._clock()
            yield session

    def recheck(self) -> None:
        """A process that was stopped (SIGSTOP) between its commit and its launch must not launch. Raises Deposed.

        What gets between this and the call is for the master: it refuses calls of a stream that another one follows.
        """
        if self._clock() - self._checked_at > EPOCH_VALID_S:
            with self.transaction():
                pass
