"""Launches decided and committed by the offer handler, without HTTP: its matching, its SQL, its TaskInfos.

Every launch is answered by a new offer of all that the agent has, as if its task had ended at once.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import time
from collections.abc import Iterable, Sequence
from queue import SimpleQueue
from typing import Any

import psutil
import psycopg2

from bench.home import fresh_home
from bench.report import SchedulerResult, say
from bench.rows import make_no_op_type, migrate, queue_jobs, sqlalchemy_url
from bench.server import BenchFailed, tree_cpu_s
from scale_core.db.session import make_engine, make_sessions, transaction
from scale_core.domain.job import Resources
from scale_core.domain.places import Offer
from scale_core.domain.task import TaskUpdate
from scale_core.services import scheduling
from scale_core.services.node import Agent
from scale_core.timestamps import utcnow
from scale_server import postgres
from scale_worker.mesos.messages import AgentsListed, ExecutorConfig, Message, OffersReceived, Subscribed
from scale_worker.mesos.offer_handler import HandlerConfig, OfferHandler

PATIENCE_S = 120.0
NODE = Resources(16.0, 65536.0, 1_000_000.0)


class Agents:
    """The driver's side: takes launches, and offers again what they took."""

    def __init__(self, count: int, inbox: SimpleQueue[Any]) -> None:
        self._inbox, self._numbers = inbox, itertools.count()
        self.launched = 0
        self.ids = [f"agent-{number}" for number in range(count)]

    def offer(self, agent_id: str) -> Offer:
        entries = [
            {"name": name, "type": "SCALAR", "scalar": {"value": getattr(NODE, name)}, "role": "*"}
            for name in ("cpus", "mem", "disk")
        ]
        offer_id = f"offer-{next(self._numbers)}"
        return Offer(offer_id, agent_id, f"node-{agent_id}", 5051, NODE, entries=tuple(entries))

    def launch(self, offer_ids: Iterable[str], tasks: Sequence[Message]) -> None:
        self.launched += len(tasks)
        self._inbox.put(OffersReceived((self.offer(tasks[0]["agent_id"]["value"]),)))

    def acknowledge(self, updates: Iterable[TaskUpdate]) -> None: ...
    def decline(self, offer_ids: Iterable[str], refuse_s: float) -> None: ...
    def kill(self, task_ids: Iterable[str]) -> None: ...
    def reconcile(self, tasks: Sequence[tuple[str, str]]) -> None: ...
    def suppressOffers(self) -> None: ...
    def reviveOffers(self) -> None: ...


def measure(options: argparse.Namespace) -> SchedulerResult:
    """Run the benchmark. Raises BenchFailed."""
    load, waiting = os.getloadavg(), max(options.jobs, options.backlog)
    with fresh_home() as home:
        url = postgres.start(home)
        migrate(url)
        database = psycopg2.connect(url)
        database.autocommit = True
        say(f"queueing {waiting} jobs ({home})")
        queue_jobs(database, make_no_op_type(url), waiting)
        if options.old_snapshot:
            database.set_session(isolation_level="REPEATABLE READ", autocommit=False)
            with database.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM queue")  # no row of it goes from now on
        else:
            database.close()
        engine = make_engine(sqlalchemy_url(url), pool_size=2, pool_pre_ping=False)  # as the process does
        inbox: SimpleQueue[Any] = SimpleQueue()
        agents = Agents(options.agents, inbox)
        sessions = make_sessions(engine)
        with transaction(sessions) as session:
            epoch = scheduling.begin_epoch(session)
        config = HandlerConfig(ExecutorConfig("executor", Resources(0.1, 64.0)), "bench", epoch=epoch)
        handler = OfferHandler(sessions, agents, inbox, config, lambda _: None, utcnow)
        listed = [Agent(each, f"node-{each}", 5051, total=NODE) for each in agents.ids]
        inbox.put(Subscribed("framework", "localhost", 5050))
        inbox.put(AgentsListed(tuple(listed)))
        handler.run_once(0)
        inbox.put(OffersReceived(tuple(agents.offer(each) for each in agents.ids)))
        before = {"scheduler": time.process_time(), "postgres": tree_cpu_s(psutil.Process(postgres.pid_of(home)))}
        began = time.monotonic()
        while agents.launched < options.jobs:
            handler.run_once(0)
            if time.monotonic() - began > PATIENCE_S:
                raise BenchFailed(f"only {agents.launched} launches in {PATIENCE_S:.0f} s")
        wall_s = time.monotonic() - began
        after = {"scheduler": time.process_time(), "postgres": tree_cpu_s(psutil.Process(postgres.pid_of(home)))}
        engine.dispose()
        database.close()
    return SchedulerResult(
        jobs=agents.launched,
        agents=options.agents,
        backlog=waiting,
        decide_only=True,
        wall_s=round(wall_s, 3),
        rate=round(agents.launched / wall_s, 1),
        in_queue=None,
        rounds=handler.figures(),
        memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        cpu_ms={name: round(1000 * (after[name] - before[name]) / agents.launched, 3) for name in before},
        load=tuple(round(value, 2) for value in load),
    )
