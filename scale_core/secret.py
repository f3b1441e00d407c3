"""Secrets that Scale gives out or is given: made, hashed, compared. None is kept as it is."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from scale_core.errors import Invalid, Problem

TOKEN_PREFIX = "scale_"  # noqa: S105 # by which programs that look for leaked secrets know one
HINT_LENGTH = 12
MIN_PASSWORD, MAX_PASSWORD = 12, 1000

_hasher = PasswordHasher()
_at_once = BoundedSemaphore(2)  # each takes 64 MiB and a core for a moment: a crowd must not take them all


def make_token() -> str:
    """An API token: 256 random bits behind a prefix."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def make_key() -> str:
    """The secret of a browser's session: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a token or key. They are random and long, so that a plain SHA-256 cannot be turned back."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def derive(secret: str, purpose: str) -> str:
    """Another secret, from which `secret` cannot be told."""
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def is_same(first: str, second: str) -> bool:
    """Without telling by its time how much of both is the same."""
    return hmac.compare_digest(first.encode(), second.encode())


def check_password(password: str, name: str, path: str = "password") -> None:
    """Long enough, and not the name. Raises Invalid."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Invalid(problems=[Problem(path, f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")])
    if name.lower() in password.lower() and len(password) < len(name) + MIN_PASSWORD:
        raise Invalid(problems=[Problem(path, "must not be made of the account's name")])
    if len(set(password)) < 5:
        raise Invalid(problems=[Problem(path, "must have at least five different characters")])


def hash_password(password: str) -> str:
    """By argon2id, with a salt of its own."""
    with _at_once:
        return _hasher.hash(password)


def verify_password(hashed: str | None, password: str) -> bool:
    """Takes as long when there is no such account (None), so that names cannot be found out by the time it takes."""
    try:
        with _at_once:
            _hasher.verify(hashed or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None


def is_outdated(hashed: str) -> bool:
    """Whether it was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(hashed)


@cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(16))
