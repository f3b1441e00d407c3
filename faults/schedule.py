"""Which faults come in which order: a function of the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Seconds: `pause_s` of undisturbed load before it, `lasts_s` until what was taken away comes back."""

    number: int
    kind: str
    pause_s: float
    lasts_s: float


def plan(count: int, seed: int, kinds: Sequence[str]) -> list[Fault]:
    """`count` faults; each kind comes once before any comes again."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    faults: list[Fault] = []
    deck: list[str] = []
    for number in range(1, count + 1):
        if not deck:
            deck = sorted(kinds)
            dice.shuffle(deck)
        faults.append(Fault(number, deck.pop(), round(dice.uniform(0.2, 1.5), 2), round(dice.uniform(0.5, 5.0), 2)))
    return faults
