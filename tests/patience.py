"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

# A bound, not a claim about speed: machines that run tests are slow and shared, and what passes never waits so long.
PATIENCE_S = 60.0


def wait_for(
    what: str, look: Callable[[], Found | None], patience_s: float = PATIENCE_S, pause_s: float = 0.02
) -> Found:
    """What `look` finds as soon as it is true, asked every `pause_s` seconds; fails after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s for {what}"
        time.sleep(pause_s)
    return found
