"""When what is done again and again has its time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping


class Timetable:
    """By name; what was never done has its time. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, float] = defaultdict(lambda: float("-inf"))

    def take(self, what: str, every_s: float) -> bool:
        """Whether it has its time; if so it counts as done now."""
        now = self._clock()
        if now < self._last[what] + every_s:
            return False
        self._last[what] = now
        return True

    def take_all(self, every_s: Mapping[str, float], ahead_s: float) -> set[str]:
        """Nothing unless one of them has its time; then also those that have it within `ahead_s`."""
        now = self._clock()
        if all(now < self._last[what] + seconds for what, seconds in every_s.items()):
            return set()
        return {what for what, seconds in every_s.items() if self.take(what, seconds - ahead_s)}

    def hasten(self, *whats: str) -> None:
        """It is time for these, whenever they were last."""
        for what in whats:
            self._last.pop(what, None)
