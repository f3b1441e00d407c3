"""The checker of histories: a sound history passes, and each way to break a promise is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scale_core.domain import history
from scale_core.domain.history import Ends, Event, ExecutionEnd, JobEnd, Product

T0 = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PATH = "jobs/made/job_exe_2/made.txt"


def event(kind: str, at: float, pid: int = 7, **facts: Any) -> Event:
    return Event(kind, at, "process", pid, facts)


def execution(id_: int, at: float, pid: int = 7, job_id: int = 1) -> list[Event]:
    """Its commit, launch and beginning."""
    facts = {"job_exe_id": id_, "job_id": job_id, "task_id": f"scale.{id_}"}
    return [
        event("committed", at, pid=1, **facts),
        event("launched", at + 0.1, pid=1, **facts),
        event("begun", at + 0.2, pid, **facts),
    ]


# Execution 1 of job 1 is lost with its executor, execution 2 makes its product.
SOUND = [
    *execution(1, 0.0),
    event("died", 2.0),
    *execution(2, 3.0, pid=8),
    event("stored", 4.0, 8, job_exe_id=2, workspace_id=5, file_path=PATH),
    event("ended", 4.1, 8, job_exe_id=2, job_id=1, task_id="scale.2", state="TASK_FINISHED"),
    event("written", 4.2, 1, task_id="scale.2", state="TASK_FINISHED"),
    event("finished", 4.3, 2, job_exe_ids=[2]),
    event("seen", 4.4, 3, job_id=1, status="COMPLETED"),
]
ENDS = Ends(
    promised={1},
    jobs=[JobEnd(1, "COMPLETED", products=1)],
    executions=[
        ExecutionEnd(1, 1, "FAILED", T0, T0, T0 + timedelta(seconds=2)),
        ExecutionEnd(2, 1, "COMPLETED", T0, T0, T0 + timedelta(seconds=2)),
    ],
    products=[Product(1, 2, 5, PATH)],
    present={(5, PATH)},
    once={"a.dat": 1},
)


def rules(events: list[Event], ends: Ends = ENDS) -> set[str]:
    return {violation.rule for violation in history.check(sorted(events, key=lambda e: e.at), ends)}


def test_a_sound_history_breaks_nothing() -> None:
    assert history.check(SOUND, ENDS) == []


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        pytest.param(execution(3, 3.3, pid=9), "doubled", id="two executions of a job overlap"),
        pytest.param([event("begun", 4.5, 9, job_exe_id=2, job_id=1, task_id="scale.2")], "doubled", id="begun twice"),
        pytest.param([event("doubled", 3.5, job_id=1)], "doubled", id="a job met another run of itself"),
        pytest.param(
            [event("launched", 5.0, job_exe_id=9, job_id=9, task_id="scale.9")], "order", id="launched, not committed"
        ),
        pytest.param(
            [event("begun", 5.0, job_exe_id=9, job_id=9, task_id="scale.9")], "order", id="ran, not committed"
        ),
        pytest.param(
            [event("committed", 5.0, job_exe_id=9, job_id=9, task_id="scale.2")], "order", id="a task id twice"
        ),
        pytest.param([event("seen", 5.0, job_id=1, status="QUEUED")], "final", id="a completed job is queued"),
        pytest.param([event("finished", 5.0, job_exe_ids=[2])], "final", id="finished twice"),
        pytest.param(
            [event("stored", 4.0, 8, job_exe_id=2, workspace_id=5, file_path="other")],
            "products",
            id="stored by what completed, not catalogued",
        ),
    ],
)
def test_an_event_that_must_not_be(more: list[Event], rule: str) -> None:
    assert rules([*SOUND, *more]) == {rule}


def test_an_executor_that_nobody_saw_die_still_runs_its_executions() -> None:
    assert rules([each for each in SOUND if each.kind != "died"]) == {"doubled"}


def test_a_pid_that_is_given_to_a_later_executor_keeps_no_earlier_one_alive() -> None:
    assert history.check([*SOUND, event("died", 9.0)], ENDS) == []


def agent_lost(back: float, *more: Event) -> list[Event]:
    """Execution 1 lives on with an agent that its master gives up at 1.0."""
    lived = [each for each in SOUND if each.kind != "died"]
    return [*lived, event("given-up", 1.0), event("met-again", back), *more]


def end_of_first(at: float) -> Event:
    return event("ended", at, job_exe_id=1, job_id=1, task_id="scale.1", state="TASK_KILLED")


def test_what_ran_on_an_agent_that_was_given_up_may_meet_its_successor() -> None:
    assert rules(agent_lost(2.0, event("doubled", 3.3, job_id=1), end_of_first(5.0))) == set()


def test_what_ran_on_an_agent_that_was_given_up_must_be_over_soon_after_it_is_back() -> None:
    late = 2.0 + history.LEFT_S + 1.0
    assert rules(agent_lost(2.0, end_of_first(late))) == {"doubled"}
    assert rules(agent_lost(2.0, event("seen", late, 3, job_id=1, status="COMPLETED"))) == {"doubled"}
    assert rules(agent_lost(late, end_of_first(late))) == set()


def test_an_agent_that_is_given_up_later_excuses_nothing() -> None:
    assert rules([*SOUND, *execution(3, 3.3, pid=9), event("given-up", 5.0)]) == {"doubled"}


def test_an_execution_that_fails_can_be_followed_by_another_of_its_job() -> None:
    seen = [event("seen", 1.0, job_exe_id=1, status="FAILED"), event("seen", 3.5, job_exe_id=2, status="RUNNING")]
    assert rules([*SOUND, *seen]) == set()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        pytest.param({"promised": {1, 2}}, "lost", id="a job is not there"),
        pytest.param({"jobs": [JobEnd(1, "FAILED")], "products": []}, "lost", id="a job failed"),
        pytest.param({"once": {"a.dat": 0}}, "lost", id="a file was not ingested"),
        pytest.param({"once": {"a.dat": 2}}, "products", id="a file was ingested twice"),
        pytest.param({"jobs": [JobEnd(1, "RUNNING")]}, "stuck", id="a job is open"),
        pytest.param({"queued": {2}}, "stuck", id="a queue row is left"),
        pytest.param({"products": []}, "products", id="no product"),
        pytest.param({"products": [*ENDS.products, *ENDS.products]}, "products", id="a product twice"),
        pytest.param({"products": [Product(1, 1, 5, PATH)]}, "products", id="a product of a failed execution"),
        pytest.param({"present": set()}, "products", id="a product without its file"),
    ],
)
def test_an_end_that_must_not_be(changes: dict[str, Any], rule: str) -> None:
    assert rule in rules(SOUND, replace(ENDS, **changes))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"status": "RUNNING"}, "stuck"),
        ({"started": T0 + timedelta(hours=1)}, "clock"),
        ({"queued": T0 + timedelta(seconds=1)}, "clock"),
        ({"phases": [(T0, None), (T0, T0 - timedelta(seconds=1))]}, "clock"),
        ({"id": 1, "status": "COMPLETED"}, "products"),
    ],
)
def test_an_execution_that_must_not_end_so(changes: dict[str, Any], rule: str) -> None:
    index = 0 if "id" in changes else 1
    executions = list(ENDS.executions)
    executions[index] = replace(executions[index], **changes)
    assert rule in rules(SOUND, replace(ENDS, executions=executions))


def test_lines_of_several_processes_are_put_in_order_and_a_torn_one_is_left_out() -> None:
    lines = [
        '{"kind": "finished", "at": 2.0, "process": "worker", "pid": 2, "job_exe_ids": [1]}',
        '{"kind": "leading", "at": 1.0, "process": "scheduler", "pid": 1}',
        '{"kind": "lead',
    ]
    assert history.parse(lines) == [
        Event("leading", 1.0, "scheduler", 1),
        Event("finished", 2.0, "worker", 2, {"job_exe_ids": [1]}),
    ]
