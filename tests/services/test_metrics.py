"""Daily figures, compared with the same computed by hand from random rows."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.ingest import Ingest
from scale_core.db.job import Error, Job, JobExecution, JobLoad, JobType
from scale_core.db.metrics import MetricsError, MetricsIngest, MetricsJobType
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import ErrorCategory, ExecutionStatus, JobStatus
from scale_core.domain.metrics import JOB_TYPES, Aggregate
from scale_core.services import metrics
from tests import factories
from tests.conftest import NOW

DAY = NOW.date()
MIDNIGHT = datetime.combine(DAY, time(), UTC)
FINAL = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED)


def seconds(started: datetime | None, ended: datetime | None) -> int | None:
    if started is None or ended is None:
        return None
    return max(0, int((ended - started).total_seconds()))


def spread(name: str, values: list[int | None]) -> dict[str, int | None]:
    known = [each for each in values if each is not None]
    if not known:
        return {f"{name}_{each}": None for each in Aggregate}
    figures = (sum(known), min(known), max(known), sum(known) // len(known))
    return {f"{name}_{each}": figure for each, figure in zip(Aggregate, figures, strict=True)}


def end(session: Session, job: Job, execution: JobExecution, ended: datetime, chance: random.Random) -> None:
    """Any end, with any phases; also such as only clocks of different machines make."""
    execution.status = ExecutionStatus(chance.choice(FINAL))
    job.status = chance.choice((*FINAL, JobStatus.QUEUED))
    execution.started = ended - timedelta(seconds=chance.uniform(-5, 500))
    execution.queued = execution.started - timedelta(seconds=chance.uniform(-1, 50))
    moment = execution.started
    for phase in ("pre", "job", "post"):
        setattr(execution, f"{phase}_started", moment)
        moment += timedelta(seconds=chance.uniform(0, 100))
        setattr(execution, f"{phase}_completed", chance.choice([moment, moment, None]))
    execution.ended = ended
    job.ended = ended if job.status in FINAL else None
    if ExecutionStatus.FAILED is execution.status:
        execution.error_id = job.error_id = chance.choice(session.scalars(select(Error.id)).all())


def expected_job_types(session: Session) -> dict[int, dict[str, Any]]:
    day_end = MIDNIGHT + timedelta(days=1)
    jobs: dict[int, list[Job]] = defaultdict(list)
    times: dict[int, dict[str, list[int | None]]] = defaultdict(lambda: defaultdict(list))
    for job in session.scalars(select(Job)):
        if job.status in FINAL and job.ended and MIDNIGHT <= job.ended < day_end:
            jobs[job.job_type_id].append(job)
    for each in session.scalars(select(JobExecution)):
        if each.status is not ExecutionStatus.COMPLETED or not each.ended or not MIDNIGHT <= each.ended < day_end:
            continue
        taken = times[each.job.job_type_id]
        phases = {
            "pre_time": seconds(each.pre_started, each.pre_completed),
            "job_time": seconds(each.job_started, each.job_completed),
            "post_time": seconds(each.post_started, each.post_completed),
        }
        run = seconds(each.started, each.ended) or 0
        for name, value in phases.items():
            taken[name].append(value)
        taken["queue_time"].append(seconds(each.queued, each.started))
        taken["run_time"].append(run)
        taken["stage_time"].append(max(0, run - sum(value or 0 for value in phases.values())))
    found = {}
    for type_id in {*jobs, *times}:
        statuses = Counter(job.status for job in jobs[type_id])
        failed = [job for job in jobs[type_id] if job.status is JobStatus.FAILED and job.error]
        categories = Counter(job.error.category for job in failed if job.error)
        row: dict[str, Any] = {
            "completed_count": statuses[JobStatus.COMPLETED],
            "failed_count": statuses[JobStatus.FAILED],
            "canceled_count": statuses[JobStatus.CANCELED],
            "total_count": len(jobs[type_id]),
            **{f"error_{each.lower()}_count": categories[each] for each in ErrorCategory},
        }
        for group in JOB_TYPES.groups:
            if group.name.endswith("_time"):
                row |= spread(group.name, times[type_id][group.name])
        found[type_id] = row
    return found


@pytest.mark.parametrize("seed", range(4))
def test_day_is_what_a_brute_force_count_finds(session: Session, seed: int) -> None:
    chance = random.Random(seed)
    types = [factories.make_no_op_type(session) for _ in range(5)]
    node = factories.make_node(session)
    for _ in range(80):
        job = factories.make_job(session, chance.choice(types))
        edges = [MIDNIGHT, MIDNIGHT - timedelta(microseconds=1), MIDNIGHT + timedelta(days=1)]
        inside = [MIDNIGHT + timedelta(seconds=chance.uniform(0, 86399)) for _ in range(6)]
        end(session, job, factories.run(session, job, node), chance.choice(edges + inside), chance)
    session.flush()
    session.expire_all()
    for _ in range(2):  # a second time changes nothing
        metrics.compute_day(session, DAY)
    names = [column.name for column in JOB_TYPES.columns]
    rows = session.scalars(select(MetricsJobType).where(MetricsJobType.occurred == DAY))
    found = {row.job_type_id: {name: getattr(row, name) for name in names} for row in rows}
    assert found == expected_job_types(session)
    failed = Counter(
        each.error_id
        for each in session.scalars(select(JobExecution).where(JobExecution.status == ExecutionStatus.FAILED))
        if each.ended and MIDNIGHT <= each.ended < MIDNIGHT + timedelta(days=1)
    )
    assert {row.error_id: row.total_count for row in session.scalars(select(MetricsError))} == dict(failed)


def test_completed_execution_of_a_job_requeued_since_loses_no_figures(session: Session) -> None:
    job = factories.make_job(session)
    execution = factories.run(session, job)
    execution.status, execution.started = ExecutionStatus.COMPLETED, NOW
    execution.ended = NOW + timedelta(seconds=9)
    job.status, job.ended = JobStatus.QUEUED, None
    session.flush()
    metrics.compute_day(session, DAY)
    row = session.scalars(select(MetricsJobType)).one()
    assert (row.total_count, row.completed_count, row.run_time_sum, row.run_time_avg) == (0, 0, 9, 9)


def test_zero_is_a_minimum_and_a_phase_that_was_not_reached_has_none(session: Session) -> None:
    type_ = factories.make_no_op_type(session)
    for lasted in (0, 7):
        execution = factories.run(session, factories.make_job(session, type_))
        execution.status, execution.started = ExecutionStatus.COMPLETED, NOW
        execution.ended = NOW + timedelta(seconds=lasted)
    session.flush()
    metrics.compute_day(session, DAY)
    row = session.scalars(select(MetricsJobType)).one()
    assert (row.run_time_min, row.run_time_max, row.run_time_avg) == (0, 7, 3)
    assert (row.pre_time_min, row.pre_time_sum) == (None, None)


def test_largest_stage_time_is_the_maximum_over_choices() -> None:
    aggregates = {column.name: column.aggregate for column in JOB_TYPES.columns}
    assert aggregates["stage_time_max"] is Aggregate.MAX


def test_errors_of_administrators_count_too(session: Session) -> None:
    mine = Error(name="mine", category=ErrorCategory.DATA)
    session.add(mine)
    session.flush()
    execution = factories.run(session, factories.make_job(session))
    execution.status, execution.ended, execution.error_id = ExecutionStatus.FAILED, NOW, mine.id
    session.flush()
    metrics.compute_day(session, DAY)
    row = session.scalars(select(MetricsError)).one()
    assert (row.error_id, row.total_count) == (mine.id, 1)


def test_ingests_of_each_status_count_although_only_those_that_moved_have_an_end(session: Session) -> None:
    strike = factories.make_strike(session, factories.make_workspace(session))
    common = {"strike_id": strike.id, "transfer_path": "/in", "bytes_transferred": 5, "last_modified": NOW}
    statuses = [IngestStatus.INGESTED, IngestStatus.INGESTED, IngestStatus.DEFERRED, IngestStatus.ERRORED]
    statuses += [IngestStatus.DUPLICATE, IngestStatus.TRANSFERRED]
    for number, status in enumerate(statuses):
        moved = status in (IngestStatus.INGESTED, IngestStatus.DUPLICATE)
        times = {"ingest_started": NOW, "ingest_ended": NOW + timedelta(seconds=4)} if moved else {}
        transfer = {"transfer_started": NOW, "transfer_ended": NOW + timedelta(seconds=number)}
        session.add(
            Ingest(file_name=f"{number}", status=status, file_size=100 * (number + 1), **common, **transfer, **times)
        )
    session.flush()
    metrics.compute_day(session, DAY)
    row = session.scalars(select(MetricsIngest)).one()
    assert (row.ingested_count, row.deferred_count, row.errored_count, row.duplicate_count) == (2, 1, 1, 1)
    assert (row.total_count, row.file_size_sum, row.file_size_max, row.file_size_avg) == (5, 300, 200, 150)
    assert (row.transfer_time_min, row.transfer_time_max, row.ingest_time_sum) == (0, 1, 8)


def test_load_counts_what_waits_and_runs(session: Session) -> None:
    metrics.measure_load(session, NOW)
    nothing = session.scalars(select(JobLoad)).one()
    assert (nothing.job_type_id, nothing.total_count) == (None, 0)
    chance = random.Random(7)
    types = [factories.make_no_op_type(session) for _ in range(3)]
    for _ in range(40):
        factories.make_job(session, chance.choice(types)).status = chance.choice(
            [JobStatus.PENDING, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.BLOCKED, JobStatus.CANCELED]
        )
    session.flush()
    later = NOW + timedelta(hours=1)
    metrics.measure_load(session, later)
    counted = Counter((job.job_type_id, job.status) for job in session.scalars(select(Job)))
    for row in session.scalars(select(JobLoad).where(JobLoad.measured == later)):
        counts = [counted[row.job_type_id, each] for each in (JobStatus.PENDING, JobStatus.QUEUED, JobStatus.RUNNING)]
        assert [row.pending_count, row.queued_count, row.running_count] == counts
        assert row.total_count == sum(counts)
    kinds = select(func.count(JobType.id)).where(JobType.id.in_([type_.id for type_ in types]))
    assert session.scalar(select(func.count(JobLoad.id)).where(JobLoad.measured == later)) == session.scalar(kinds)
