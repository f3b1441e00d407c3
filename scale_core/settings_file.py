"""The settings of a machine whose processes systemd starts: /etc/scale/scale.env, for whoever types a command there.

Lines of NAME=VALUE as systemd's EnvironmentFile reads them, never a shell: a value may be a command with blanks.
`python -m scale_core.settings_file` prints them for a shell; `deploy/run` does so for its commands and its --env.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

PATH = Path("/etc/scale/scale.env")
_LINE = re.compile(r"\s*(SCALE_[A-Z0-9_]+)=(.*)")


def read(path: Path) -> dict[str, str]:
    """What stands there; nothing where there is no such file, or it is not for us to read."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {found[1]: _unquoted(found[2].strip()) for found in map(_LINE.fullmatch, lines) if found}


def for_commands(given: Mapping[str, str], path: Path = PATH) -> dict[str, str]:
    """The environment of a command that somebody types: an environment that names a database is complete as it is."""
    return dict(given) if given.get("SCALE_DATABASE_URL") else {**read(path), **given}


def main() -> int:
    settings = for_commands(os.environ)
    names = sorted(name for name in settings if name.startswith("SCALE_"))
    print("".join(f"export {name}={shlex.quote(settings[name])}\n" for name in names), end="")
    return 0


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


if __name__ == "__main__":
    sys.exit(main())
