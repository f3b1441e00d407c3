"""Rounds of the offer handler on a real PostgreSQL; only Mesos, at the outermost edge, is a stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy import event as sql_event
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.job import Job, JobExecution
from scale_core.db.node import Node, Scheduler
from scale_core.db.queue import Queue
from scale_core.domain.execution import Outcome, StatusData, StoredFile
from scale_core.domain.job import ExecutionStatus, JobStatus, Resources
from scale_core.domain.places import Offer
from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.services import node, scheduling
from scale_worker.mesos import messages, offer_handler
from scale_worker.mesos.messages import ExecutorConfig, UpdateReceived
from scale_worker.mesos.offer_handler import HandlerConfig, OfferHandler
from scale_worker.mesos.reconciler import LOST_S, SETTLE_S
from tests.services.rows import NOW, make_job_type, make_queued

EXECUTOR = ExecutorConfig("run", Resources(0.1, 64))


class FakeDriver:
    """Records calls; `is_broken` makes every call fail as a vanished master does."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.is_broken = False

    def of(self, kind: str) -> list[Any]:
        return [what for name, what in self.calls if name == kind]

    def acknowledge(self, updates: Iterable[TaskUpdate]) -> None:
        self._note("acknowledge", [update.uuid for update in updates])

    def launch(self, offer_ids: Iterable[str], tasks: Sequence[Any]) -> None:
        self._note("launch", (list(offer_ids), tasks))

    def decline(self, offer_ids: Iterable[str], refuse_s: float) -> None:
        self._note("decline", (list(offer_ids), refuse_s))

    def kill(self, task_ids: Iterable[str]) -> None:
        self._note("kill", list(task_ids))

    def reconcile(self, tasks: Sequence[tuple[str, str]]) -> None:
        self._note("reconcile", [task_id for task_id, _ in tasks])

    def suppressOffers(self) -> None:
        self._note("suppress", None)

    def reviveOffers(self) -> None:
        self._note("revive", None)

    def _note(self, kind: str, what: Any) -> None:
        if self.is_broken:
            raise ConnectionError("no master is connected")
        self.calls.append((kind, what))


class Bench:
    """A handler with its surroundings; `seconds` is the clock, which starts after all time-outs."""

    def __init__(self, sessions: Callable[[], Session], epoch: int | None = None) -> None:
        self.sessions, self.driver, self.ended = sessions, FakeDriver(), []
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        self.seconds = 1000.0
        self.handler = OfferHandler(
            self._open,
            self.driver,
            self.inbox,
            HandlerConfig(EXECUTOR, "here", offer_hold_s=5, epoch=epoch),
            self.ended.extend,
            lambda: NOW + timedelta(seconds=self.seconds - 1000),
            clock=lambda: self.seconds,
        )
        self.put(messages.Subscribed("F", "master", 5050))
        self.calls = self.driver.calls

    def _open(self) -> Session:
        return self.sessions()

    def put(self, *events: Any) -> None:
        for event in events:
            self.inbox.put(event)

    def round(self, *events: Any, after: float = 0.0) -> None:
        self.seconds += after
        self.put(*events)
        self.handler.run_once(0)

    def offer(self, name: str = "O1", agent: str = "S0", cpus: float = 4.1, executors: tuple[str, ...] = ()) -> Any:
        entries = tuple(
            {"name": kind, "type": "SCALAR", "scalar": {"value": value}, "role": "*"}
            for kind, value in (("cpus", cpus), ("mem", 1000.0), ("disk", 1000.0))
        )
        resources = Resources(cpus, 1000, 1000)
        return messages.OffersReceived(
            (Offer(name, agent, f"host-{agent}", 5051, resources, frozenset(executors), {}, entries),)
        )

    def launched(self) -> list[str]:
        return [task["task_id"]["value"] for _, tasks in self.driver.of("launch") for task in tasks]


@pytest.fixture
def bench(sessions: Callable[[], Session]) -> Bench:
    return Bench(sessions)


def update(task_id: str, state: TaskState = TaskState.RUNNING, uuid: str = "u1", **values: Any) -> UpdateReceived:
    return UpdateReceived(TaskUpdate(task_id, state, agent_id="S0", uuid=uuid, **values))


def finished(task_id: str, uuid: str = "u2") -> UpdateReceived:
    """It produced a file, so that somebody has to finish it."""
    data = StatusData(
        outcome=Outcome(task_id, 1, True, files=(StoredFile("out", 1, "a", "a", 1, "text/plain"),))
    ).encode()
    return UpdateReceived(TaskUpdate(task_id, TaskState.FINISHED, agent_id="S0", uuid=uuid), data)


