from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
from honcho.environ import parse
from redis import Redis

from scale_core.settings import Settings
from scale_server import launcher, ports, postgres, redis

CHECKOUT = Path(__file__).resolve().parents[2]
EMBEDDED = ("SCALE_DATABASE_URL", "SCALE_BROKER_URL", "SCALE_MESOS_MASTER")


def server(home: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in EMBEDDED}
    return subprocess.Popen(
        [sys.executable, "-m", "scale_server", *arguments],
        cwd=CHECKOUT, env={**inherited, "SCALE_HOME": str(home), **environ}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        if "ready" in line:
            return
    raise AssertionError(process.stderr.read() if process.stderr else "ended")


def test_services_alone_and_their_environment(home: Path) -> None:
    first = server(home, "--only-services")
    wait_until_ready(first)

    second = server(home, "--only-services")
    _, complaint = second.communicate(timeout=20)
    assert second.returncode == 1
    assert complaint.count("\n") == 1
    assert f"already running in {home}, pid {first.pid}" in complaint

    printed, _ = server(home, "--env").communicate(timeout=20)
    env = parse(printed)  # as `honcho start` reads it
    assert (home / ".env").stat().st_mode & 0o777 == 0o600
    psycopg2.connect(env["SCALE_DATABASE_URL"]).close()
    with Redis.from_url(env["SCALE_BROKER_URL"]) as client:
        assert client.ping()
    settings = Settings.from_environ(env)
    assert settings.home == home.resolve()
    assert settings.mesos_master == f"{ports.HOST}:{settings.devcluster_port}"
    shell = subprocess.run(["sh", "-c", f". {home}/.env; echo $SCALE_HOME"], capture_output=True, text=True, check=True)
    assert shell.stdout.strip() == str(home)

    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    assert first.returncode == 0
    assert not postgres.is_running(home)
    assert not redis.pid_of(home)


def test_a_taken_port_is_told_before_anything_starts(home: Path) -> None:
    with socket.socket() as other:
        other.bind((ports.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        process = server(home, SCALE_PORT=str(port))
        _, complaint = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"port {port}" in complaint
    assert "SCALE_PORT" in complaint
    assert complaint.count("\n") == 1
    assert not (home / "postgres").exists()


def test_a_wrong_setting_is_one_line(home: Path) -> None:
    process = server(home, SCALE_PORT="http")
    _, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint.count("\n")) == (1, 1)
    assert "SCALE_PORT" in complaint


def test_a_lock_is_gone_with_its_process(home: Path) -> None:
    code = (
        "import os, pathlib; from scale_server import launcher\n"
        f"with launcher.lock(pathlib.Path({str(home)!r})): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False).returncode == 9
    with launcher.lock(home):
        assert (home / "server.lock").read_text().strip() == str(os.getpid())


def test_services_that_died_come_back_under_the_same_address(home: Path) -> None:
    services = launcher.Services(Settings(home=home), {}, lambda message: None)
    addresses = services.start()
    try:
        for pid in (postgres.pid_of(home), redis.pid_of(home)):
            os.kill(pid, signal.SIGKILL)
        while postgres.pid_of(home) or redis.pid_of(home):
            time.sleep(0.01)
        services.tend()
        psycopg2.connect(addresses["SCALE_DATABASE_URL"]).close()
        with Redis.from_url(addresses["SCALE_BROKER_URL"]) as client:
            assert client.ping()
    finally:
        services.stop()
    assert not postgres.is_running(home)
    assert not redis.pid_of(home)


def test_what_is_configured_is_not_started(home: Path) -> None:
    given = {"SCALE_DATABASE_URL": "postgresql://elsewhere/scale", "SCALE_BROKER_URL": "redis://elsewhere/0"}
    settings = Settings(home=home, mesos_master="zk://elsewhere:2181/mesos")
    services = launcher.Services(settings, given, lambda message: None)
    env = launcher.environment(settings, given, services.start())
    assert env["SCALE_DATABASE_URL"] == given["SCALE_DATABASE_URL"]
    assert env["SCALE_BROKER_URL"] == given["SCALE_BROKER_URL"]
    assert env["SCALE_MESOS_MASTER"] == settings.mesos_master
    assert not (home / "postgres").exists()
    assert not (home / "redis").exists()
