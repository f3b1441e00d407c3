from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis

from scale_server import redis


def test_start_use_and_stop(home: Path) -> None:
    url = redis.start(home)
    client = Redis.from_url(url)
    client.set("answer", "42")
    assert redis.start(home) == url
    assert client.get("answer") == b"42"
    client.close()
    redis.stop(home)
    assert not redis.is_running(home)
    assert redis.pid_of(home) == 0
    redis.stop(home)


def test_after_a_kill_it_has_the_same_address_and_nothing_left(home: Path) -> None:
    url = redis.start(home)
    with Redis.from_url(url) as client:
        client.set("answer", "42")
    os.kill(redis.pid_of(home), signal.SIGKILL)
    while redis.pid_of(home):
        pass
    assert redis.start(home) == url
    with Redis.from_url(url) as client:
        assert client.get("answer") is None


def test_a_password_is_needed_and_private(home: Path) -> None:
    url = redis.start(home)
    wrong = url.replace(":" + (home / "redis" / "password").read_text(), ":wrong")
    with Redis.from_url(wrong) as client, pytest.raises(AuthenticationError):
        client.ping()
    for name in ("password", "redis.conf"):
        assert (home / "redis" / name).stat().st_mode & 0o777 == 0o600


def test_the_number_of_a_dead_server_may_belong_to_another_program(home: Path) -> None:
    redis.start(home)
    redis.stop(home)
    (home / "redis" / "redis.pid").write_text(f"{os.getpid()}\n")
    assert redis.pid_of(home) == 0
    redis.stop(home)  # and we are still here
