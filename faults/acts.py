"""Kinds of faults. Each act takes something away and has given it back when it returns."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress

import psycopg2
import redis as redis_client

from faults import disk
from faults.clock import LIBRARIES
from faults.schedule import Fault
from faults.system import FaultsFailed, System, signal_all, wait_for
from scale_server import postgres, redis

Act = Callable[[System, Fault], None]
PATIENCE_S = 30.0
AWAY_S = 20.0
# Backwards, from the end: Scale's own order is queue, executions, recipes, jobs, and by ascending id.
LOCKS = tuple(
    f"SELECT 1 FROM {table} ORDER BY {key} DESC LIMIT 30 FOR UPDATE"  # noqa: S608
    for table, key in (("job", "id"), ("recipe", "id"), ("job_exe", "id"), ("queue", "job_exe_id"))
)
# What a migration of the next version may do while this one runs, and what takes it back.
EXPAND = (
    "ALTER TABLE job ADD COLUMN IF NOT EXISTS next_version text DEFAULT 'next'",
    "ALTER TABLE job_exe ADD COLUMN IF NOT EXISTS next_version bigint",
    "ALTER TABLE queue ADD COLUMN IF NOT EXISTS next_version boolean NOT NULL DEFAULT false",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS job_next_version ON job (next_version)",
    "ALTER TABLE job_exe ADD CONSTRAINT next_version CHECK (next_version IS NULL) NOT VALID",
    "ALTER TABLE job_exe VALIDATE CONSTRAINT next_version",
)
CONTRACT = (
    "DROP INDEX CONCURRENTLY IF EXISTS job_next_version",
    "ALTER TABLE queue DROP COLUMN next_version",
    "ALTER TABLE job_exe DROP COLUMN next_version",
    "ALTER TABLE job DROP COLUMN next_version",
)


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


def _postgres_away(system: System, fault: Fault) -> None:
    """For longer than any time-out of a connection."""
    postgres.stop(system.home, "immediate")
    time.sleep(AWAY_S)
    postgres.start(system.home)


def _rows_locked(system: System, fault: Fault) -> None:
    """Somebody else locks rows in an order that is not Scale's, again and again: there are deadlocks, and who waits."""
    until = time.monotonic() + fault.lasts_s
    while time.monotonic() < until:
        with closing(psycopg2.connect(system.database_url)) as connection, connection.cursor() as cursor:
            with suppress(psycopg2.Error):  # the victim may be us
                for statement in LOCKS:
                    cursor.execute(statement)
                    time.sleep(0.3)
            connection.rollback()
        time.sleep(0.1)


def _redis_lost(system: System, fault: Fault) -> None:
    """All that it held, and itself for a while."""
    _redis_emptied(system, fault)
    _redis_stopped(system, fault)


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


def _disk_full(system: System, fault: Fault) -> None:
    filler = disk.fill(system.made)
    time.sleep(fault.lasts_s)
    filler.unlink()


def _mount_hung(system: System, fault: Fault) -> None:
    """One Strike's directory answers nobody. The others go on meanwhile: the last file that they took in is not the
    same after a while."""
    assert system.mount is not None
    newest = "SELECT coalesce(max(id), 0) FROM scale_file WHERE file_type = 'SOURCE'"
    system.mount.hang()
    try:
        before = system.sql(newest)
        wait_for("a file of another Strike", lambda: system.sql(newest) > before, PATIENCE_S)
        time.sleep(fault.lasts_s)
    finally:
        system.mount.go_on()


def _clocks_jumped(system: System, fault: Fault) -> None:
    """An hour ahead, back, an hour behind, back: the scheduler's machine and the node's."""
    assert system.clock is not None
    for offset in ("+1h", "+0", "-1h", "+0"):
        system.clock.set(offset)
        time.sleep(fault.lasts_s / 4)


def _upgraded_and_back(system: System, fault: Fault) -> None:
    """To the next version and back under load: first its migration, which only adds, then each process restarted in
    turn; and the same in reverse. The next version is this one, since there is no other: what counts is that whoever
    runs lives with columns, indexes and constraints that it does not know, that a migration waits for no lock for long,
    and that no restart loses anything."""
    for statement in EXPAND:
        _migrate(system, statement)
    _restart_in_turn(system)
    for statement in CONTRACT:
        _migrate(system, statement)
    _restart_in_turn(system)


def _migrate(system: System, statement: str) -> None:
    """Whoever cannot have a lock within a second lets others pass, and tries again."""

    def try_once() -> bool:
        with closing(psycopg2.connect(system.database_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1s'")
                try:
                    cursor.execute(statement)
                except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
                    return False
        return True

    wait_for(f"a lock for {statement}", try_once, PATIENCE_S)


def _restart_in_turn(system: System) -> None:
    """As an orderly stop does, one kind after the other; each is there again before the next goes."""
    for name in ("worker", "api", "scheduler"):
        for pid in system.pids(name):
            signal_all([pid], signal.SIGTERM)
            wait_for(f"the end of {name} {pid}", lambda pid=pid, name=name: pid not in system.pids(name), PATIENCE_S)  # type: ignore[misc]
        wait_for(f"another {name}", lambda name=name: system.pids(name), PATIENCE_S)  # type: ignore[misc]


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
    "postgres-away": _postgres_away,
    "rows-locked": _rows_locked,
    "redis-emptied": _redis_emptied,
    "redis-lost": _redis_lost,
    "redis-stopped": _redis_stopped,
    "stream-cut": _stream_cut,
    "network-held": _network_held,
    "snapshot-held": _snapshot_held,
    "disk-full": _disk_full,
    "mount-hung": _mount_hung,
    "clocks-jumped": _clocks_jumped,
    "upgraded-and-back": _upgraded_and_back,
}


def possible() -> list[str]:
    """The kinds that this machine has all for."""
    needs = {
        "clocks-jumped": bool(LIBRARIES),
        "disk-full": os.geteuid() == 0,
        "mount-hung": os.geteuid() == 0 and os.path.exists("/dev/fuse"),
    }
    return sorted(kind for kind in ACTS if needs.get(kind, True))
