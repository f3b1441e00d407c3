from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scale_core.domain import waiting
from scale_core.domain.job import Resources
from scale_core.domain.scheduling import JobTypeLimits, QueueEntry
from scale_core.domain.waiting import Circumstances

NOW = datetime(2026, 5, 4, tzinfo=UTC)
ENTRY = QueueEntry(1, 1, 7, 100, NOW, Resources(4, 2000, 100))
SMALL, FAST, LARGE = Resources(2, 8000, 1000), Resources(8, 1000, 1000), Resources(16, 64000, 1000)


@pytest.mark.parametrize(
    ("around", "ahead", "reason"),
    [
        (Circumstances(NOW, is_led=False, is_paused=True), 3, "no offer handler is running"),
        (Circumstances(NOW, is_paused=True, limits={7: JobTypeLimits(is_paused=True)}), 3, "scheduling is paused"),
        (Circumstances(NOW, limits={7: JobTypeLimits(is_paused=True)}, nodes=[SMALL]), 3, "its job type is paused"),
        (Circumstances(NOW, limits={7: JobTypeLimits(max_scheduled=2, running=2)}), 0, "limit of 2 reached"),
        (Circumstances(NOW, limits={7: JobTypeLimits(max_scheduled=2, running=1)}), 1, "1 job is ahead of it"),
        (Circumstances(NOW, nodes=[SMALL]), 0, "no node could ever hold it: needs 4 cpus, the largest node has 2"),
        (
            Circumstances(NOW, nodes=[SMALL, FAST], last_round={7: "needs 4 cpus, best node has 0 free"}),
            0,
            "no node could ever hold it: needs 4 cpus, 2000 MiB of memory, 100 MiB of disk at one node",
        ),
        (Circumstances(NOW, nodes=[SMALL, LARGE], last_round={7: "needs 4 cpus, best node has 3 free"}), 9,
         "needs 4 cpus, best node has 3 free"),
        (Circumstances(NOW, nodes=[LARGE], last_round={8: "paused"}), 2, "2 jobs are ahead of it"),
        (Circumstances(NOW, nodes=[LARGE]), 0, "it is next: it starts with the next offer"),
    ],
)  # fmt: skip
def test_the_most_decisive_reason_is_told(around: Circumstances, ahead: int, reason: str) -> None:
    assert waiting.reason(ENTRY, ahead, around) == reason


def test_after_failures_it_says_when_it_is_tried_again() -> None:
    soon = NOW + timedelta(seconds=39.2)
    failed = "it failed before: it is tried again in 40 s"
    assert waiting.reason(ENTRY, 1, Circumstances(NOW, last_round={7: "no node is online"}), soon) == failed
    assert waiting.reason(ENTRY, 1, Circumstances(NOW), NOW) == "1 job is ahead of it"
