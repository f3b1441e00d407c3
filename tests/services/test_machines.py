"""Jobs and executions under random orders of all that may happen to them, on real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import DataObject, data, sampled_from
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.job import Job, JobExecution
from scale_core.db.queue import Queue
from scale_core.domain.execution import Outcome
from scale_core.domain.job import FINAL_JOB_STATUSES, ExecutionStatus, JobStatus, Resources
from scale_core.domain.retry import Backoff
from scale_core.domain.scheduling import Launch
from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.errors import IllegalTransition
from scale_core.services import execution, overdue, queue, scheduling, task_status
from tests import factories as make
from tests.conftest import NOW

ROOM = Resources(1000, 10**6, 10**6, 100)
OPEN = (ExecutionStatus.QUEUED, ExecutionStatus.RUNNING)
FINAL_UPDATES = [TaskState.FAILED, TaskState.KILLED, TaskState.LOST, TaskState.ERROR, TaskState.GONE]


class Machine(RuleBasedStateMachine):
    """Every rule may come at any time, also too late or twice."""

    session: Session

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.type = make.make_no_op_type(self.session, max_tries=2, timeout=60)
        self.node = make.make_node(self.session)
        self.jobs: list[int] = []
        self.tasks: list[str] = []
        self.done: dict[int, JobStatus] = {}

    def teardown(self) -> None:
        self.session.rollback()

    @rule()
    def queue_job(self) -> None:
        self.jobs.append(make.make_job(self.session, self.type, self.now).id)

    @rule()
    def start(self) -> None:
        entries = scheduling.claim(self.session, 100, ROOM)
        launches = [Launch(entry, self.node.id, self.node.agent_id) for entry in entries]
        self.tasks += [spec.task_id for spec in scheduling.start(self.session, launches, self.now).specs]

    @precondition(lambda self: self.tasks)
    @rule(chosen=data(), state=sampled_from([TaskState.RUNNING, *FINAL_UPDATES]))
    def mesos_says(self, chosen: DataObject, state: TaskState) -> None:
        self._apply(TaskUpdate(chosen.draw(sampled_from(self.tasks)), state, agent_id=self.node.agent_id))

    @precondition(lambda self: self.tasks)
    @rule(chosen=data(), error=sampled_from([None, None, "filesystem-io", "algorithm-unknown", "node-lost"]))
    def executor_reports(self, chosen: DataObject, error: str | None) -> None:
        task_id = chosen.draw(sampled_from(self.tasks))
        said = make.as_document(Outcome(task_id, int(task_id.split(".")[1]), error is None, error=error))
        state = TaskState.FAILED if error else TaskState.FINISHED
        self._apply(TaskUpdate(task_id, state, agent_id=self.node.agent_id, outcome=said))

    @rule()
    def finish(self) -> None:
        ids = execution.unfinished(self.session, 100, -1, self.now)
        execution.finish(self.session, ids, self.now, Backoff(0, 0))
        execution.finish(self.session, ids, self.now, Backoff(0, 0))
        self.session.expire_all()

    @precondition(lambda self: self.jobs)
    @rule(chosen=data())
    def cancel(self, chosen: DataObject) -> None:
        job_id = chosen.draw(sampled_from(self.jobs))
        before = self.session.get_one(Job, job_id).status
        try:
            queue.cancel(self.session, job_id, self.now)
        except IllegalTransition:
            assert before in (JobStatus.COMPLETED, JobStatus.CANCELED)

    @precondition(lambda self: self.jobs)
    @rule(chosen=data())
    def requeue(self, chosen: DataObject) -> None:
        job_id = chosen.draw(sampled_from(self.jobs))
        before = self.session.get_one(Job, job_id).status
        moved = queue.requeue(self.session, [job_id], None, self.now)
        assert bool(moved) == (before in (JobStatus.FAILED, JobStatus.CANCELED))

    @rule(seconds=sampled_from([1, 45, 200]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        given_up = overdue.give_up(self.session, self.now, 30)
        self.session.expire_all()
        assert overdue.give_up(self.session, self.now, 30) == []
        assert all(self.session.get_one(JobExecution, id_).task_ended for id_ in given_up)

    @invariant()
    def job_and_executions_agree(self) -> None:
        self.session.expire_all()
        for job_id in self.jobs:
            job = self.session.get_one(Job, job_id)
            executions = job.job_exes  # the newest first
            waiting = list(self.session.scalars(select(Queue.job_exe_id).where(Queue.job_id == job_id)))
            open_ = [each for each in executions if each.status in OPEN]
            assert job.num_exes == len(executions)
            assert 0 <= job.num_lost <= job.num_exes
            if job.status in FINAL_JOB_STATUSES:
                assert (open_, waiting) == ([], [])
                assert job.ended is not None
            else:
                assert open_ == executions[:1], "one attempt at a time, the newest"
                assert open_[0].status.value == job.status.value
                assert waiting == ([open_[0].id] if job.status is JobStatus.QUEUED else [])
            completed = [each for each in executions if each.status is ExecutionStatus.COMPLETED]
            assert len(completed) == (job.status is JobStatus.COMPLETED)

    @invariant()
    def what_is_completed_stays_so(self) -> None:
        for job_id in self.jobs:
            status = self.session.get_one(Job, job_id).status
            assert self.done.get(job_id, status) is status
            if status is JobStatus.COMPLETED:
                self.done[job_id] = status

    def _apply(self, update: TaskUpdate) -> None:
        task_status.apply_updates(self.session, [update], self.now)
        self.session.expire_all()


def test_jobs_and_executions_agree_whatever_happens(session: Session) -> None:
    machine = type("JobMachine", (Machine,), {"session": session})
    budget = settings(max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=budget)
