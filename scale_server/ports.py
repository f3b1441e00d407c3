"""Free TCP ports on the loopback, remembered so that a server keeps its addresses from one start to the next."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable
from pathlib import Path

HOST = "127.0.0.1"


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on `port` of `host` now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Servers set this too; without it, connections of a server that has just gone would count as "taken".
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = HOST) -> int:
    """A port that nobody listens on. Another program may take it before you do: be ready to ask again."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def remembered(home: Path, names: Iterable[str], patience_s: float = 0.0) -> dict[str, int]:
    """A port for each name: the one in ``home/ports.json`` where it is free, else a new one, which is kept there.

    `patience_s` is how long to wait for a known port: its last user may be on its way out.
    """
    path = home / "ports.json"
    known = _read(path)
    chosen: dict[str, int] = {}
    for name in names:
        port = known.get(name, 0)
        deadline = time.monotonic() + patience_s
        while port and not is_free(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        while not port or port in chosen.values() or not is_free(port):
            port = free_port()
        chosen[name] = port
    _write(path, {**known, **chosen})
    return chosen


def recall(home: Path, name: str) -> int:
    """The port that `name` was given, free or not; 0 when there is none."""
    return _read(home / "ports.json").get(name, 0)


def _read(path: Path) -> dict[str, int]:
    try:
        known = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: port for name, port in known.items() if isinstance(port, int)} if isinstance(known, dict) else {}


def _write(path: Path, ports: dict[str, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(ports, indent=2, sort_keys=True) + "\n")
    temporary.replace(path)
