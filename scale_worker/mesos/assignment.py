"""What starts where: pages of the queue are claimed, matched with the places, and what fits is started.

All of it happens in one transaction of the offer handler; what is launched and what is refused is the handler's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from scale_core.domain.places import Places
from scale_core.domain.scheduling import Launch, Matcher, QueueEntry
from scale_core.domain.waiting import back_off
from scale_core.services import node_health, scheduling
from scale_core.services.scheduling import Started
from scale_worker.mesos.messages import ExecutorConfig

# Entries in a page of the queue: the first of a round is short and each further one twice as long, because a queue of
# any length mostly waits for a few free places, and each entry that is claimed costs a row lock.
FIRST_CLAIM = 50
CLAIM_WINDOW = 500
PAGES_A_ROUND = 20
OVERDUE_EVERY = timedelta(seconds=1)  # what waits for its turn for a minute may wait so long to be noticed


class QueueHead:
    """The low-water mark of the queue: nothing waits before `place`. It moves up with the queue and down with news."""

    def __init__(self) -> None:
        self.place: scheduling.Place | None = None

    @property
    def just_before(self) -> scheduling.Place | None:
        """For claims, which look behind a place."""
        return (*self.place[:2], self.place[2] - 1) if self.place else None

    def lower(self, since: tuple[int, datetime] | None) -> None:
        """Something was queued, nothing of it before `since`; None: look from the very beginning."""
        if since is None:
            self.place = None
        elif self.place is not None:
            self.place = min(self.place, (*since, 0))

    def find(self, session: Session) -> bool:
        """Move up to the first row that waits; whether there is one."""
        found = scheduling.head(session, self.place)
        self.place = found or self.place
        return found is not None


class Assignment:
    """Remembers from round to round where the queue begins, what is free, which nodes are kept free, and why jobs wait.

    After `start`: `launches` by execution, also of those that could not be started after all; `is_short`: something
    waits that more offers could start; `has_more`: there is more in the queue than was looked at.
    """

    def __init__(self, executor: ExecutorConfig, reserve_after: timedelta) -> None:
        self.head = QueueHead()
        self.places = Places(executor.id, executor.resources)
        self.launches: Mapping[int, Launch] = {}
        self.is_short = self.has_more = False
        self._reserve_after = reserve_after
        self._overdue_at: datetime | None = None
        self._reservations: Mapping[int, int] = {}
        self._waiting: Mapping[int, str] = {}

    def start(self, session: Session, most: int, now: datetime) -> Started:
        """Start what fits, about `most` executions at a time. To be committed before anything is launched."""
        kept = {entry.job_exe_id: entry for entry in scheduling.reserving(session, self._reservations.values())}
        self._reservations = {node: job_exe_id for node, job_exe_id in self._reservations.items() if job_exe_id in kept}
        matcher = self._matcher(session, now)
        matcher.add(kept.values())
        self.has_more = self._match(session, matcher, kept.keys(), most, now)
        matching = matcher.result()
        self.is_short = matcher.is_short
        self._waiting, self._reservations = matching.waiting, matching.reservations
        self.launches = {launch.entry.job_exe_id: launch for launch in matching.launches}
        launches: Sequence[Launch] = matching.launches
        if probed := self.places.cluster.probed:
            launches = node_health.limit_probes(session, launches, probed)
            self.has_more = self.has_more or len(launches) < len(matching.launches)
        return scheduling.start(session, launches, now)

    def reasons(self, session: Session, samples: Sequence[QueueEntry], now: datetime) -> dict[int, str]:
        """Why the jobs of each type wait, as far as they have reason to; `samples` has one of each."""
        matcher = self._matcher(session, now)
        blocked = matcher.blocked_types
        reasons = {
            entry.job_type_id: (entry.job_type_id not in blocked and back_off(entry.not_before, now))
            or matcher.reason(entry)
            or self._waiting.get(entry.job_type_id)
            for entry in samples
        }
        return {kind: reason for kind, reason in reasons.items() if reason}

    def _matcher(self, session: Session, now: datetime) -> Matcher:
        return Matcher(
            self.places,
            scheduling.limits(session),
            now=now,
            reserve_after=self._reserve_after,
            reservations=self._reservations,
        )

    def _match(self, session: Session, matcher: Matcher, seen: Collection[int], most: int, now: datetime) -> bool:
        """Whether there is more than one round can look at."""
        after, launched = self.head.just_before, 0
        extra = self._overdue(session, matcher, now)
        for number in range(PAGES_A_ROUND):
            window = min(FIRST_CLAIM * 2**number, CLAIM_WINDOW, most - launched)
            free, blocked = matcher.largest_free, matcher.blocked_types
            page = scheduling.claim(session, window, free, blocked, after, matcher.hopeless)
            launched += len(matcher.add(entry for entry in [*page, *extra] if entry.job_exe_id not in seen))
            extra = []
            if len(page) < window:
                return False
            after = page[-1].key
            if launched >= most:
                break
        return True

    def _overdue(self, session: Session, matcher: Matcher, now: datetime) -> list[QueueEntry]:
        """What waits too long for a node that has room, now and then. A clock that was set back asks again."""
        if self._overdue_at is not None and timedelta(0) <= now - self._overdue_at < OVERDUE_EVERY:
            return []
        self._overdue_at = now
        return scheduling.overdue(
            session, matcher.largest_free, matcher.blocked_types, now, self._reserve_after, self.head.place
        )
