"""Docker images by digest: the only name of an image that nobody can give to another one."""

from __future__ import annotations

import re

_PINNED = re.compile(r"(?:[^\s@]+@)?(sha256:[0-9a-f]{64})")


def digest_of(image: str) -> str | None:
    """``sha256:…`` of ``NAME@sha256:…``, or of an image's own id; None for a name or a tag, which may move."""
    found = _PINNED.fullmatch(image)
    return found.group(1) if found else None


def may_be_privileged(image: str, allowed: tuple[str, ...]) -> bool:
    """`image` is named by a digest, and by one of `allowed` where these are given."""
    digest = digest_of(image)
    return digest is not None and (not allowed or digest in allowed)
