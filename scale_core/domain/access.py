"""Who may do what: roles, the narrower scope of a token, who somebody is, and where a browser may be sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scale_core.errors import Invalid, Problem

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SCOPE = re.compile(r"(\*|GET|POST|PUT|PATCH|DELETE) (/[\w./-]*)", re.ASCII)
_OWN_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f]*")
MAX_SCOPE = 50


class Role(StrEnum):
    """From the least to the greatest; each may do what those before it may."""

    VIEWER = "viewer"  # looks
    OPERATOR = "operator"  # jobs, queue, nodes, Strikes
    ADMIN = "admin"  # types, workspaces, accounts, tokens, configuration

    def covers(self, needed: Role) -> bool:
        return _RANK[self] >= _RANK[needed]


_RANK = {role: rank for rank, role in enumerate(Role)}


class Via(StrEnum):
    """How somebody showed who they are."""

    OPEN = "open"  # nobody was asked: access control is off
    TOKEN = "token"  # noqa: S105
    SESSION = "session"  # of a browser
    SIGN_ON = "sign-on"  # through OpenID Connect
    COMMAND = "command"  # on the machine itself


@dataclass(frozen=True)
class Caller:
    """Who asks. `id` is that of the token or session; an empty scope is no restriction."""

    via: Via
    role: Role
    name: str = ""
    account_id: int | None = None
    id: int | None = None
    token_name: str = ""
    scope: tuple[str, ...] = ()

    def may(self, needed: Role | None, method: str, path: str) -> bool:
        """Whether the role and the scope allow this; `needed` None: anybody may."""
        return needed is None or (self.role.covers(needed) and in_scope(self.scope, method, path))


OPEN = Caller(Via.OPEN, Role.ADMIN)


def least(first: Role, second: Role) -> Role:
    return min(first, second, key=_RANK.__getitem__)


def parse_role(text: object, path: str = "role") -> Role:
    """Raises Invalid."""
    try:
        return Role(str(text))
    except ValueError:
        names = ", ".join(Role)
        raise Invalid(problems=[Problem(path, f"{str(text)[:50]!r} is not a role: use one of {names}")]) from None


def check_scope(scope: Sequence[str]) -> tuple[str, ...]:
    """``GET /jobs/`` lets read everything whose path begins so, ``* /queue/`` do everything there. Raises Invalid."""
    problems = [
        Problem(f"scope[{number}]", f"{str(each)[:80]!r} is not of the form 'GET /jobs/' or '* /queue/'")
        for number, each in enumerate(scope)
        if not (isinstance(each, str) and _SCOPE.fullmatch(each))
    ]
    if len(scope) > MAX_SCOPE:
        problems.append(Problem("scope", f"has more than {MAX_SCOPE} entries"))
    if problems:
        raise Invalid(problems=problems)
    return tuple(scope)


def in_scope(scope: Sequence[str], method: str, path: str) -> bool:
    """Prefixes end at a slash: ``GET /jobs/`` says nothing of /jobs-of-others/."""
    if not scope:
        return True
    for each in scope:
        allowed, _, prefix = each.partition(" ")
        if allowed in ("*", method) and f"{path}/".startswith(prefix if prefix.endswith("/") else f"{prefix}/"):
            return True
    return False


def is_within(wanted: Sequence[str], scope: Sequence[str]) -> bool:
    """Whether everything that the scope `wanted` allows is allowed by `scope` too."""
    if not scope:
        return True
    return bool(wanted) and all(in_scope(scope, *each.split(" ", 1)) for each in wanted)


def own_path(path: str | None) -> str:
    """The path if it leads into Scale itself, ``/`` otherwise: what a browser is told must never lead elsewhere."""
    return path if path and len(path) <= 2000 and _OWN_PATH.fullmatch(path) else "/"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there. Names but localhost may lead anywhere."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
