"""A worker that has fallen silent ends, and so does one that was told to and hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
import redis
from billiard import Process

from scale_core.settings import CHECKOUT
from scale_worker.watchdog import EXIT_CODE, QUIET_S, Watchdog
from tests.patience import PATIENCE_S, wait_for

QUEUE = "watchdog-test"
SILENT = """
import subprocess, sys, time
from scale_worker.watchdog import Watchdog
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
Watchdog(sys.argv[1], ["watchdog-test"], 0.2, 600.0).start()
time.sleep(600)
"""
DEAF = """
import signal, subprocess, time
from scale_worker.celery_app import _watchdog, app
from celery.signals import worker_shutting_down
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
_watchdog.start()
worker_shutting_down.send(sender=app)
time.sleep(600)
"""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(broker_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(broker_url)
    client.delete(QUEUE)
    yield client
    client.delete(QUEUE)


@pytest.fixture
def ended() -> list[int]:
    return []


@pytest.fixture
def watchdog(broker_url: str, clock: Clock, ended: list[int]) -> Watchdog:
    return Watchdog(broker_url, ["other", QUEUE], 60.0, 600.0, ended.append, clock)


def test_one_that_takes_no_message_while_some_wait_is_ended(
    watchdog: Watchdog, queue: redis.Redis, clock: Clock, ended: list[int]
) -> None:
    queue.lpush(QUEUE, "message")
    clock.now += 59
    assert not watchdog.look()
    watchdog.hear()
    clock.now += 59
    assert not watchdog.look(), "it took one meanwhile"
    clock.now += 1
    assert watchdog.look()
    assert ended == [EXIT_CODE]


def test_one_that_has_nothing_to_take_is_not(watchdog: Watchdog, queue: redis.Redis, clock: Clock) -> None:
    clock.now += 10_000
    assert not watchdog.look()
    queue.lpush(QUEUE, "message")
    assert not watchdog.look(), "its silence begins with the first that waits"


def test_one_that_is_at_work_has_as_long_as_a_task_may_take(
    watchdog: Watchdog, queue: redis.Redis, clock: Clock
) -> None:
    queue.lpush(QUEUE, "message")
    watchdog.work(True, 3)
    clock.now += 659
    assert not watchdog.look()
    watchdog.work(False, 3)
    assert watchdog.look()
    watchdog.work(True, 3)
    clock.now += 1
    assert watchdog.look()


def test_forks_say_that_they_are_at_work(watchdog: Watchdog, queue: redis.Redis, clock: Clock) -> None:
    queue.lpush(QUEUE, "message")
    fork = Process(target=watchdog.work, args=(True, 1))
    fork.start()
    fork.join()
    clock.now += 659
    assert not watchdog.look()


def test_redis_that_is_away_is_no_silence(clock: Clock, ended: list[int]) -> None:
    alone = Watchdog("redis://127.0.0.1:1/0", [QUEUE], 60.0, 600.0, ended.append, clock)
    clock.now += 10_000
    assert not alone.look()
    assert ended == []


def is_over(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_the_process_and_its_forks_end(broker_url: str, queue: redis.Redis) -> None:
    queue.lpush(QUEUE, "message")
    process = subprocess.Popen(
        [sys.executable, "-c", SILENT, broker_url], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert wait_for("its end", lambda: process.poll()) == EXIT_CODE
    wait_for("its fork's end", lambda: is_over(child))
    process.stdout.close()


def test_one_that_was_told_to_end_and_does_nothing_is_ended(watchdog: Watchdog, clock: Clock, ended: list[int]) -> None:
    clock.now += 10_000
    watchdog.end_soon()
    clock.now += QUIET_S - 1
    assert not watchdog.look()
    clock.now += 1
    assert watchdog.look()
    assert ended == [0], "as one that ends by itself"


def test_whoever_is_at_work_may_finish_first(watchdog: Watchdog, clock: Clock, ended: list[int]) -> None:
    watchdog.work(True, 1)
    watchdog.end_soon()
    clock.now += 300
    assert not watchdog.look()
    watchdog.work(False, 1)
    clock.now += QUIET_S - 1
    assert not watchdog.look(), "what it did may still be on its way"
    clock.now += 1
    assert watchdog.look()


def test_a_worker_that_does_not_obey_is_ended_with_its_forks(broker_url: str, database_url: str) -> None:
    env = {**os.environ, "SCALE_BROKER_URL": broker_url, "SCALE_DATABASE_URL": database_url}
    process = subprocess.Popen([sys.executable, "-c", DEAF], cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert process.wait(PATIENCE_S) == 0
    wait_for("its fork's end", lambda: is_over(child))
    process.stdout.close()
