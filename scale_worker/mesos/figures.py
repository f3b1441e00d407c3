"""What the offer handler counts of its own work. It is written into the scheduler row with every beat.

Counters start at 0 with each leader. `rounds`, `launches`, `updates`, `offers` (received), `declined`, `rescinded`,
`calls_failed` are totals; `offers_held` is now; `round_s` are the p50, p99 and the longest of the last rounds that had
anything to do, seconds.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

KEPT_ROUNDS = 2000
COUNTED = ("rounds", "launches", "updates", "offers", "declined", "rescinded", "calls_failed")


class Figures:
    """`clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._rounds: deque[float] = deque(maxlen=KEPT_ROUNDS)

    def add(self, name: str, count: int = 1) -> None:
        self._counts[name] += count

    @contextmanager
    def round(self) -> Iterator[None]:
        """One round's work; a round that neither wrote nor sent anything is not kept."""
        before, began = self._counts.total(), self._clock()
        try:
            yield
        finally:
            if self._counts.total() > before:
                self.add("rounds")
                self._rounds.append(self._clock() - began)

    def show(self, *, offers_held: int) -> dict[str, Any]:
        """As JSON."""
        return {
            **{name: self._counts[name] for name in COUNTED},
            "offers_held": offers_held,
            "round_s": _spread(sorted(self._rounds)),
        }


def _spread(ordered: list[float]) -> dict[str, float]:
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {name: round(ordered[round(part * last)], 4) for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}
