"""The targets of script/fuzz take what is right, and whatever else a few bytes may be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import NORMALIZED, SEEDS, TARGETS
from scale_core.documents import results_manifest
from scale_core.errors import Invalid


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_seeds(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


def test_every_document_has_a_seed_that_is_taken() -> None:
    """Else a fuzzer would search in the dark."""
    taken = set()
    for seed in SEEDS["documents"]:
        for name, normalize in NORMALIZED.items():
            try:
                normalize(results_manifest.strict_json(seed))
            except Invalid:
                continue
            taken.add(name)
    assert taken == set(NORMALIZED)
    for seed in SEEDS["manifests"]:
        results_manifest.parse(seed)


@pytest.mark.parametrize("name", sorted(TARGETS))
@settings(deadline=None, database=None, max_examples=50)
@given(start=st.integers(0, 10), cut=st.integers(0, 200), more=st.binary(max_size=20))
def test_a_few_bytes_more(name: str, start: int, cut: int, more: bytes) -> None:
    seed = SEEDS[name][start % len(SEEDS[name])]
    TARGETS[name](seed[:cut] + more + seed[cut:])
