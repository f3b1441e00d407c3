from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scale_core.domain.retry import Backoff


def test_the_second_failure_waits_and_each_further_one_twice_as_long_up_to_the_cap() -> None:
    backoff = Backoff(base_s=5, cap_s=60)
    assert [backoff.delay_s(failures, 1.0) for failures in range(1, 8)] == [0, 5, 10, 20, 40, 60, 60]


@given(st.integers(0, 10**9), st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_delay_is_never_longer_than_the_cap_nor_negative(
    failures: int, jitter: float, base_s: float, cap_s: float
) -> None:
    assert 0 <= Backoff(base_s, cap_s).delay_s(failures, jitter) <= cap_s


@given(st.integers(2, 1000), st.floats(0, 1))
def test_jitter_spreads_over_the_second_half(failures: int, jitter: float) -> None:
    longest = Backoff().delay_s(failures, 1.0)
    assert longest / 2 <= Backoff().delay_s(failures, jitter) <= longest
