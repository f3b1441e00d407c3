"""Clock rules fire, and their jobs run."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.job import Job, JobExecution, JobLoad, JobType
from scale_core.db.metrics import MetricsJobType
from scale_core.db.queue import Queue
from scale_core.db.session import transaction
from scale_core.db.trigger import RuleType, TriggerEvent, TriggerRule
from scale_core.domain.job import ExecutionStatus, JobStatus
from scale_core.errors import Invalid
from scale_core.seed import CLOCK_RULES, SYSTEM_TYPES
from scale_core.services import clock, queue
from scale_core.timestamps import isoformat
from scale_worker.tasks import clock as shell
from tests.conftest import NOW

DAILY, LOAD = "scale-daily-metrics", "scale-job-load"


def rule(session: Session, name: str) -> clock.Due:
    return next(each for each in clock.active_rules(session) if each.name == name)


def days(session: Session) -> list[str]:
    query = select(Job).join(JobType).where(JobType.name == DAILY).order_by(Job.id)
    return [job.data["input_data"][0]["value"] for job in session.scalars(query)]


def run_all(session: Session, now: datetime = NOW) -> int:
    return sum(clock.run(session, id_, now, lambda: now + timedelta(seconds=2)) for id_ in clock.waiting(session))


def test_every_rule_of_the_seed_has_a_processor_and_a_job_type_that_needs_no_node() -> None:
    types = {each.name: each for each in SYSTEM_TYPES}
    assert {name for name, *_ in CLOCK_RULES} == set(clock.PROCESSORS)
    assert all(types[name].cpus == 0 and not types[name].is_long_running for name in clock.PROCESSORS)


def test_firing_makes_an_event_and_a_job_that_no_node_gets(session: Session) -> None:
    event_id = clock.fire(session, rule(session, LOAD), NOW)
    event = session.get_one(TriggerEvent, event_id)
    assert (event.type, event.occurred) == ("JOB_LOAD", NOW)
    assert event.description["slot"] == isoformat(NOW)
    job = session.scalars(select(Job).where(Job.event_id == event_id)).one()
    assert job.status is JobStatus.QUEUED
    assert len(job.job_exes) == 1
    assert session.scalar(select(func.count()).select_from(Queue)) == 0
    assert clock.fire(session, rule(session, LOAD), NOW + timedelta(minutes=1)) is None


def test_job_runs_to_its_end_with_an_execution_in_the_lists(session: Session) -> None:
    clock.fire(session, rule(session, LOAD), NOW)
    assert run_all(session) == 1
    session.expire_all()
    execution = session.scalars(select(JobExecution)).one()
    assert execution.status is ExecutionStatus.COMPLETED
    assert execution.job.status is JobStatus.COMPLETED
    assert execution.started == NOW
    assert execution.ended == execution.job.ended == NOW + timedelta(seconds=2)
    assert session.scalars(select(JobLoad.measured)).all() == [NOW]
    assert run_all(session) == 0


def test_days_that_nobody_computed_are_computed_with_the_next_firing(session: Session) -> None:
    daily = rule(session, DAILY)
    clock.fire(session, daily, NOW)
    assert days(session) == ["2026-05-03"]
    clock.fire(session, daily, NOW + timedelta(days=3))
    assert days(session) == ["2026-05-03", "2026-05-04", "2026-05-05", "2026-05-06"]
    assert run_all(session, NOW + timedelta(days=3)) == 4


def test_clock_that_jumps_ahead_and_back_fires_no_slot_twice(session: Session) -> None:
    load = rule(session, LOAD)
    fired = [clock.fire(session, load, NOW + timedelta(hours=hours)) for hours in (0, 500, 0, 1, 500, 501)]
    assert [each is not None for each in fired] == [True, True, False, True, False, True]


def test_what_a_processor_raises_fails_the_execution_and_undoes_its_work(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(session: Session, inputs: clock.Inputs, now: datetime) -> None:
        session.add(MetricsJobType(job_type_id=1, occurred=now.date()))
        session.flush()
        raise RuntimeError("the disk is full")

    monkeypatch.setitem(clock.PROCESSORS, LOAD, clock.Processor(break_down))
    clock.fire(session, rule(session, LOAD), NOW)
    tries = 0
    while run_all(session):
        tries += 1
        session.expire_all()
    job = session.scalars(select(Job)).one()
    assert (tries, job.status, job.reason) == (3, JobStatus.FAILED, "the disk is full")
    assert {each.message for each in job.job_exes} == {"the disk is full"}
    assert session.scalar(select(func.count()).select_from(MetricsJobType)) == 0
    monkeypatch.undo()
    assert queue.requeue(session, [job.id], None, NOW) == [job.id]
    assert session.scalar(select(func.count()).select_from(Queue)) == 0
    assert run_all(session) == 1
    session.expire_all()
    assert job.status is JobStatus.COMPLETED


@pytest.mark.parametrize(
    ("name", "configuration", "words"),
    [
        ("nobody", {"event_type": "X", "schedule": "PT1H"}, "no clock processor called 'nobody'"),
        (LOAD, {"event_type": "X", "schedule": "hourly"}, "schedule"),
        (LOAD, {"event_type": "X", "schedule": "PT0S"}, "PT1M or longer"),
        (LOAD, {"schedule": "PT1H"}, "event_type"),
    ],
)
def test_wrong_rule_says_what_is_wrong(session: Session, name: str, configuration: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        clock.fire(session, clock.Due(1, name, configuration), NOW)


def test_a_rule_that_cannot_fire_says_so_once_a_slot_and_makes_up_for_it_when_mended(session: Session) -> None:
    daily = rule(session, DAILY)
    clock.fire(session, daily, NOW)
    unknown = clock.Due(daily.id, "nobody", daily.configuration)
    day = timedelta(days=1)
    said = [clock.record_error(session, unknown, NOW + after, "no processor") for after in (day / 24, day, 1.01 * day)]
    assert [each is not None for each in said] == [False, True, False]
    event = session.get_one(TriggerEvent, said[1])
    assert (event.type, event.rule_id, event.error) == ("DAILY_METRICS", daily.id, "no processor")
    assert event.description["slot"] == "2026-05-05T00:00:00Z"
    clock.fire(session, daily, NOW + 2 * day)
    assert days(session) == ["2026-05-03", "2026-05-04", "2026-05-05"]


def test_a_rule_whose_schedule_cannot_be_read_says_so_once_an_hour(session: Session) -> None:
    wrong = clock.Due(rule(session, LOAD).id, LOAD, {"event_type": "X", "schedule": "hourly"})
    said = [clock.record_error(session, wrong, NOW + timedelta(minutes=minutes), "bad") for minutes in (0, 1, 59, 60)]
    assert [each is not None for each in said] == [True, False, False, True]
    assert session.scalars(select(TriggerEvent.type)).all() == ["CLOCK", "CLOCK"]


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
def test_daylight_saving_moves_no_slot(session: Session, zone: str) -> None:
    """Over both changes of the year, every twenty minutes as a local clock tells them, each hour fires once."""
    load = rule(session, LOAD)
    clock.fire(session, load, datetime(2026, 3, 7, 23, tzinfo=UTC))
    for day in (datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        moments = [day + timedelta(minutes=10 + 20 * number) for number in range(3 * 24)]
        fired = [clock.fire(session, load, moment.astimezone(ZoneInfo(zone))) for moment in moments]
        assert sum(each is not None for each in fired) == 24
    slots = session.scalars(select(TriggerEvent.description["slot"].astext)).all()
    assert len(set(slots)) == len(slots) == 49
    assert all(slot.endswith(":00:00Z") for slot in slots)


def test_retention_is_a_job_of_the_clock(committed: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "sessions", lambda: committed)
    monkeypatch.setattr(shell, "utcnow", lambda: NOW)
    with transaction(committed) as session:
        for age in (1, 91):
            counts = dict.fromkeys(("pending_count", "queued_count", "running_count", "total_count"), 0)
            session.add(JobLoad(measured=NOW - timedelta(days=age), **counts))
    shell.tick_clock()
    with transaction(committed) as session:
        job = session.scalars(select(Job).join(JobType).where(JobType.name == "scale-retention")).one()
        assert (job.status, job.job_exes[0].status) == (JobStatus.COMPLETED, ExecutionStatus.COMPLETED)
        assert job.event.type == "RETENTION"
        assert NOW - timedelta(days=91) not in session.scalars(select(JobLoad.measured)).all()
        assert NOW - timedelta(days=1) in session.scalars(select(JobLoad.measured)).all()


def test_two_clocks_fire_a_slot_once_and_a_wrong_rule_holds_up_no_other(
    committed: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = NOW
    monkeypatch.setattr(shell, "sessions", lambda: committed)
    monkeypatch.setattr(shell, "utcnow", lambda: moment)
    with transaction(committed) as session:
        wrong = {"event_type": "WRONG", "schedule": "never"}
        session.add(TriggerRule(type=RuleType.CLOCK, name=LOAD, configuration=wrong))
        session.flush()
    clocks = [threading.Thread(target=shell.tick_clock) for _ in range(4)]
    for each in clocks:
        each.start()
    for each in clocks:
        each.join()
    with transaction(committed) as session:
        expected = sorted(event for _, event, _, is_active in CLOCK_RULES if is_active)
        fired = select(TriggerEvent.type).where(TriggerEvent.error.is_(None))
        assert sorted(session.scalars(fired)) == expected
        failed = session.scalars(select(TriggerEvent).where(TriggerEvent.error.is_not(None))).one()
        assert (failed.type, "schedule" in failed.error) == ("CLOCK", True)
        executions = session.scalars(select(JobExecution)).all()
        assert [each.status for each in executions] == [ExecutionStatus.COMPLETED] * len(expected)
