from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psycopg2
import pytest

from scale_core.errors import ScaleError
from scale_server import ports, postgres


def ask(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def test_data_outlive_a_stop_and_a_kill(home: Path) -> None:
    url = postgres.start(home)
    assert ask(url, "SELECT ST_AsText(ST_Point(1, 2))") == ("POINT(1 2)",)
    ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert postgres.start(home) == url, "a running cluster is used as it is"

    postgres.stop(home)
    assert not postgres.is_running(home)
    assert postgres.start(home) == url
    os.kill(postgres.pid_of(home), signal.SIGKILL)
    assert postgres.start(home) == url, "running processes know no other address"
    assert ask(url, "SELECT answer FROM kept") == (42,)


def test_a_password_is_needed_and_private(home: Path) -> None:
    url = postgres.start(home)
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(url.replace(":" + (home / "postgres.password").read_text(), ":wrong"))
    assert (home / "postgres.password").stat().st_mode & 0o777 == 0o600
    assert (home / "postgres").stat().st_mode & 0o777 == 0o700


def test_the_number_of_a_dead_server_may_belong_to_another_program(home: Path) -> None:
    url = postgres.start(home)
    postgres.stop(home)
    # What a crash of the machine leaves behind, when another program of the same account got the number since.
    user = {"user": postgres.ACCOUNT} if not os.geteuid() else {}
    with subprocess.Popen(["sleep", "60"], **user) as stranger:
        (home / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n{home}/postgres\n")
        assert not postgres.is_running(home)
        assert postgres.start(home) == url
        assert stranger.poll() is None
        stranger.kill()


def test_a_taken_port_is_replaced(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PATIENCE_S", 0.0)
    with socket.socket() as other:
        other.bind((ports.HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        (home / "ports.json").write_text(f'{{"postgres": {taken}}}')
        url = postgres.start(home)
    assert f":{taken}/" not in url
    assert ask(url, "SELECT 1") == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own a directory that the postgres account cannot enter")
def test_a_home_that_the_account_cannot_enter(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    inside = closed / "home"
    url = postgres.start(inside)
    try:
        assert (inside / "postgres").is_symlink()
        elsewhere = (inside / "postgres").resolve()
        assert elsewhere.parent == postgres.FALLBACK
        assert ask(url, "SELECT 1") == (1,)
    finally:
        postgres.destroy(inside)
    assert not elsewhere.exists()
    assert not (inside / "postgres").is_symlink()


def test_a_lost_directory_is_not_silently_replaced_by_an_empty_one(home: Path) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (home / "postgres").symlink_to(elsewhere)
    shutil.rmtree(elsewhere)
    with pytest.raises(ScaleError, match="does not exist"):
        postgres.start(home)


def test_what_does_not_start_says_why(home: Path) -> None:
    postgres.start(home)
    postgres.stop(home)
    with (home / "postgres" / "postgresql.auto.conf").open("a") as stream:
        stream.write("no_such_setting = 1\n")
    with pytest.raises(ScaleError, match="no_such_setting"):
        postgres.start(home)
