"""A node that fails is paused, probed by one execution at a time, and comes back; on real PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.job import Error, JobExecution
from scale_core.db.node import Node
from scale_core.domain.job import ErrorCategory, ExecutionStatus, Resources
from scale_core.domain.node_health import HealthPolicy
from scale_core.domain.scheduling import Launch
from scale_core.services import node, node_health, scheduling
from scale_core.timestamps import utcnow
from tests.services.rows import make_node, make_queued

POLICY = HealthPolicy(rate=0.5, window_s=60, minimum=3, probe_s=30)


def error_of(session: Session, category: ErrorCategory, name: str = "") -> int:
    name = name or f"of-{category}"
    found = session.scalar(select(Error).where(Error.name == name))
    if found is None:
        found = Error(name=name, category=category)
        session.add(found)
        session.flush()
    return found.id


def end(session: Session, where: Node, error_id: int | None, execution: JobExecution | None = None) -> None:
    execution, node_id = execution or make_queued(session), where.id
    execution.status = ExecutionStatus.FAILED if error_id else ExecutionStatus.COMPLETED
    execution.node_id, execution.error_id, execution.ended = node_id, error_id, utcnow()
    execution.last_modified = utcnow()
    session.flush()


def watch(session: Session, where: Node, now: datetime) -> Node:
    node_health.watch(session, POLICY, now)
    session.expire_all()
    return where


def launches(session: Session, where: Node) -> list[Launch]:
    entries = scheduling.claim(session, 100, Resources(100, 100000, 100000))
    return [Launch(entry, where.id, where.agent_id) for entry in entries]


def test_only_system_errors_of_the_node_itself_pause_it(session: Session) -> None:
    where, now = make_node(session), utcnow()
    for _ in range(9):
        end(session, where, error_of(session, ErrorCategory.ALGORITHM))
        end(session, where, error_of(session, ErrorCategory.SYSTEM, "mesos-lost"))
    assert not watch(session, where, now).is_paused
    for _ in range(2):
        end(session, where, error_of(session, ErrorCategory.SYSTEM))
    assert not watch(session, where, now).is_paused, "too few"
    for _ in range(4):
        end(session, where, None)
    end(session, where, error_of(session, ErrorCategory.SYSTEM))
    assert not watch(session, where, now).is_paused, "too small a share"
    end(session, where, error_of(session, ErrorCategory.SYSTEM))
    watch(session, where, now)
    assert (where.is_paused, where.is_paused_errors) == (True, True)
    assert where.pause_reason == "4 of 8 executions failed by SYSTEM errors within 60 s"


def test_a_paused_node_is_probed_by_one_execution_and_recovers(session: Session) -> None:
    where, now = make_node(session), utcnow()
    for _ in range(3):
        end(session, where, error_of(session, ErrorCategory.SYSTEM))
    watch(session, where, now)
    (state,) = node.states(session, now)
    assert state.refuses.startswith("paused (3 of 3")
    for failures in (1, 2):
        now += timedelta(hours=1)
        (state,) = node.states(session, now)
        assert (state.refuses, state.is_probed) == ("", True)
        first, second = make_queued(session), make_queued(session)
        wanted = launches(session, where)
        (chosen,) = node_health.limit_probes(session, wanted, {where.id})
        assert node_health.limit_probes(session, wanted, {where.id}) == [], "one at a time"
        session.expire_all()
        assert node.states(session, now)[0].refuses, "as long as it runs"
        probe, other = (first, second) if chosen.entry.job_exe_id == first.id else (second, first)
        scheduling.start(session, [chosen], now)
        assert watch(session, where, now).health["probe_id"] == probe.id
        end(session, where, error_of(session, ErrorCategory.SYSTEM), probe)
        assert watch(session, where, now).health["failures"] == failures
        scheduling.start(session, [launch for launch in wanted if launch != chosen], now)
        end(session, where, None, other)
    now += timedelta(hours=1)
    probe = make_queued(session)
    assert len(node_health.limit_probes(session, launches(session, where), {where.id})) == 1
    end(session, where, None, probe)
    watch(session, where, now)
    assert (where.is_paused, where.is_paused_errors, where.pause_reason) == (False, False, None)
    assert not watch(session, where, now).is_paused, "what failed before its recovery counts no more"


def test_who_lifts_the_pause_ends_it_and_a_pause_of_a_person_is_not_probed(session: Session) -> None:
    where, now = make_node(session), utcnow()
    for _ in range(3):
        end(session, where, error_of(session, ErrorCategory.SYSTEM))
    watch(session, where, now)
    node.edit(session, where.id, {"is_paused": False}, utcnow())
    assert not watch(session, where, now).is_paused
    node.edit(session, where.id, {"is_paused": True, "pause_reason": "mine"}, utcnow())
    watch(session, where, now + timedelta(days=1))
    (state,) = node.states(session, now + timedelta(days=1))
    assert (state.refuses, state.is_probed) == ("paused (mine)", False)


def test_a_network_mount_is_a_node_s_fault_only_where_other_nodes_go_on(session: Session) -> None:
    """A server that is away, full or refuses fails on every node: to pause them would stop what does not touch it."""
    one, other, now = make_node(session), make_node(session), utcnow()
    nfs = error_of(session, ErrorCategory.SYSTEM, "nfs")
    for _ in range(3):
        end(session, one, nfs)
    assert not watch(session, one, now).is_paused, "nobody knows whose fault it is"
    end(session, other, nfs)
    end(session, other, None)
    assert not watch(session, one, now).is_paused, "it fails elsewhere, too"
    for execution in session.scalars(select(JobExecution).where(JobExecution.node_id == other.id)).all():
        end(session, other, None, execution)
    assert watch(session, one, now).is_paused
    assert not other.is_paused


def test_one_dead_executor_does_not_pause_its_node(session: Session) -> None:
    """It took ten tasks along that it had not begun; a node where executors die again and again is another matter."""
    where, now = make_node(session), utcnow()
    launch = error_of(session, ErrorCategory.SYSTEM, "task-launch")
    began = now - timedelta(seconds=30)
    for _ in range(10):
        never_began = make_queued(session)
        never_began.task_ended = began
        end(session, where, launch, never_began)
    assert not watch(session, where, now).is_paused
    for number in range(1, 3):
        again = make_queued(session)
        again.task_ended = began + timedelta(seconds=10 * number)
        end(session, where, launch, again)
    assert watch(session, where, now).is_paused
    assert where.pause_reason == "3 of 3 executions failed by SYSTEM errors within 60 s"


def test_what_an_executor_itself_could_not_start_counts_each_time(session: Session) -> None:
    where, now = make_node(session), utcnow()
    for _ in range(3):
        begun = make_queued(session)
        begun.directory, begun.task_ended = "/sandbox/1", now
        end(session, where, error_of(session, ErrorCategory.SYSTEM, "task-launch"), begun)
    assert watch(session, where, now).is_paused


def test_what_executors_measured_is_kept_by_agent(session: Session) -> None:
    where, now = make_node(session), utcnow()
    node_health.set_usage(session, {where.agent_id: {"cpus": 1.5, "running": 2}, "stranger": {"cpus": 1.0}}, now)
    session.expire_all()
    assert (where.usage["cpus"], where.usage["running"]) == (1.5, 2)
