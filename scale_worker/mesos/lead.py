"""What whoever leads may still do: transactions in which nobody else can take the lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from scale_core.db.session import Sessions, transaction
from scale_core.services import scheduling
from scale_core.services.scheduling import SchedulerState

EPOCH_VALID_S = 1.0  # so long after a look a launch needs no further one: nobody is deposed that fast


class Lead:
    """`state` is the scheduler's as of the begin of the newest transaction. `clock` is monotonic seconds."""

    def __init__(self, sessions: Sessions, epoch: int | None, clock: Callable[[], float]) -> None:
        """`epoch` is ours (scheduling.begin_epoch); None: nobody else can lead."""
        self._sessions, self._epoch, self._clock = sessions, epoch, clock
        self._checked_at = 0.0
        self.state = SchedulerState(is_paused=False, framework_id=None)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Raises Deposed."""
        with transaction(self._sessions) as session:
            if self._epoch is None:
                self.state = scheduling.load_scheduler(session)
            else:
                self.state = scheduling.check_epoch(session, self._epoch)
            self._checked_at = self._clock()
            yield session

    def recheck(self) -> None:
        """A process that was stopped (SIGSTOP) between its commit and its launch must not launch. Raises Deposed.

        What gets between this and the call is for the master: it refuses calls of a stream that another one follows.
        """
        if self._clock() - self._checked_at > EPOCH_VALID_S:
            with self.transaction():
                pass
