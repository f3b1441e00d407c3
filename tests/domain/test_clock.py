"""When clock rules are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scale_core.domain.clock import ClockRule, due_slot, missed_days


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-05-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes", "last", "now", "slot"),
    [
        (60, "04T11:07:30", "04T11:59:59", None),
        (60, "04T11:07:30", "04T12:00:00", "04T12:00"),
        (60, "04T12:00:00", "04T12:00:40", None),  # fired already in this slot
        (60, "04T10:07:00", "04T11:07:00", "04T11:00"),  # a little late
        (60, "04T03:00:00", "04T11:07:00", "04T11:00"),  # however many were missed, once
        (5, "04T10:00:00", "04T11:07:00", "04T11:05"),  # short schedules catch up too
        (5, "04T11:02:00", "04T11:05:00", "04T11:05"),
        (60, None, "04T00:30:00", None),
        (60, None, "04T01:00:00", "04T01:00"),
        (
            7 * 60,
            "04T21:00:00",
            "05T00:01:00",
            "05T00:00",
        ),  # absolute within the day, also when the day does not divide
        (24 * 60, None, "04T11:07:00", "04T00:00"),
        (24 * 60, "04T11:07:00", "04T23:59:00", None),
        (24 * 60, "03T00:03:00", "04T00:00:00", "04T00:00"),
        (24 * 60, "01T00:03:00", "04T00:10:00", "04T00:00"),
        (48 * 60, "03T09:00:00", "04T23:59:00", None),
        (48 * 60, "03T09:00:00", "05T00:00:00", "05T00:00"),
    ],
)
def test_rule_is_due_once_per_slot(minutes: int, last: str | None, now: str, slot: str | None) -> None:
    rule = ClockRule("ANY", timedelta(minutes=minutes))
    assert due_slot(rule, at(last) if last else None, at(now)) == (at(slot) if slot else None)


def test_slots_are_those_of_utc_whatever_zone_the_time_is_given_in() -> None:
    summer = datetime.fromisoformat("2026-05-04T02:30:00+02:00")
    assert due_slot(ClockRule("ANY", timedelta(days=1)), at("03T00:00"), summer) == at("04T00:00")


def test_days_that_were_missed() -> None:
    assert missed_days(None, at("04T00:00")) == ["2026-05-03"]
    assert missed_days(at("03T00:00"), at("04T00:00")) == ["2026-05-03"]
    assert missed_days(at("01T00:00"), at("04T00:00")) == ["2026-05-01", "2026-05-02", "2026-05-03"]
    assert missed_days(at("04T00:00"), at("04T01:00")) == ["2026-05-03"]
