"""The process between the queue and Mesos: one thread, one round after the other.

A round takes what came in; writes down a batch of status updates, then acknowledges them; matches the queue with the
offers, writes the launches down, then launches; and returns what offers it does not need. PostgreSQL or Mesos may be
away at any moment: nothing is acknowledged or launched that is not committed, so a round can be repeated.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from scale_core import history
from scale_core.db.session import Sessions
from scale_core.domain.execution import ExecutionSpec
from scale_core.domain.node_health import HealthPolicy
from scale_core.domain.places import Offer
from scale_core.domain.task import TaskUpdate
from scale_core.errors import Deposed
from scale_core.services import node_health, overdue, scheduling, task_status
from scale_core.services.scheduling import Heartbeat, Started
from scale_core.services.task_status import Applied
from scale_worker.mesos import messages, reconciler
from scale_worker.mesos.agents import Agents
from scale_worker.mesos.assignment import Assignment
from scale_worker.mesos.calls import Calls, SchedulerDriver
from scale_worker.mesos.epoch import Epoch
from scale_worker.mesos.figures import Figures
from scale_worker.mesos.messages import Event, ExecutorConfig
from scale_worker.mesos.offer_pool import OfferPool
from scale_worker.mesos.pace import Pace
from scale_worker.mesos.reconciler import Reconciler
from scale_worker.mesos.timetable import Timetable

logger = logging.getLogger(__name__)

EVENTS_A_ROUND = 5000
IDLE_WAIT_S = 1.0
BUSY_WAIT_S = 0.02
PART_S = 0.06  # a round writes updates and makes launches for about so long each, however slow the machine
UPDATES_A_BATCH = (100, 500)
MAX_POSTPONED = 3  # rounds in a row that only write updates, while more than a batch of them waits
LAUNCHES_A_ROUND = (100, 500)
LAUNCH_PAUSE_S = 0.05  # at most, and no longer than launching took: what has ended meanwhile does not wait for launches
REMATCH_S = 0.8  # while offers are held and work waits: a pause may have been lifted without a NOTIFY
REFUSE_S = 1.0  # for offers that nothing waiting fits into
IDLE_REFUSE_S = 600.0  # with an empty queue; the next queue row revives
REVIVE_EVERY_S = 0.1  # freed resources are offered at once instead of at the master's next tick
UPKEEP_EVERY_S = {"nodes": 1.0, "kill": 1.0, "health": 2.0, "beat": 2.0}
# While nothing waits. What is older than in busy times is done before anything is placed; a cancel comes by NOTIFY, and
# timeouts have a grace.
UPKEEP_IDLE_S = 4.0
HEAD_EVERY_S = 30.0  # the queue is looked at from its very beginning: a NOTIFY may have been lost
AHEAD_S = 0.5
DATABASE_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
MASTER_AWAY = "no Mesos master is connected"


@dataclass(frozen=True)
class HandlerConfig:
    """Durations in seconds, as in Settings."""

    executor: ExecutorConfig
    hostname: str
    offer_hold_s: float = 5.0
    reserve_after_s: float = 60.0
    reconcile_s: float = 60.0
    timeout_grace_s: float = 30.0
    health: HealthPolicy = field(default_factory=HealthPolicy)
    epoch: int | None = None  # of our lead (scheduling.begin_epoch); None: nothing else can lead


class OfferHandler:
    """run_once is called by one thread for ever.

    `on_ended` hears of executions to finish, `acknowledge` of updates that are written (by default the driver does, and
    is waited for); neither may block.
    """

    def __init__(
        self,
        sessions: Sessions,
        driver: SchedulerDriver,
        inbox: SimpleQueue[Any],
        config: HandlerConfig,
        on_ended: Callable[[Sequence[int]], None],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        acknowledge: Callable[[Sequence[TaskUpdate]], object] | None = None,
    ) -> None:
        self._inbox, self._config = inbox, config
        self._on_ended, self._now, self._clock = on_ended, now, clock
        self._pool, self._agents = OfferPool(), Agents()
        self._assignment = Assignment(config.executor, timedelta(seconds=config.reserve_after_s))
        self._figures, self._times = Figures(clock), Timetable(clock)
        self._epoch, self._calls = Epoch(sessions, config.epoch, clock), Calls(driver, self._figures, clock)
        self._acknowledge = acknowledge or self._calls.acknowledge
        self._update_pace, self._launch_pace = Pace(PART_S, *UPDATES_A_BATCH), Pace(PART_S, *LAUNCHES_A_ROUND)
        self._reconciler = Reconciler(config.reconcile_s)
        self._master: messages.Subscribed | None = None
        self._updates: dict[object, messages.UpdateReceived] = {}
        self._facts: list[Callable[[Session], list[int]]] = []  # to be written before anything else, in order
        self._usages: dict[str, Mapping[str, Any]] = {}  # by agent; the newest of each, until written
        self._has_work = False
        self._is_dirty = True
        self._is_suppressed = False
        self._has_written = False  # updates, since the last launches
        self._has_freed = False  # something ended, so that there is more to be offered
        self._is_short = False  # something waits that more offers could start
        self._is_refusing = False  # offers were refused for long
        self._postponed = 0  # rounds in which nothing was launched because updates waited
        self._last_error: str | None = None
        self._database_failures = 0
        self._next: dict[str, float] = defaultdict(float)  # not before
        self.round_began = clock()
        self.leadership_in_doubt = False
        self.is_deposed = False

    def run_once(self, timeout_s: float) -> None:
        """One round; waits up to timeout_s for something to come in. Raises nothing that Mesos or PostgreSQL cause."""
        events = self._drain(timeout_s)
        self.round_began = self._clock()
        with self._figures.round():
            self._round(events)

    def _round(self, events: Iterable[Event]) -> None:
        self._absorb(events)
        if self._clock() < self._next["database"]:
            self._give_back_all()
            return
        try:
            self._write_facts()
            self._apply_updates()
            self._maintain()
            self._schedule()
            self._database_failures = 0
        except SQLAlchemyError as error:
            self._pause_for_database(error)
        except Deposed as error:
            logger.warning("%s; nothing more is written or launched", error)
            self.is_deposed = True
            return
        self._return_offers()

    def patience(self) -> float:
        """How long the next round may wait for something to come in, seconds."""
        pause_s = self._next["database"] - self._clock()
        if pause_s > 0:
            return min(pause_s, IDLE_WAIT_S)
        if self._master is None:
            return IDLE_WAIT_S
        if self._updates:
            return 0.0
        if self._is_dirty and self._pool:
            return self._pause_s()
        return BUSY_WAIT_S if self._is_dirty or self._wants_revive else IDLE_WAIT_S

    def figures(self) -> dict[str, Any]:
        """What it counts of its work: figures.py."""
        return self._figures.show(offers_held=len(self._pool))

    # what came in

    def _drain(self, timeout_s: float) -> list[Event]:
        events: list[Event] = []
        with suppress(Empty):
            events.append(self._inbox.get(timeout=max(0.0, timeout_s)))
            while len(events) < EVENTS_A_ROUND:
                events.append(self._inbox.get_nowait())
        return events

    def _absorb(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case messages.UpdateReceived(update=update):
                    self._updates.setdefault(update.uuid or object(), event)  # Mesos repeats what is not acknowledged
                case messages.OffersReceived(offers=offers):
                    self._take_offers(offers)
                case messages.OfferRescinded(offer_id=offer_id):
                    self._pool.rescind(offer_id)
                    self._figures.add("rescinded")
                case messages.QueueChanged(since=since):
                    self._is_dirty = True
                    self._assignment.head.lower(since)
                    if since is None:  # a cancel, a pause, an edit: to be seen to at once
                        self._times.hasten("kill", "nodes")
                case messages.NodeUsage(agent_id=agent_id, usage=usage):
                    self._usages[agent_id] = usage
                case messages.AgentLost(agent_id=agent_id):
                    self._lose_agent(agent_id)
                case messages.AgentsListed(agents=agents):
                    self._agents.listed(agents, self._clock())
                    self._times.hasten("nodes")
                case messages.Subscribed():
                    self._subscribe(event)
                case messages.Disconnected():
                    self._disconnect()
                case messages.FrameworkRemoved(message=message):
                    self._remove_framework(message)
                case messages.FrameworkError(message=message):
                    logger.error("Mesos refuses the framework: %s", message)
                    self._last_error, self.leadership_in_doubt = message, True

    def _subscribe(self, event: messages.Subscribed) -> None:
        logger.info("framework %s is subscribed at %s:%s", event.framework_id, event.master_hostname, event.master_port)
        self._master, self._last_error = event, None
        self._pool.clear()
        self._is_suppressed, self._is_refusing, self._is_dirty = False, False, True
        self._reconciler.subscribed(self._clock())
        self._facts.append(lambda session: self._save_framework(session, event.framework_id))

    def _save_framework(self, session: Session, framework_id: str | None) -> list[int]:
        scheduling.save_framework_id(session, framework_id)
        return []

    def _disconnect(self) -> None:
        self._master = None
        self._pool.clear()
        self._reconciler.disconnected()

    def _remove_framework(self, message: str) -> None:
        """The id is dead and its tasks are killed; the driver subscribes as a new framework."""
        logger.error("%s; all running executions are lost, a new framework begins", message)
        self._facts.append(lambda session: self._save_framework(session, None))
        self._facts.append(
            lambda session: task_status.lose_all(session, "REASON_FRAMEWORK_REMOVED", message, self._now())
        )

    def _take_offers(self, offers: Iterable[Offer]) -> None:
        now, offers = self._clock(), tuple(offers)
        self._pool.add(offers, now)
        self._figures.add("offers", len(offers))
        self._agents.offered(offers, now)
        self._is_dirty = True

    def _lose_agent(self, agent_id: str) -> None:
        logger.warning("agent %s is lost", agent_id)
        self._pool.remove_agent(agent_id)
        self._agents.lost(agent_id)
        self._reconciler.agent_lost(agent_id, self._clock())
        self._times.hasten("nodes")

    # what is written

    def _write_facts(self) -> None:
        if not self._facts and not self._agents.has_news:
            return
        with self._epoch.transaction() as session:
            ended = [job_exe_id for write in self._facts for job_exe_id in write(session)]
            if self._agents.has_news and self._agents.write(session, self._now()):
                self._times.hasten("nodes")
        self._facts.clear()
        self._agents.written()
        self._announce(ended)

    def _apply_updates(self) -> None:
        """One batch; between two there is a look at the offers, so that a flood of news holds nobody up."""
        keys = list(islice(self._updates, self._update_pace.size))
        if not keys:
            return
        self._update_pace.begin()
        updates = [self._updates[key].decode() for key in keys]
        applied = self._apply(updates)
        history.note_each("written", updates, "task_id", "state")
        if applied.completed:
            history.note("finished", job_exe_ids=applied.completed)
        for key in keys:
            del self._updates[key]
        self._update_pace.done(len(updates))
        self._has_written = True
        self._figures.add("updates", len(updates))
        self._acknowledge(updates)
        self._announce(applied.ended)
        self._kill(applied.kill)
        self._has_freed = self._has_freed or any(update.is_terminal for update in updates)

    def _apply(self, updates: Sequence[TaskUpdate]) -> Applied:
        try:
            with self._epoch.transaction() as session:
                return task_status.apply_updates(session, updates, self._now())
        except (DBAPIError, ValueError, TypeError) as error:
            if isinstance(error, OperationalError | InterfaceError) or getattr(error, "connection_invalidated", False):
                raise
            logger.exception("%d status updates could not be written together", len(updates))
        return self._apply_singly(updates)

    def _apply_singly(self, updates: Sequence[TaskUpdate]) -> Applied:
        """One update that PostgreSQL will not take must not hold up the others, nor itself come again for ever."""
        if len(updates) > 1:
            parts = [self._apply([update]) for update in updates]
            return Applied(*(tuple(chain.from_iterable(fields)) for fields in zip(*map(astuple, parts), strict=True)))
        bare = replace(
            updates[0], directory=None, outcome=None, outcome_file=None, message="its report could not be stored"
        )
        with self._epoch.transaction() as session:
            return task_status.apply_updates(session, [bare], self._now())

    def _announce(self, ended: Sequence[int]) -> None:
        if ended:
            self._on_ended(ended)

    # what has its time

    def _maintain(self) -> None:
        if self._master is not None:
            self._reconcile()
        if due := self._due():
            with self._epoch.transaction() as session:
                unwanted, given_up = self._upkeep(session, due)
            self._usages = {} if "health" in due else self._usages
            self._kill(unwanted)
            self._announce(given_up)
        if self._has_work and self._pool and self._times.take("rematch", REMATCH_S):
            self._is_dirty = True

    def _due(self) -> set[str]:
        """What has its time now; what nearly has goes along, because one transaction costs less than two."""
        is_busy = self._is_dirty or self._has_work
        every_s = {what: seconds if is_busy else UPKEEP_IDLE_S for what, seconds in UPKEEP_EVERY_S.items()}
        if self._master is None:
            del every_s["kill"]
        return self._times.take_all(every_s, AHEAD_S)

    def _upkeep(self, session: Session, due: set[str]) -> tuple[Iterable[str], Sequence[int]]:
        """Returns tasks to kill, and executions that were given up: to be finished after the commit."""
        unwanted: Iterable[str] = ()
        given_up: Sequence[int] = ()
        if "nodes" in due and self._agents.read(session, self._now()):
            self._assignment.places.set_cluster(self._agents.cluster)
            self._is_dirty = self._is_dirty or bool(self._pool)
        if "kill" in due:
            unwanted = task_status.tasks_to_kill(session, self._now(), self._config.timeout_grace_s)
            given_up = overdue.give_up(session, self._now(), self._config.timeout_grace_s)
        if "health" in due:
            if self._usages:
                node_health.set_usage(session, self._usages, self._now())
            node_health.watch(session, self._config.health, self._now())
        if "beat" in due:
            self._beat(session)
        return unwanted, given_up

    def _reconcile(self) -> None:
        now = self._clock()
        suspects: list[tuple[str, str]] = []
        if lost := self._reconciler.due_agents(now):
            with self._epoch.transaction() as session:
                suspects += task_status.tasks_on(session, lost)
            self._reconciler.known(lost)
        suspects += self._reconciler.due_suspects(now)
        if suspects and not self._calls.reconcile(suspects):
            self._reconciler.suspect(suspects, now)
        if not self._reconciler.is_due(now):
            return
        before = self._now() - timedelta(seconds=self._reconciler.settle_s)
        with self._epoch.transaction() as session:
            tasks = task_status.running_tasks(session, before)
        asked = [self._calls.reconcile(batch) for batch in [*reconciler.batches(tasks), []]]
        if all(asked):
            self._reconciler.done(now)

    def _kill(self, task_ids: Iterable[str]) -> None:
        if self._master is not None:
            self._calls.kill(task_ids)

    def _beat(self, session: Session) -> None:
        master = self._master
        if self._times.take("head", HEAD_EVERY_S):
            self._assignment.head.lower(None)
        self._has_work = self._assignment.head.find(session) and not self._epoch.state.is_paused
        self._is_dirty = self._is_dirty or (self._has_work and self._is_suppressed)
        beat = Heartbeat(
            hostname=self._config.hostname,
            master_hostname=master.master_hostname if master else "",
            master_port=master.master_port if master else 0,
            master_online=master is not None,
            waiting=self._explain(session, self._epoch.state.is_paused),
            last_error=self._last_error,
            stats=self.figures(),
        )
        scheduling.heartbeat(session, beat, self._now())

    def _explain(self, session: Session, is_paused: bool) -> dict[int, str]:
        """Why the jobs of each type wait, as far as they have reason to."""
        samples = scheduling.samples(session)
        if is_paused or self._master is None:
            return {entry.job_type_id: "scheduling is paused" if is_paused else MASTER_AWAY for entry in samples}
        self._pool.show(self._assignment.places)
        return self._assignment.reasons(session, samples, self._now())

    # what starts

    def _schedule(self) -> None:
        if not self._is_dirty or self._master is None or self._pause_s() or self._is_behind():
            return
        self._is_dirty = self._has_written = False
        began = self._clock()
        self._launch_pace.begin()
        try:
            with self._epoch.transaction() as session:
                self._has_work = self._assignment.head.find(session) and not self._epoch.state.is_paused
                started = self._start(session) if self._has_work and self._pool else Started(())
        except SQLAlchemyError:
            self._is_dirty = True
            raise
        history.note_each("committed", started.specs, "job_exe_id", "job_id", "task_id")
        self._announce(started.broken)
        self._figures.add("launches", len(started.specs))
        self._launch(started.specs)
        self._launch_pace.done(len(started.specs))
        ended = self._clock()
        self._next["launch"] = ended + min(ended - began, LAUNCH_PAUSE_S)
        self._is_short = self._has_work and (self._is_short or not self._pool)

    def _pause_s(self) -> float:
        """For how long nothing is launched yet: none where no updates come in that would have to wait."""
        return max(0.0, self._next["launch"] - self._clock()) if self._has_written else 0.0

    def _is_behind(self) -> bool:
        """Every launch brings two updates at least: who launches while they pile up falls behind ever further."""
        if len(self._updates) < self._update_pace.size or self._postponed >= MAX_POSTPONED:
            self._postponed = 0
            return False
        self._postponed += 1
        return True

    def _start(self, session: Session) -> Started:
        self._pool.show(self._assignment.places)
        started = self._assignment.start(session, self._launch_pace.size, self._now())
        self._is_short, self._is_dirty = self._assignment.is_short, self._assignment.has_more
        if self._agents.cluster.probed:
            self._times.hasten("nodes")
        return started

    def _launch(self, specs: Sequence[ExecutionSpec]) -> None:
        by_agent: dict[str, list[ExecutionSpec]] = defaultdict(list)
        for spec in specs:
            by_agent[self._assignment.launches[spec.job_exe_id].agent_id].append(spec)
        for agent_id, mine in by_agent.items():
            self._epoch.recheck()
            self._launch_on(agent_id, mine)

    def _launch_on(self, agent_id: str, specs: Sequence[ExecutionSpec]) -> None:
        """Use all offers of the agent at once. What does not arrive is found by reconciliation."""
        offers, launches = self._pool.take(agent_id), self._assignment.launches
        purse = messages.Purse(offers)
        running = {executor_id for offer in offers for executor_id in offer.executor_ids}
        framework_id = self._master.framework_id if self._master else ""
        executor = purse.executor(self._config.executor, framework_id, running)
        tasks = [
            messages.build_task_info(spec, agent_id, executor, purse.take(launches[spec.job_exe_id].entry.needs))
            for spec in specs
        ]
        if not self._calls.launch(offers, tasks):
            self._reconciler.suspect([(spec.task_id, agent_id) for spec in specs], self._clock())
        else:
            history.note_each("launched", specs, "job_exe_id", "job_id", "task_id")
            logger.debug("launched %d executions on %s", len(specs), offers[0].hostname)

    # what goes back

    def _return_offers(self) -> None:
        if self._master is None:
            return
        if self._has_work:
            self._calls.decline(self._pool.take_expired(self._clock() - self._config.offer_hold_s), REFUSE_S)
            is_due = self._wants_revive and self._times.take("revive", REVIVE_EVERY_S)
            if is_due and self._calls.revive():
                self._has_freed = self._is_refusing = self._is_suppressed = False
        elif not self._is_dirty:
            # held a little longer, because what comes next can start on them at once
            expired = self._pool.take_expired(self._clock() - self._config.offer_hold_s)
            self._calls.decline(expired, IDLE_REFUSE_S)
            self._is_refusing = self._is_refusing or bool(expired)
            if not self._pool and not self._is_suppressed:
                self._is_suppressed = self._calls.suppress()

    @property
    def _wants_revive(self) -> bool:
        """Whether Mesos should offer what is free now, and what we refused for long."""
        return self._has_work and self._is_short and (self._has_freed or self._is_refusing or self._is_suppressed)

    def _pause_for_database(self, error: SQLAlchemyError) -> None:
        pause = DATABASE_PAUSES_S[min(self._database_failures, len(DATABASE_PAUSES_S) - 1)]
        self._database_failures += 1
        self._next["database"] = self._clock() + pause
        line = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        logger.error("PostgreSQL: %s; nothing is lost, next try in %g s", line, pause)
        self._give_back_all()

    def _give_back_all(self) -> None:
        if self._master is not None:
            self._calls.decline(self._pool.clear(), REFUSE_S)