def fresh(session: Session, execution: JobExecution) -> JobExecution:
    session.expire_all()
    return session.get_one(JobExecution, execution.id)


def test_an_offer_becomes_a_node_and_a_running_execution(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round(bench.offer())
    ((offers, (task,)),) = bench.driver.of("launch")
    assert offers == ["O1"]
    assert task["executor"]["executor_id"]["value"] == EXECUTOR.id
    assert {r["name"]: r["scalar"]["value"] for r in task["resources"]} == {"cpus": 1.0, "mem": 64.0, "disk": 3.0}
    row = fresh(session, execution)
    assert (row.status, row.task_id) == (ExecutionStatus.RUNNING, task["task_id"]["value"])
    assert session.get_one(Node, row.node_id).hostname == "host-S0"
    assert session.get_one(Scheduler, 1).framework_id == "F"


def test_many_executions_of_one_agent_share_one_accept(bench: Bench, session: Session) -> None:
    for _ in range(6):
        make_queued(session)
    session.commit()
    bench.round(bench.offer("O1", cpus=2.1), bench.offer("O2", cpus=1.0))
    ((offers, tasks),) = bench.driver.of("launch")
    assert sorted(offers) == ["O1", "O2"]
    assert len(tasks) == 3
    assert session.scalar(select(func.count()).select_from(Queue)) == 3


def test_updates_are_acknowledged_after_they_are_written(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round(bench.offer())
    (task,) = bench.launched()
    bench.round(update(task), update(task, uuid="u1"), finished(task))
    assert bench.driver.of("acknowledge") == [["u1", "u2"]]
    assert bench.ended == [execution.id]
    assert fresh(session, execution).task_ended is not None


def test_with_an_empty_queue_offers_go_back_and_none_are_wanted_until_there_is_work(
    bench: Bench, session: Session
) -> None:
    bench.round(bench.offer())
    bench.round(bench.offer("O3", "S1"), after=4)
    assert [name for name, _ in bench.calls if name != "reconcile"] == []
    bench.round(after=2)
    assert bench.driver.of("decline") == [(["O1"], 600.0)]
    bench.round(after=4)
    assert [name for name, _ in bench.calls if name != "reconcile"] == ["decline", "decline", "suppress"]
    make_queued(session)
    session.commit()
    bench.round(messages.QueueChanged(), after=1)
    assert bench.calls[-1][0] == "revive"
    bench.round(bench.offer("O2"), after=1)
    assert len(bench.launched()) == 1


def test_offers_that_do_not_fit_are_held_a_while_and_then_declined(bench: Bench, session: Session) -> None:
    make_queued(session, cpus=50)
    session.commit()
    bench.round(bench.offer())
    assert bench.driver.of("decline") == []
    bench.round(after=6)
    assert bench.driver.of("decline") == [(["O1"], 1.0)]


def test_a_rescinded_offer_and_those_of_a_lost_agent_are_not_used(bench: Bench, session: Session) -> None:
    make_queued(session)
    session.commit()
    bench.round(
        bench.offer("O1"),
        messages.OfferRescinded("O1"),
        bench.offer("O2", agent="S1"),
        messages.AgentLost("S1"),
    )
    assert bench.launched() == []
    assert {row.agent_id: row.is_online for row in session.scalars(select(Node))} == {"S0": True}
    bench.round(bench.offer("O3", agent="S1"), after=1)
    bench.round(messages.AgentLost("S1"), after=1)
    session.expire_all()
    assert {row.agent_id: row.is_online for row in session.scalars(select(Node))} == {"S0": True, "S1": False}


def test_what_a_lost_agent_ran_is_asked_about_unless_its_end_is_known(bench: Bench, session: Session) -> None:
    """Of a task that had ended there, and was not heard of yet, a master may tell nobody."""
    first, second = make_queued(session), make_queued(session)
    session.commit()
    bench.round(bench.offer())
    assert len(bench.launched()) == 2
    ended, silent = (str(fresh(session, each).task_id) for each in (first, second))
    bench.round(messages.AgentLost("S0"), update(ended, TaskState.LOST))
    before = bench.driver.of("reconcile")
    bench.round(after=1)
    assert bench.driver.of("reconcile") == before
    bench.round(after=1.5)
    assert bench.driver.of("reconcile") == [*before, [silent]]
    bench.round(after=1)
    assert bench.driver.of("reconcile") == [*before, [silent]]


def test_a_lost_agent_is_not_forgotten_while_the_database_or_the_master_is_away(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round(bench.offer())
    bench.round(after=SETTLE_S)  # everything is asked about once more
    bench.round(messages.AgentLost("S0"))
    before = bench.driver.of("reconcile")
    real = bench.sessions
    bench.sessions = sessionmaker(create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none"))
    bench.round(after=LOST_S)
    bench.sessions, bench.driver.is_broken = real, True
    bench.round(after=1)
    bench.driver.is_broken = False
    bench.round(after=1)
    assert bench.driver.of("reconcile") == before
    bench.round(after=SETTLE_S)
    assert bench.driver.of("reconcile") == [*before, [fresh(session, execution).task_id]]


def test_a_paused_scheduler_starts_nothing_and_says_so(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    node.set_scheduler_paused(session, True)
    session.commit()
    bench.round(bench.offer())
    bench.round(after=6)
    assert bench.launched() == []
    assert bench.driver.of("decline")
    kind = session.get_one(Job, execution.job_id).job_type_id
    session.expire_all()
    assert session.get_one(Scheduler, 1).waiting == {str(kind): "scheduling is paused"}


def test_why_jobs_wait_is_told(bench: Bench, session: Session) -> None:
    big, paused = make_job_type(session), make_job_type(session, is_paused=True)
    make_queued(session, big, cpus=50)
    make_queued(session, paused)
    session.commit()
    bench.round(bench.offer())
    bench.round(after=3)
    session.expire_all()
    waiting = session.get_one(Scheduler, 1).waiting
    assert waiting == {str(big.id): "needs 50 cpus, the largest node has 4.1", str(paused.id): "paused"}


def test_what_must_wait_before_its_next_try_is_not_explained_by_resources(bench: Bench, session: Session) -> None:
    """But for what could start now: that is what its type is explained by."""
    alone, paused, both = make_job_type(session), make_job_type(session, is_paused=True), make_job_type(session)
    for kind, cpus in ((alone, 50), (paused, 1), (both, 50)):
        make_queued(session, kind, cpus=cpus)
    session.query(Queue).update({"not_before": NOW + timedelta(seconds=bench.seconds - 1000 + 40)})
    make_queued(session, both, cpus=60)
    session.commit()
    bench.round(bench.offer())
    bench.round(after=3)
    session.expire_all()
    waiting = session.get_one(Scheduler, 1).waiting
    assert waiting == {
        str(alone.id): "it failed before: it is tried again in 37 s",
        str(paused.id): "paused",
        str(both.id): "needs 60 cpus, the largest node has 4.1",
    }


def test_a_large_backlog_that_fits_nowhere_does_not_hold_up_what_fits(
    bench: Bench, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scale_worker.mesos.assignment.CLAIM_WINDOW", 3)
    kind = make_job_type(session)
    for _ in range(10):
        make_queued(session, kind, priority=1, cpus=3.5, mem=990)
    fits = make_queued(session, priority=2)
    session.commit()
    bench.round(bench.offer("O1", "S0", cpus=3.0), bench.offer("O2", "S1", cpus=4.1))
    started = [task.split(".")[1] for task in bench.launched()]
    assert str(fits.id) in started


def test_a_launch_that_did_not_arrive_is_asked_about(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round()
    bench.driver.is_broken = True
    bench.round(bench.offer())
    bench.driver.is_broken = False
    row = fresh(session, execution)
    assert row.status is ExecutionStatus.RUNNING
    bench.round(after=5)
    assert [row.task_id] not in bench.driver.of("reconcile")
    bench.round(after=6)
    assert [row.task_id] in bench.driver.of("reconcile")
    lost = update(row.task_id or "", TaskState.LOST, uuid="", reason="REASON_RECONCILIATION")
    bench.round(lost)
    assert bench.ended == [execution.id]


def test_everything_is_reconciled_at_subscription_and_by_the_clock(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round(bench.offer())
    assert bench.driver.of("reconcile") == [[]]
    task_id = fresh(session, execution).task_id
    bench.round(after=61)
    assert bench.driver.of("reconcile") == [[], [task_id], []]
    bench.round(messages.Disconnected(), messages.Subscribed("F", "master", 5050), after=1)
    assert bench.driver.of("reconcile")[3:] == [[task_id], []]


def test_a_removed_framework_loses_its_tasks_and_its_id(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round(bench.offer())
    bench.round(messages.FrameworkRemoved("Framework has been removed"))
    assert bench.ended == [execution.id]
    assert scheduling.load_scheduler(session).framework_id is None
    bench.round(messages.Disconnected(), messages.Subscribed("F2", "master", 5050))
    assert scheduling.load_scheduler(session).framework_id == "F2"


def test_tasks_of_canceled_executions_and_strangers_are_killed(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round(bench.offer())
    row = fresh(session, execution)
    row.status, row.ended = ExecutionStatus.CANCELED, NOW
    session.get_one(Job, row.job_id).status = JobStatus.CANCELED
    session.commit()
    bench.round(update("stranger", uuid="u7"), after=2)
    assert sorted(bench.driver.of("kill")) == [[row.task_id], ["stranger"]]
    bench.round(after=2)
    assert len(bench.driver.of("kill")) == 2
    bench.round(after=10)
    assert bench.driver.of("kill")[2:] == [[row.task_id]]


def test_without_a_database_nothing_is_acknowledged_and_nothing_is_lost(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round(bench.offer())
    (task,) = bench.launched()
    real = bench.sessions
    bench.sessions = sessionmaker(create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none"))
    bench.round(finished(task), bench.offer("O2"))
    bench.round(bench.offer("O3"), after=0.1)
    assert bench.driver.of("acknowledge") == []
    assert bench.driver.of("decline") == [(["O2"], 1.0), (["O3"], 1.0)]
    bench.sessions = real
    bench.round(after=10)
    assert bench.driver.of("acknowledge") == [["u2"]]
    assert bench.ended == [execution.id]


def test_one_update_that_cannot_be_stored_does_not_hold_up_the_others(bench: Bench, session: Session) -> None:
    one, other = make_queued(session), make_queued(session)
    session.commit()
    bench.round(bench.offer())
    tasks = {int(task.split(".")[1]): task for task in bench.launched()}
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    bad = update(tasks[one.id], TaskState.FINISHED, uuid="u8", outcome={"results_manifest": {"deep": deep}})
    bench.round(bad, finished(tasks[other.id], uuid="u9"))
    assert sorted(bench.ended) == [one.id, other.id]
    assert sorted(uuid for batch in bench.driver.of("acknowledge") for uuid in batch) == ["u8", "u9"]
    facts = (fresh(session, one).outcome or {})["mesos"]
    assert (facts["state"], facts["message"]) == ("TASK_FINISHED", "its report could not be stored")


def test_a_deposed_handler_neither_writes_nor_answers(sessions: Callable[[], Session], session: Session) -> None:
    execution = make_queued(session)
    bench = Bench(sessions, scheduling.begin_epoch(session))
    session.commit()
    bench.round()
    calls = list(bench.calls)
    scheduling.begin_epoch(session)
    session.commit()
    bench.round(bench.offer(), update("stranger"))
    assert bench.handler.is_deposed
    assert bench.calls == calls
    assert fresh(session, execution).status is ExecutionStatus.QUEUED
    assert session.scalar(select(func.count()).select_from(Node)) == 0


def test_a_handler_that_slept_between_commit_and_launch_looks_again(
    sessions: Callable[[], Session], session: Session
) -> None:
    execution = make_queued(session)
    bench = Bench(sessions, scheduling.begin_epoch(session))
    session.commit()
    bench.round()

    def sleep_and_lose(ended: Session) -> None:
        if fresh(session, execution).status is ExecutionStatus.RUNNING:
            bench.seconds += 5
            scheduling.begin_epoch(session)
        session.commit()

    def opened() -> Session:
        opening = sessions()
        sql_event.listen(opening, "after_commit", sleep_and_lose)
        return opening

    bench.sessions = opened
    bench.round(bench.offer())
    assert fresh(session, execution).status is ExecutionStatus.RUNNING
    assert bench.handler.is_deposed
    assert bench.driver.of("launch") == []


def test_a_cancel_that_is_announced_is_seen_to_at_once(bench: Bench, session: Session) -> None:
    execution = make_queued(session)
    session.commit()
    bench.round(bench.offer())
    row = fresh(session, execution)
    row.status, row.ended = ExecutionStatus.CANCELED, NOW
    session.commit()
    bench.round()
    assert bench.driver.of("kill") == [], "the next look is due in a second"
    bench.round(messages.QueueChanged())
    assert bench.driver.of("kill") == [[row.task_id]]


def test_a_pause_of_a_node_that_is_announced_holds_from_the_next_round_on(bench: Bench, session: Session) -> None:
    bench.round(bench.offer())
    session.query(Node).update({"is_paused": True})
    make_queued(session)
    session.commit()
    bench.round(messages.QueueChanged(), bench.offer("O2"))
    assert bench.driver.of("launch") == []


def test_news_that_piles_up_comes_before_launches_but_never_for_long(bench: Bench, session: Session) -> None:
    make_queued(session)
    session.commit()
    flood = [update(f"unknown-{n}", uuid=f"u{n}") for n in range(offer_handler.UPDATES_A_BATCH[-1] * 9)]
    bench.round(bench.offer(), *flood)
    assert bench.driver.of("launch") == []
    for number in range(offer_handler.MAX_POSTPONED):
        assert bench.driver.of("launch") == [], number
        bench.round()
    assert len(bench.driver.of("launch")) == 1
