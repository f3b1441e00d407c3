"""Kinds of faults. Each act takes something away and has given it back when it returns."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress

import psycopg2
import redis as redis_client

from faults.schedule import Fault
from faults.system import FaultsFailed, System, signal_all, wait_for
from scale_server import postgres, redis

Act = Callable[[System, Fault], None]
PATIENCE_S = 30.0


def _killed(name: str) -> Act:
    def act(system: System, fault: Fault) -> None:
        signal_all(wait_for(f"a process {name}", lambda: system.pids(name), PATIENCE_S), signal.SIGKILL)

    return act


def _stopped(name: str) -> Act:
    def act(system: System, fault: Fault) -> None:
        pids = wait_for(f"a process {name}", lambda: system.pids(name), PATIENCE_S)
        signal_all(pids, signal.SIGSTOP)
        time.sleep(fault.lasts_s)
        signal_all(pids, signal.SIGCONT)

    return act


def _trapped(kind: str) -> Act:
    """Dies right after that event."""

    def act(system: System, fault: Fault) -> None:
        if not system.trap(kind):
            raise FaultsFailed(f"no process came to the event {kind!r}: the load does not reach it")

    return act


def _leader_killed(system: System, fault: Fault) -> None:
    signal_all([wait_for("a leader", system.leader, PATIENCE_S)], signal.SIGKILL)


def _leader_stopped(system: System, fault: Fault) -> None:
    pids = [wait_for("a leader", system.leader, PATIENCE_S)]
    signal_all(pids, signal.SIGSTOP)
    time.sleep(fault.lasts_s)
    signal_all(pids, signal.SIGCONT)


def _standby_killed(system: System, fault: Fault) -> None:
    signal_all([wait_for("a standby", system.standby, PATIENCE_S)], signal.SIGKILL)


def _postgres_stopped(system: System, fault: Fault) -> None:
    postgres.stop(system.home, "immediate")
    time.sleep(fault.lasts_s)
    postgres.start(system.home)


def _redis_emptied(system: System, fault: Fault) -> None:
    with closing(redis_client.Redis.from_url(redis.url(system.home))) as client, suppress(redis_client.RedisError):
        client.flushall()


def _redis_stopped(system: System, fault: Fault) -> None:
    redis.stop(system.home)
    time.sleep(fault.lasts_s)
    redis.start(system.home)


def _stream_cut(system: System, fault: Fault) -> None:
    system.proxy.cut()


def _network_held(system: System, fault: Fault) -> None:
    system.proxy.hold()
    time.sleep(fault.lasts_s)
    system.proxy.release()


def _snapshot_held(system: System, fault: Fault) -> None:
    with closing(psycopg2.connect(system.database_url)) as connection, connection.cursor() as cursor:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        cursor.execute("SELECT count(*) FROM queue")
        time.sleep(fault.lasts_s)


def _agent_away(taken: str) -> Act:
    """An agent is taken away by that order, and comes back before its master gives it up."""

    def act(system: System, fault: Fault) -> None:
        agent = wait_for("an agent", system.agent, PATIENCE_S)
        system.order(f"agents/{agent}/{taken}")
        time.sleep(fault.lasts_s)
        system.order(f"agents/{agent}/return")

    return act


def _agent_replaced(system: System, fault: Fault) -> None:
    """It dies, its machine is cleaned of all that ran, guardians too, and another agent starts there."""
    agent = wait_for("an agent", system.agent, PATIENCE_S)
    system.order(f"agents/{agent}/kill")
    time.sleep(fault.lasts_s)
    executors = system.pids("executor")
    system.order(f"agents/{agent}/return", new_id=1)
    wait_for("the executors to be gone", lambda: not set(executors) & set(system.pids("executor")), PATIENCE_S)
    for pid in executors:
        system.note("died", pid=pid)


def _agent_given_up(taken: str) -> Act:
    """Its master gives it up while it is away. It comes back, and with it what lived on."""

    def act(system: System, fault: Fault) -> None:
        agent = wait_for("an agent", system.agent, PATIENCE_S)
        system.order(f"agents/{agent}/{taken}")
        time.sleep(fault.lasts_s / 2)
        system.note("given-up")
        system.order(f"agents/{agent}/lose")
        time.sleep(fault.lasts_s / 2)
        system.order(f"agents/{agent}/return")
        system.note("met-again")

    return act


def _master_restarted(system: System, fault: Fault) -> None:
    """Another one leads, and the agents find it later than the framework does."""
    system.order("master/restart", seconds=fault.lasts_s / 2, agents=fault.lasts_s / 2)
    time.sleep(fault.lasts_s)


ACTS: dict[str, Act] = {
    "scheduler-killed": _leader_killed,
    "scheduler-killed-before-launch": _trapped("committed"),
    "scheduler-killed-after-launch": _trapped("launched"),
    "scheduler-killed-before-acknowledging": _trapped("written"),
    "scheduler-stopped": _leader_stopped,
    "standby-killed": _standby_killed,
    "executor-killed": _killed("executor"),
    "executor-killed-at-begin": _trapped("begun"),
    "executor-killed-after-storing": _trapped("stored"),
    "executor-killed-after-claiming": _trapped("claimed"),
    "executor-killed-after-copying": _trapped("copied"),
    "executor-killed-before-reporting": _trapped("ended"),
    "executor-stopped": _stopped("executor"),
    "worker-killed": _killed("worker"),
    "worker-killed-after-finishing": _trapped("finished"),
    "worker-stopped": _stopped("worker"),
    "agent-killed": _agent_away("kill"),
    "agent-replaced": _agent_replaced,
    "agent-partitioned": _agent_away("partition"),
    "agent-lost": _agent_given_up("kill"),
    "agent-partitioned-and-lost": _agent_given_up("partition"),
    "api-killed": _killed("api"),
    "master-killed": _killed("master"),
    "master-stopped": _stopped("master"),
    "master-restarted": _master_restarted,
    "postgres-stopped": _postgres_stopped,
    "redis-emptied": _redis_emptied,
    "redis-stopped": _redis_stopped,
    "stream-cut": _stream_cut,
    "network-held": _network_held,
    "snapshot-held": _snapshot_held,
}
