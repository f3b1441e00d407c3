"""When a clock rule is due. Specification: Clock Triggers.

Schedules are absolute within the day, in UTC: a rule of one hour fires on the hour, whenever it fired last. Daylight
saving does not exist in UTC. A clock that jumps fires nothing twice: a slot that has fired stays fired.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True)
class ClockRule:
    """Clock Trigger Configuration 1.0; `every` is at least a minute."""

    event_type: str
    every: timedelta


def due_slot(rule: ClockRule, last: datetime | None, now: datetime) -> datetime | None:
    """The slot that has to be fired now; None when it is none's turn.

    `last` is when the rule fired last, not later than `now`. However many slots were missed, only the newest is due:
    what lay between is up to the processor. A rule that never fired waits for the first slot after midnight when it
    has several a day, and is due at once when it has not.
    """
    midnight = _midnight(now)
    if rule.every < DAY:
        slot = midnight + (now - midnight) // rule.every * rule.every
        is_due = slot > midnight if last is None else slot > last
    elif last is None:
        slot, is_due = midnight, True
    else:
        first = _midnight(last)
        slot = first + (now - first) // rule.every * rule.every
        is_due = slot > last
    return slot if is_due else None


def missed_days(last_slot: datetime | None, slot: datetime) -> list[str]:
    """The UTC days from that of the last firing to the one before `slot`, as ISO dates; at first only yesterday."""
    yesterday = slot.astimezone(UTC).date() - DAY
    day = min(last_slot.astimezone(UTC).date(), yesterday) if last_slot else yesterday
    return [(day + number * DAY).isoformat() for number in range((yesterday - day).days + 1)]


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
