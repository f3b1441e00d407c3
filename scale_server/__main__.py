"""``python -m scale_server``: run all of Scale on this machine (script/server does the set-up first)."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from scale_core.errors import ScaleError
from scale_core.settings import CHECKOUT, Settings
from scale_server import launcher


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="script/server", description=__doc__)
    parser.add_argument("--only-services", action="store_true", help="start PostgreSQL and Redis, nothing else")
    parser.add_argument("--env", action="store_true", help="print the environment of what runs in SCALE_HOME, and end")
    parser.add_argument("--procfile", type=Path, default=CHECKOUT / "Procfile", help="the processes to run")
    commands = parser.add_subparsers(dest="command")
    creating = commands.add_parser("create-admin", help="make an administrator, or give one a new password")
    creating.add_argument("name")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environ()
        if options.env:
            return launcher.print_env(settings)
        if options.command == "create-admin":
            return launcher.create_admin(settings, os.environ, options.name)
        return launcher.serve(settings, os.environ, options.procfile, options.only_services)
    except ScaleError as error:
        print(f"script/server: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
