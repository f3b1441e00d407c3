"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

# A bound, not a claim about speed: machines that run tests are slow and shared, and what passes never waits so long.
PATIENCE_S = 60.0
# Between two looks, a part of what was waited until then: most looks are requests, which cost the machine on which what
# is waited for has to happen.
SHARE = 0.1
SHORTEST_S, LONGEST_S = 0.02, 0.2


def wait_for(
    what: str, look: Callable[[], Found | None], patience_s: float = PATIENCE_S, pause_s: float | None = None
) -> Found:
    """What `look` finds once it is true; asked now and then, or every `pause_s` seconds. Fails after `patience_s`."""
    began = time.monotonic()
    while not (found := look()):
        waited = time.monotonic() - began
        assert waited < patience_s, f"waited {patience_s:.0f} s for {what}"
        time.sleep(pause_s or min(max(SHARE * waited, SHORTEST_S), LONGEST_S))
    return found
