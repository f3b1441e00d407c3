"""Small acts on files that several parts of the launcher share."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    temporary.replace(path)


def write_env(home: Path, env: Mapping[str, str]) -> Path:
    """Keep the environment in SCALE_HOME/.env, as KEY=VALUE lines that honcho and a shell read."""
    path = home / ".env"
    write_private(path, "".join(f"{name}={shlex.quote(value)}\n" for name, value in env.items()))
    return path


def read_env(home: Path) -> dict[str, str]:
    """What write_env kept; nothing where no server runs."""
    try:
        lines = (home / ".env").read_text().splitlines()
    except OSError:
        return {}
    return dict(shlex.split(line)[0].split("=", 1) for line in lines)


def tail(path: Path, lines: int = 10) -> str:
    """The last lines of a log, for a message to a person."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 64 * 1024))
            text = stream.read().decode(errors="replace")
    except OSError as error:
        return f"({error})"
    return "\n".join(text.splitlines()[-lines:])
