"""The queue's way onto nodes and back, on a real PostgreSQL."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.ingest import Ingest, Strike
from scale_core.db.job import Job, JobExecution, JobExecutionLog
from scale_core.db.node import Node
from scale_core.db.queue import Queue
from scale_core.domain import failure
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import ExecutionStatus, JobStatus, Resources
from scale_core.domain.scheduling import JobTypeLimits, Launch
from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.services import overdue, queue, scheduling, task_status
from tests import factories
from tests.services.rows import NOW, make_job_type, make_node, make_queued, make_source, make_workspace

ROOM = Resources(8, 8000, 8000)
PRODUCED = {"output": "out", "workspace_id": 1, "file_path": "a", "file_name": "a"}


def launch_all(session: Session, node: Node, window: int = 500) -> scheduling.Started:
    entries = scheduling.claim(session, window, ROOM)
    return scheduling.start(session, [Launch(entry, node.id, node.agent_id) for entry in entries], NOW)


@pytest.fixture
def statements(session: Session) -> Callable[[], int]:
    """Counts the statements sent so far."""
    count = 0

    def note(*_: Any) -> None:
        nonlocal count
        count += 1

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    return lambda: count


class TestClaim:
    def test_comes_in_order_and_page_by_page(self, session: Session) -> None:
        late = make_queued(session, priority=1, queued=NOW)
        low = make_queued(session, priority=9, queued=NOW - timedelta(days=1))
        early = make_queued(session, priority=1, queued=NOW - timedelta(seconds=5))
        first = scheduling.claim(session, 2, ROOM)
        rest = scheduling.claim(session, 2, ROOM, after=first[-1].key)
        assert [entry.job_exe_id for entry in first + rest] == [early.id, late.id, low.id]
        assert scheduling.claim(session, 2, ROOM, after=rest[-1].key) == []

    def test_the_head_is_found_from_anywhere_before_it(self, session: Session) -> None:
        assert scheduling.head(session) is None
        first = make_queued(session, priority=1, queued=NOW)
        last = make_queued(session, priority=9, queued=NOW - timedelta(days=1))
        assert scheduling.head(session) == scheduling.head(session, (1, NOW, first.id)) == (1, NOW, first.id)
        place = scheduling.head(session, (1, NOW, first.id + 1))
        assert place == (9, NOW - timedelta(days=1), last.id)
        assert scheduling.head(session, (9, NOW, 0)) is None
        assert [entry.job_exe_id for entry in scheduling.claim(session, 9, ROOM, after=(1, NOW, first.id))] == [last.id]

    def test_leaves_out_what_cannot_fit_and_blocked_types(self, session: Session) -> None:
        blocked = make_job_type(session)
        make_queued(session, blocked)
        make_queued(session, cpus=9)
        make_queued(session, mem=9000)
        fits = make_queued(session, cpus=8)
        assert [entry.job_exe_id for entry in scheduling.claim(session, 9, ROOM, [blocked.id])] == [fits.id]

    def test_two_schedulers_claim_different_rows(self, committed: sessionmaker[Session]) -> None:
        with committed.begin() as setup:
            for _ in range(4):
                make_queued(setup)
        with committed() as one, committed() as other:
            mine = {entry.job_exe_id for entry in scheduling.claim(one, 2, ROOM)}
            theirs = {entry.job_exe_id for entry in scheduling.claim(other, 2, ROOM)}
            assert len(mine) == len(theirs) == 2
            assert not mine & theirs

    def test_overdue_finds_what_waited_in_vain(self, session: Session) -> None:
        old = make_queued(session, cpus=9, queued=NOW - timedelta(seconds=61))
        make_queued(session, cpus=9)
        make_queued(session, cpus=1, queued=NOW - timedelta(days=1))
        found = scheduling.overdue(session, ROOM, [], NOW, timedelta(seconds=60))
        assert [entry.job_exe_id for entry in found] == [old.id]

    def test_one_sample_of_each_type(self, session: Session) -> None:
        kinds = [make_job_type(session) for _ in range(3)]
        for kind in kinds:
            make_queued(session, kind)
            make_queued(session, kind)
        assert sorted(e.job_type_id for e in scheduling.samples(session)) == sorted(kind.id for kind in kinds)

    def test_limits_count_running_jobs(self, session: Session) -> None:
        limited = make_job_type(session, max_scheduled=2)
        paused = make_job_type(session, is_paused=True)
        free = make_job_type(session, max_scheduled=0)
        make_queued(session, limited)
        launch_all(session, make_node(session))
        found = scheduling.limits(session)
        assert found[limited.id] == JobTypeLimits(False, 2, 1)
        assert found[paused.id] == JobTypeLimits(True, None, 0)
        assert free.id not in found


class TestStart:
    def test_execution_and_job_run_and_the_queue_row_is_gone(self, session: Session) -> None:
        execution, node = make_queued(session), make_node(session)
        (spec,) = launch_all(session, node).specs
        session.refresh(execution)
        assert execution.status is ExecutionStatus.RUNNING
        assert (execution.node_id, execution.agent_id, execution.started) == (node.id, node.agent_id, NOW)
        assert execution.task_id == spec.task_id
        assert spec.task_id.startswith(f"scale.{execution.id}.")
        assert (execution.cpus_scheduled, execution.disk_total_scheduled) == (1.0, 3.0)
        job = session.get_one(Job, execution.job_id, populate_existing=True)
        assert (job.status, job.started) == (JobStatus.RUNNING, NOW)
        assert session.get(Queue, execution.id, populate_existing=True) is None

    def test_the_specification_tells_all_that_the_node_needs(self, session: Session) -> None:
        raw, products = make_workspace(session), make_workspace(session)
        started = NOW - timedelta(days=100)
        file = make_source(session, raw, data_started=started)
        job_type = make_job_type(session, docker_image="thumb:1")
        data = {
            "input_data": [{"name": "image", "file_id": file.id}],
            "output_data": [{"name": "thumb", "workspace_id": products.id}],
        }
        execution = make_queued(session, job_type, data=data, timeout=99)
        (spec,) = launch_all(session, make_node(session)).specs
        assert (spec.job_exe_id, spec.job_id, spec.timeout_s) == (execution.id, execution.job_id, 99)
        assert (spec.job_type, spec.docker_image, spec.command) == (job_type.name, "thumb:1", "run.sh")
        assert spec.inputs[0].files[0].file_path == file.file_path
        assert (spec.outputs[0].workspace_id, spec.outputs[0].media_type) == (products.id, "image/png")
        assert [access.broker["type"] for access in spec.workspaces] == ["host", "host"]
        assert spec.output_path == f"jobs/{job_type.name}/1.0/{started:%Y/%m/%d}/job_exe_{execution.id}"

    def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(
        self, session: Session, statements: Callable[[], int]
    ) -> None:
        node, workspace = make_node(session), make_workspace(session)

        def cost(number: int) -> int:
            for _ in range(number):
                data = {"input_data": [{"name": "image", "file_id": make_source(session, workspace).id}]}
                make_queued(session, data=data)
            before = statements()
            assert len(launch_all(session, node).specs) == number
            return statements() - before

        assert cost(1) == cost(20)

    def test_what_was_canceled_meanwhile_does_not_start(self, session: Session) -> None:
        kept, canceled = make_queued(session), make_queued(session)
        canceled.status, canceled.ended = ExecutionStatus.CANCELED, NOW
        session.flush()
        started = launch_all(session, make_node(session))
        assert [spec.job_exe_id for spec in started.specs] == [kept.id]
        assert session.scalar(select(func.count()).select_from(Queue)) == 0
        assert canceled.status is ExecutionStatus.CANCELED

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            ({"input_data": [{"name": "image", "file_id": 10**15}]}, "there is no file"),
            ({"input_data": [{"name": "image", "file_id": 2**63}]}, "there is no file"),
            ({"output_data": [{"name": "thumb", "workspace_id": 10**9}]}, "there is no workspace"),
            ({"input_data": [{"name": "image"}]}, "malformed"),
            ({"input_data": [{"name": "image", "file_id": "x"}]}, "malformed"),
            ({"input_data": 5}, "malformed"),
        ],
    )
    def test_broken_data_hurts_only_its_own_execution(
        self, session: Session, data: dict[str, Any], reason: str
    ) -> None:
        broken, fine = make_queued(session, data=data), make_queued(session)
        started = launch_all(session, make_node(session))
        assert [spec.job_exe_id for spec in started.specs] == [fine.id]
        assert started.broken == (broken.id,)
        session.refresh(broken)
        assert broken.task_ended == NOW
        assert broken.outcome is not None
        assert reason in broken.outcome["mesos"]["message"]

    def test_an_ingest_job_carries_its_files_and_the_ingests_begin(self, session: Session) -> None:
        workspace = make_workspace(session)
        make_source(session, workspace, file_name="a.png", checksum="c0ffee")
        make_source(session, workspace, file_name="a.png", file_path="b", checksum="dead", is_deleted=True)
        kind = make_job_type(session, name="scale-ingest", version="t", is_system=True, interface={"command": ""})
        execution = make_queued(session, kind)
        strike = Strike(name="s", configuration={"mount": "host:/drop"})
        session.add(strike)
        session.flush()
        ingest = Ingest(
            file_name="a.png",
            strike_id=strike.id,
            job_id=execution.job_id,
            status=IngestStatus.QUEUED,
            transfer_path="/drop/a.png",
            bytes_transferred=1,
            transfer_started=NOW,
            file_path="in/a.png",
            workspace_id=workspace.id,
        )
        session.add(ingest)
        session.flush()
        (spec,) = launch_all(session, make_node(session)).specs
        session.refresh(ingest)
        assert (ingest.status, ingest.ingest_started) == (IngestStatus.INGESTING, NOW)
        assert spec.action == "ingest"
        (item,) = spec.ingests
        assert (item.ingest_id, item.mount, item.file_path) == (ingest.id, "host:/drop", "in/a.png")
        assert item.known_checksums == ("c0ffee",)
        assert [access.id for access in spec.workspaces] == [workspace.id]


class TestUpdates:
    @pytest.fixture
    def execution(self, session: Session) -> JobExecution:
        execution = make_queued(session)
        launch_all(session, make_node(session))
        session.refresh(execution)
        return execution

    def apply(self, session: Session, *updates: TaskUpdate, after: float = 1) -> task_status.Applied:
        applied = task_status.apply_updates(session, updates, NOW + timedelta(seconds=after))
        session.expire_all()
        return applied

    def test_running_then_finished(self, session: Session, execution: JobExecution) -> None:
        task = execution.task_id or ""
        running = TaskUpdate(task, TaskState.RUNNING, directory="/sandbox")
        assert self.apply(session, running) == task_status.Applied()
        assert (execution.directory, execution.pre_started) == ("/sandbox", NOW + timedelta(seconds=1))
        outcome = {"task_id": task, "message": "nul \0", "stdout": "out\0", "stderr": "err", "files": [PRODUCED]}
        done = TaskUpdate(task, TaskState.FINISHED, outcome=outcome, agent_id="agent-x")
        assert self.apply(session, done, after=2).ended == (execution.id,)
        assert execution.outcome == outcome | {"message": "nul \ufffd", "stdout": "", "stderr": ""}
        assert (execution.task_ended, execution.agent_id) == (NOW + timedelta(seconds=2), "agent-x")
        assert execution.status is ExecutionStatus.RUNNING
        log = session.get_one(JobExecutionLog, execution.id)
        assert (zlib.decompress(log.stdout), zlib.decompress(log.stderr)) == (b"out\0", b"err")

    def test_duplicates_and_late_updates_change_nothing(self, session: Session, execution: JobExecution) -> None:
        task = execution.task_id or ""
        running = TaskUpdate(task, TaskState.RUNNING, directory="/sandbox")
        done = TaskUpdate(task, TaskState.FINISHED, outcome={"succeeded": True, "files": [PRODUCED]})
        lost = TaskUpdate(task, TaskState.LOST, reason="REASON_RECONCILIATION")
        assert self.apply(session, lost, done, running, done).ended == (execution.id,)
        assert (execution.outcome or {})["succeeded"] is True
        assert execution.directory == "/sandbox"
        for update in (done, lost):
            assert self.apply(session, update, after=5) == task_status.Applied()
        assert execution.task_ended == NOW + timedelta(seconds=1)

    def test_what_only_succeeded_is_completed_with_its_job_at_once(
        self, session: Session, execution: JobExecution
    ) -> None:
        at = (NOW + timedelta(seconds=3)).isoformat()
        phases = {"pre": {"started": at, "completed": at, "exit_code": 0}, "post": {"completed": "no time"}, "job": 7}
        outcome = {"succeeded": True, "message": "nul \0", "stdout": "out", "used": {"cpu_s": 1.5}, **phases}
        done = TaskUpdate(execution.task_id or "", TaskState.FINISHED, directory="/sandbox", outcome=outcome)
        assert self.apply(session, done, done, after=5) == task_status.Applied(completed=(execution.id,))
        assert (execution.status, execution.job.status) == (ExecutionStatus.COMPLETED, JobStatus.COMPLETED)
        assert (execution.directory, execution.outcome, execution.message) == ("/sandbox", None, "nul \ufffd")
        assert (execution.pre_exit_code, execution.post_completed) == (0, None)
        assert execution.ended == execution.task_ended == execution.job.ended == NOW + timedelta(seconds=5)
        assert execution.used == {"cpu_s": 1.5}
        assert zlib.decompress(session.get_one(JobExecutionLog, execution.id).stdout) == b"out"
        lost = TaskUpdate(execution.task_id or "", TaskState.LOST, reason="REASON_RECONCILIATION")
        assert self.apply(session, lost, after=6) == task_status.Applied()
        assert execution.status is ExecutionStatus.COMPLETED

    def test_what_a_recipe_waits_for_is_left_to_finish(self, session: Session) -> None:
        kind = factories.make_no_op_type(session)
        name = {"name": kind.name, "version": kind.version}
        document = {"version": "1.0", "input_data": [], "jobs": [{"name": "only", "job_type": name}]}
        factories.make_recipe(session, factories.make_recipe_type(session, document))
        launch_all(session, make_node(session))
        execution = session.scalars(select(JobExecution).join(Job).where(Job.job_type_id == kind.id)).one()
        done = TaskUpdate(execution.task_id or "", TaskState.FINISHED, outcome={"succeeded": True})
        assert self.apply(session, done).ended == (execution.id,)

    def test_canceled_before_it_succeeded_stays_canceled(self, session: Session, execution: JobExecution) -> None:
        queue.cancel(session, execution.job_id, NOW)
        done = TaskUpdate(execution.task_id or "", TaskState.FINISHED, outcome={"succeeded": True, "stdout": "kept"})
        assert self.apply(session, done) == task_status.Applied()
        assert (execution.status, execution.job.status) == (ExecutionStatus.CANCELED, JobStatus.CANCELED)
        assert zlib.decompress(session.get_one(JobExecutionLog, execution.id).stdout) == b"kept"

    def test_a_large_outcome_stays_in_its_file(self, session: Session, execution: JobExecution) -> None:
        done = TaskUpdate(execution.task_id or "", TaskState.FINISHED, outcome_file="/sandbox/outcome.json")
        assert self.apply(session, done).ended == (execution.id,)
        assert (execution.outcome, execution.outcome_file) == (None, "/sandbox/outcome.json")

    def test_an_end_without_outcome_keeps_what_mesos_said(self, session: Session, execution: JobExecution) -> None:
        lost = TaskUpdate(execution.task_id or "", TaskState.LOST, "REASON_AGENT_REMOVED", "SOURCE_MASTER", "gone")
        assert self.apply(session, lost).ended == (execution.id,)
        assert execution.outcome == {
            "mesos": {
                "state": "TASK_LOST",
                "reason": "REASON_AGENT_REMOVED",
                "source": "SOURCE_MASTER",
                "message": "gone",
                "has_started": False,
                "timed_out": False,
            }
        }

    def test_killed_after_the_timeout_is_a_timeout(self, session: Session, execution: JobExecution) -> None:
        killed = TaskUpdate(execution.task_id or "", TaskState.KILLED)
        self.apply(session, killed, after=61)
        assert (execution.outcome or {})["mesos"]["timed_out"] is True

    def test_lost_is_not_final_what_returns_is_killed(self, session: Session, execution: JobExecution) -> None:
        task = execution.task_id or ""
        self.apply(session, TaskUpdate(task, TaskState.LOST, "REASON_AGENT_REMOVED"))
        back = TaskUpdate(task, TaskState.RUNNING, "REASON_AGENT_REREGISTERED")
        assert self.apply(session, back).kill == (task,)

    def test_unknown_tasks_are_killed_while_they_live(self, session: Session) -> None:
        updates = [TaskUpdate("who", TaskState.RUNNING), TaskUpdate("was", TaskState.LOST)]
        assert self.apply(session, *updates) == task_status.Applied(kill=("who",))

    def test_a_canceled_execution_is_killed_until_its_task_ended(
        self, session: Session, execution: JobExecution
    ) -> None:
        task = execution.task_id or ""
        execution.status, execution.ended = ExecutionStatus.CANCELED, NOW
        session.flush()
        now = session.scalar(select(func.clock_timestamp()))
        assert now is not None
        assert task_status.tasks_to_kill(session, now) == [task]
        assert self.apply(session, TaskUpdate(task, TaskState.RUNNING)).kill == (task,)
        assert self.apply(session, TaskUpdate(task, TaskState.KILLED)) == task_status.Applied()
        assert execution.status is ExecutionStatus.CANCELED
        assert task_status.tasks_to_kill(session, now) == []

    @pytest.mark.parametrize(("after", "killed"), [(60, False), (89, False), (91, True)])
    def test_the_executor_has_a_grace_before_mesos_kills(
        self, session: Session, execution: JobExecution, after: float, killed: bool
    ) -> None:
        assert bool(task_status.tasks_to_kill(session, NOW + timedelta(seconds=after))) == killed

    def test_what_answers_no_kill_is_given_up_after_a_further_grace(
        self, session: Session, execution: JobExecution
    ) -> None:
        assert overdue.give_up(session, NOW + timedelta(seconds=60 + 59), 30) == []
        later = NOW + timedelta(seconds=60 + 61)
        assert overdue.give_up(session, later, 30) == [execution.id]
        assert overdue.give_up(session, later, 30) == []
        session.expire_all()
        assert failure.classify(execution.outcome or {}, {}).error == "timeout"
        task = execution.task_id or ""
        assert self.apply(session, TaskUpdate(task, TaskState.RUNNING)).kill == (task,), "it came back"

    def test_tasks_without_timeout_are_left_alone(self, session: Session) -> None:
        make_queued(session, timeout=0)
        launch_all(session, make_node(session))
        assert task_status.tasks_to_kill(session, NOW + timedelta(days=999)) == []
        assert overdue.give_up(session, NOW + timedelta(days=999), 30) == []

    def test_reconciliation_asks_only_for_what_mesos_must_know(self, session: Session, execution: JobExecution) -> None:
        agent = execution.agent_id
        assert task_status.running_tasks(session, NOW) == [(execution.task_id, agent)]
        assert task_status.running_tasks(session, NOW - timedelta(seconds=1)) == []
        assert task_status.lose_all(session, "REASON_FRAMEWORK_REMOVED", "gone", NOW) == [execution.id]
        assert task_status.running_tasks(session, NOW) == []
        assert task_status.lose_all(session, "REASON_FRAMEWORK_REMOVED", "gone", NOW) == []


def test_the_scheduler_row_is_made_and_kept(session: Session) -> None:
    session.execute(text("DELETE FROM scheduler"))
    assert scheduling.load_scheduler(session) == scheduling.SchedulerState(False, None)
    scheduling.save_framework_id(session, "f-1")
    beat = scheduling.Heartbeat("here", "master", 5050, True, {7: "paused"})
    scheduling.heartbeat(session, beat, NOW)
    assert scheduling.load_scheduler(session).framework_id == "f-1"
    row = session.execute(text("SELECT waiting, heartbeat, master_online FROM scheduler")).one()
    assert (row.waiting, row.heartbeat, row.master_online) == ({"7": "paused"}, NOW, True)
