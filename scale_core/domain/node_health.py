"""When a node is paused because what runs on it fails by Scale's own errors, and how it comes back by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True)
class HealthPolicy:
    """A node is paused when at least `minimum` executions, and the share `rate` of all, failed by SYSTEM errors within
    `window_s`; all that one dead executor took along before it began counts as one. After `probe_s` one execution is
    let through; each one that fails doubles the time up to `probe_cap_s`.
    A rate of 0 pauses no node.
    """

    rate: float = 0.5
    window_s: float = 60.0
    minimum: int = 5
    probe_s: float = 30.0
    probe_cap_s: float = 900.0

    def is_sick(self, ended: int, failed: int) -> bool:
        """Whether a node where so many executions ended, and so many of these failed, is to be paused."""
        return self.rate > 0 and failed >= max(self.minimum, 1) and failed >= self.rate * ended

    def interval(self, failures: int) -> timedelta:
        """The time before the next probe after so many that failed."""
        return timedelta(seconds=min(self.probe_s * 2.0 ** min(failures, 60), self.probe_cap_s))


class Probe(StrEnum):
    """What became of the one execution that was let through."""

    RUNNING = "running"
    PASSED = "passed"  # it completed, or failed by a fault of its own
    FAILED = "failed"
    NOTHING = "nothing"  # it was canceled, lost or never began: that says nothing of the node


@dataclass(frozen=True)
class Sickness:
    """A node that errors paused. `probe_id` is the execution that runs there as a probe."""

    since: datetime
    next_probe: datetime
    failures: int = 0  # probes that failed
    probe_id: int | None = None

    def is_probe_due(self, now: datetime) -> bool:
        return self.probe_id is None and self.next_probe <= now


def fall_sick(policy: HealthPolicy, now: datetime) -> Sickness:
    return Sickness(now, now + policy.interval(0))


def after_probe(policy: HealthPolicy, sick: Sickness, probe: Probe, now: datetime) -> Sickness | None:
    """How the node fares after a look at its probe; None: it has recovered."""
    if probe is Probe.PASSED:
        return None
    if probe is Probe.FAILED:
        failures = sick.failures + 1
        return replace(sick, failures=failures, probe_id=None, next_probe=now + policy.interval(failures))
    return replace(sick, probe_id=None, next_probe=now) if probe is Probe.NOTHING else sick
