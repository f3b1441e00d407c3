"""Flower, the view of Celery, with the settings' address and password: ``python -m scale_worker.flower``.

It shows and ends tasks, so it is for the loopback or for who knows the password.
"""

from __future__ import annotations

import os
import sys

from scale_core.domain.access import is_loopback
from scale_core.errors import ConfigurationError
from scale_core.settings import Settings


def command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """The command line, and what its environment has beside ours: no password is for everybody's eyes in a list of
    processes. Raises ConfigurationError when everybody on the network could use it."""
    if bool(settings.flower_user) != bool(settings.flower_password):
        raise ConfigurationError("SCALE_FLOWER_USER and SCALE_FLOWER_PASSWORD belong together: set both or neither")
    if not is_loopback(settings.flower_host) and not settings.flower_user:
        raise ConfigurationError(
            f"Flower would let anybody who reaches {settings.flower_host} end tasks: set SCALE_FLOWER_USER and "
            "SCALE_FLOWER_PASSWORD (or SCALE_FLOWER_PASSWORD_FILE), or SCALE_FLOWER_HOST=127.0.0.1"
        )
    if any(char in settings.flower_user + settings.flower_password for char in ",:") and settings.flower_user:
        raise ConfigurationError("SCALE_FLOWER_USER and SCALE_FLOWER_PASSWORD: neither may hold a comma or a colon")
    where = [f"--address={settings.flower_host}", f"--port={settings.flower_port}", "--logging=warning"]
    where += ["--enable-events=false"]  # workers tell of their tasks unasked (celery_config.py)
    pair = f"{settings.flower_user}:{settings.flower_password}"
    line = [sys.executable, "-m", "celery", "-A", "scale_worker.celery_bare", "flower", *where]
    return line, {"FLOWER_BASIC_AUTH": pair} if settings.flower_user else {}


def main() -> int:
    """Becomes Flower. Exit status 2: a setting is wrong."""
    try:
        line, more = command(Settings.from_environ())
    except ConfigurationError as error:
        print(f"flower: {error}", file=sys.stderr)
        return 2
    os.execve(line[0], line, {**os.environ, **more})  # noqa: S606 - the list above
    return 1


if __name__ == "__main__":
    sys.exit(main())
