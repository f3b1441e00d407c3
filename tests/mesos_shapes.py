"""Comparing what the devcluster says with what a real Mesos said: same keys and types, whatever the values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures" / "mesos"


def recorded(name: str) -> Any:
    """A condensed recording of a real Mesos 1.11."""
    return json.loads((FIXTURES / f"{name}.json").read_text())


def same_shape(
    expected: Any, ours: Any, words: frozenset[str] | set[str] = frozenset({"type", "state", "source", "reason"})
) -> None:
    """Fail unless `ours` has the keys and types of `expected`, and its values where a key is in `words`."""
    found = differences(expected, ours, words)
    assert not found, "\n".join(found)


def differences(expected: Any, ours: Any, words: frozenset[str] | set[str], path: str = "$") -> list[str]:
    """What differs in shape, one line for each place. An element of a list must be like one of the recorded ones."""
    if type(expected) is not type(ours):
        return [f"{path}: {type(ours).__name__} instead of {type(expected).__name__}"]
    if isinstance(expected, dict):
        found = [f"{path}.{key}: missing" for key in expected.keys() - ours.keys()]
        found += [f"{path}.{key}: unexpected" for key in ours.keys() - expected.keys()]
        for key in expected.keys() & ours.keys():
            found += differences(expected[key], ours[key], words, f"{path}.{key}")
            if key in words and isinstance(expected[key], str) and expected[key] != ours[key]:
                found.append(f"{path}.{key}: {ours[key]!r} instead of {expected[key]!r}")
        return found
    if isinstance(expected, list) and expected:
        if not ours:
            return [f"{path}: empty"]
        found = []
        for number, element in enumerate(ours):
            tries = [differences(model, element, words, f"{path}[{number}]") for model in expected]
            found += min(tries, key=len)
        return found
    return []
