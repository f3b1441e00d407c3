"""Why one execution still waits in the queue: a sentence for people, the most decisive reason first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from scale_core.domain.job import Resources
from scale_core.domain.places import NAMES
from scale_core.domain.scheduling import JobTypeLimits, QueueEntry

NOBODY_LEADS = "no offer handler is running"
PAUSED = "scheduling is paused"


@dataclass(frozen=True)
class Circumstances:
    """What the whole queue has in common.

    `nodes` are what each node that is there has in all, paused or not. `last_round` is by job type what the offer
    handler said in its last round, and so already knows what is free where.
    """

    now: datetime
    is_led: bool = True
    is_paused: bool = False
    nodes: Sequence[Resources] = ()
    limits: Mapping[int, JobTypeLimits] = field(default_factory=dict)
    last_round: Mapping[int, str] = field(default_factory=dict)


def reason(entry: QueueEntry, ahead: int, around: Circumstances, not_before: datetime | None = None) -> str:
    """Why the entry does not run yet; `ahead` entries come before it, `not_before` is when it may be tried again."""
    if not around.is_led:
        return NOBODY_LEADS
    if around.is_paused:
        return PAUSED
    limit = around.limits.get(entry.job_type_id)
    if limit is not None and limit.refusal():
        return f"its job type is {limit.refusal()}" if limit.is_paused else limit.refusal()
    if backing_off := back_off(not_before, around.now):
        return backing_off
    if around.nodes and not any(total.holds(entry.needs) for total in around.nodes):
        return f"no node could ever hold it: {_excess(entry.needs, around.nodes)}"
    if entry.job_type_id in around.last_round:
        return around.last_round[entry.job_type_id]
    if ahead:
        return f"{ahead} job{'s are' if ahead > 1 else ' is'} ahead of it"
    return "it is next: it starts with the next offer"


def back_off(not_before: datetime | None, now: datetime) -> str | None:
    """What to say of an execution that may not be tried again yet; None: it may."""
    if not_before is None or not_before <= now:
        return None
    return f"it failed before: it is tried again in {math.ceil((not_before - now).total_seconds())} s"


def _excess(needs: Resources, nodes: Sequence[Resources]) -> str:
    """What it needs more of than the largest node has; if only the mixture is too much, all of it."""
    parts = []
    for name, unit in NAMES.items():
        largest = max(getattr(total, name) for total in nodes)
        if getattr(needs, name) > largest:
            parts.append(f"needs {getattr(needs, name):g} {unit}, the largest node has {largest:g}")
    together = ", ".join(f"{getattr(needs, name):g} {unit}" for name, unit in NAMES.items() if getattr(needs, name))
    return "; ".join(parts) or f"needs {together} at one node"
