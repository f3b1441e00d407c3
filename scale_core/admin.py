"""Accounts from the machine itself: ``python -m scale_core.admin create NAME``, and ``check`` before the API starts.

script/server uses both. Passwords come from the terminal or from standard input, never from arguments, which everybody
on the machine can read.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable

from sqlalchemy.orm import Session

from scale_core import logs
from scale_core.db.session import Sessions, make_engine, make_sessions, transaction
from scale_core.domain.access import Caller, Role, Via, is_loopback
from scale_core.errors import ConfigurationError, Invalid, ScaleError
from scale_core.queries import access
from scale_core.services import account, audit
from scale_core.services.audit import Origin
from scale_core.settings import Settings
from scale_core.timestamps import utcnow


def check(session: Session, settings: Settings) -> None:
    """Raise ConfigurationError when other machines can reach Scale and nobody could ever sign in."""
    if settings.access_control == "off" or settings.oidc_issuer:
        return
    if settings.access_control == "auto" and is_loopback(settings.host):
        return
    if not access.somebody_is_known(session):
        raise ConfigurationError(
            f"SCALE_HOST={settings.host} needs people to sign in, and nobody has an account yet: make the first "
            "administrator with script/server create-admin NAME (deploy/run create-admin NAME where it runs without "
            "script/server), or set SCALE_ACCESS_CONTROL=off if something in front of Scale knows who may come in"
        )


def create(session: Session, name: str, password: str) -> None:
    """An administrator; one that is there already gets this password, the role and is enabled. Raises Invalid."""
    known = account.by_name(session, name)
    fields = {"name": name, "password": password, "role": Role.ADMIN.value, "is_active": True}
    if known is None:
        account.create(session, fields, utcnow())
    else:
        account.edit(session, known.id, fields, utcnow())


def read_password() -> str:
    """Asked for twice on a terminal; else the first line of standard input. Raises Invalid."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise Invalid("The two are not the same.")
    return password


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scale_core.admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    creating = commands.add_parser("create", help="make an administrator, or give one a new password")
    creating.add_argument("name")
    commands.add_parser("check", help="fail when other machines can reach Scale and nobody could sign in")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environ()
        settings.require("database_url")
        logs.configure("admin", settings.log_level, settings.log_format)
        sessions = make_sessions(make_engine(settings.database_url, application_name="scale-admin"))
        _run(options, settings, sessions, print)
    except ScaleError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, settings: Settings, sessions: Sessions, say: Callable[[str], None]) -> None:
    if options.command == "check":
        with transaction(sessions) as session:
            check(session, settings)
        return
    password = read_password()
    caller = Caller(Via.COMMAND, Role.ADMIN, getpass.getuser())
    with transaction(sessions) as session:
        audit.watch(session, caller)
        create(session, options.name, password)
        session.flush()
        audit.record(session, Origin(caller, "create-admin"), utcnow())
    say(f"{options.name} is an administrator of Scale")


if __name__ == "__main__":
    sys.exit(main())
