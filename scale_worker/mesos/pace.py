"""How much to do at a time, so that it takes about as long on any machine."""

from __future__ import annotations

import time
from collections.abc import Callable

GAIN = 0.5  # of the way to what the last batch would have suggested: one that was disturbed is not all


class Pace:
    """`size` is the size of the next batch, between `least` and `most`: such that it takes about `target_s` seconds."""

    def __init__(self, target_s: float, least: int, most: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._target_s, self._least, self._most = target_s, least, most
        self._clock = clock
        self._wanted = float(most)
        self._began = 0.0

    @property
    def size(self) -> int:
        return round(self._wanted)

    def begin(self) -> None:
        self._began = self._clock()

    def done(self, count: int) -> None:
        """A batch of `count` took from `begin` until now. Small ones say nothing: most of their time is not theirs."""
        if count < self._least:
            return
        took_s = max(self._clock() - self._began, 1e-6)
        self._wanted += GAIN * (count * self._target_s / took_s - self._wanted)
        self._wanted = min(max(self._wanted, self._least), self._most)
