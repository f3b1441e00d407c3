"""How long a job that failed again waits before its next attempt, and in which words that is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds. `base_s` is the longest wait after the second failure; it doubles each further time up to `cap_s`."""

    base_s: float = 5.0
    cap_s: float = 300.0

    def delay_s(self, failures: int, jitter: float) -> float:
        """How long to wait after this many failed tries of a job (lost executions are none).

        The first failure is often the node's alone, so another try follows at once. `jitter` (0 to 1) spreads what
        failed together, over the second half of the wait.
        """
        if failures < 2:
            return 0.0
        longest = min(self.base_s * 2.0 ** min(failures - 2, 60), self.cap_s)
        return longest * (0.5 + 0.5 * min(max(jitter, 0.0), 1.0))


def decision(category: str, error: str, tries: int, max_tries: int, *, is_lost: bool, is_long_running: bool) -> str:
    """Who decided that the job is tried again, and why: one line for people."""
    if is_lost:
        return f"Scale: the cluster lost it ({error}), which costs no try"
    if is_long_running:
        return f"Scale: a long-running job always returns (after {error})"
    return f"Scale: {category} error {error}, {tries} of {max_tries} tries used"


BY_USER = "a user put it back on the queue"
