"""Random orders of what clients and the cluster do to jobs: by REST on one side, by the services on the other."""

from __future__ import annotations

import os
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import DataObject, booleans, data, integers, lists, none, sampled_from
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from scale_core.domain.job import FINAL_JOB_STATUSES, Resources
from scale_core.domain.retry import Backoff
from scale_core.domain.scheduling import Launch
from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.services import execution, scheduling, task_status
from tests import factories as make
from tests.conftest import NOW

ROOM = Resources(1000, 10**6, 10**6, 100)
EXAMPLES = int(os.environ.get("SCALE_FUZZ_EXAMPLES", "0")) // 10 or 5
STEPS = 20
SEED = int(os.environ.get("SCALE_FUZZ_SEED", "20261126"))


class Machine(RuleBasedStateMachine):
    app: Flask
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self._connection = self.engine.connect()
        self._outer = self._connection.begin()  # each example begins with nothing: it is rolled back
        self.sessions = sessionmaker(self._connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
        self.app.extensions["scale_sessions"] = self.sessions
        self.client = self.app.test_client()
        self.types: dict[int, dict[str, object]] = {}  # id -> what was last written
        self.tags: dict[int, list[str]] = {}  # every version that a client has seen, the newest last
        self.jobs: dict[int, str] = {}  # id -> status
        self.tasks: dict[str, int] = {}  # of those that run -> job
        self.keys: dict[str, int] = {}
        with self.sessions() as session, session.begin():
            node = make.make_node(session)
            self.node_id, self.agent_id = node.id, node.agent_id
        self.add_type()

    def teardown(self) -> None:
        self._outer.rollback()
        self._connection.close()

    # ---------------------------------------------------------------------------------------------------------- types

    @rule()
    def add_type(self) -> None:
        interface = make.interface((), (), "true", "")
        body = {"name": make.unique("machine"), "version": "1.0", "interface": interface, "max_tries": 1, "title": ""}
        made = self.client.post("/job-types/", json=body)
        assert made.status_code == 201, made.text
        type_id = made.get_json()["id"]
        self.types[type_id], self.tags[type_id] = {"title": "", "is_paused": False}, []
        self._see(type_id)

    @rule(chosen=data(), title=sampled_from(["a", "b", "ü"]), is_paused=booleans(), is_stale=booleans())
    def edit_type(self, chosen: DataObject, title: str, is_paused: bool, is_stale: bool) -> None:
        type_id = chosen.draw(sampled_from(sorted(self.types)))
        seen = self.tags[type_id]
        tag = seen[0] if is_stale and seen[0] != seen[-1] else seen[-1]
        change = {"title": title, "is_paused": is_paused}
        answer = self.client.patch(f"/job-types/{type_id}/", json=change, headers={"If-Match": tag})
        if tag != seen[-1]:
            assert answer.status_code == 412, answer.text
            return
        assert answer.status_code == 200, answer.text
        self.types[type_id] = dict(change)
        self._see(type_id)

    def _see(self, type_id: int) -> None:
        tag = self.client.get(f"/job-types/{type_id}/").headers["ETag"]
        if tag not in self.tags[type_id]:
            self.tags[type_id].append(tag)

    # ----------------------------------------------------------------------------------------------------------- jobs

    @rule(chosen=data(), key=none() | sampled_from("kl"))
    def queue(self, chosen: DataObject, key: str | None) -> None:
        type_id = chosen.draw(sampled_from(sorted(self.types)))
        name = f"{key}-{min(self.types)}-{type_id}"
        headers = {"Idempotency-Key": name} if key else {}
        body = {"job_type_id": type_id, "job_data": {"version": "1.0"}}
        made = self.client.post("/queue/new-job/", json=body, headers=headers)
        assert made.status_code == 201, made.text
        job_id = made.get_json()["id"]
        if key and name in self.keys:
            assert job_id == self.keys[name], "a repeated request makes nothing new"
            return
        assert job_id not in self.jobs
        self.jobs[job_id] = "QUEUED"
        if key:
            self.keys[name] = job_id

    @precondition(lambda self: self.jobs)
    @rule(chosen=data())
    def cancel(self, chosen: DataObject) -> None:
        job_id = chosen.draw(sampled_from(sorted(self.jobs)))
        answer = self.client.patch(f"/jobs/{job_id}/", json={"status": "CANCELED"})
        if self.jobs[job_id] in FINAL_JOB_STATUSES - {"FAILED"}:
            assert answer.status_code in (200, 400, 409), answer.text
        else:
            assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 200:
            assert self.jobs[job_id] != "COMPLETED"
            self.jobs[job_id] = "CANCELED"
        else:
            assert self.jobs[job_id] in FINAL_JOB_STATUSES

    @precondition(lambda self: self.jobs)
    @rule(chosen=data(), priority=none() | integers(1, 1000))
    def requeue(self, chosen: DataObject, priority: int | None) -> None:
        some = chosen.draw(lists(sampled_from(sorted(self.jobs)), min_size=1, max_size=4))
        answer = self.client.post("/queue/requeue-jobs/", json={"job_ids": some, "priority": priority})
        assert answer.status_code == 200, answer.text
        for job_id in set(some):
            if self.jobs[job_id] in ("FAILED", "CANCELED"):
                self.jobs[job_id] = "QUEUED"

    # -------------------------------------------------------------------------------------------------------- cluster

    @rule()
    def start(self) -> None:
        with self.sessions() as session, session.begin():
            entries = scheduling.claim(session, 100, ROOM)
            launches = [Launch(entry, self.node_id, self.agent_id) for entry in entries]
            specs = scheduling.start(session, launches, NOW).specs
        for spec in specs:
            assert self.jobs[spec.job_id] == "QUEUED"
            self.jobs[spec.job_id] = "RUNNING"
            self.tasks[spec.task_id] = spec.job_id

    @precondition(lambda self: self.tasks)
    @rule(chosen=data(), error=sampled_from([None, "algorithm-unknown"]))
    def end(self, chosen: DataObject, error: str | None) -> None:
        task_id = chosen.draw(sampled_from(sorted(self.tasks)))
        job_id = self.tasks.pop(task_id)
        said = make.as_document(make.Outcome(task_id, int(task_id.split(".")[1]), error is None, error=error))
        state = TaskState.FAILED if error else TaskState.FINISHED
        with self.sessions() as session, session.begin():
            task_status.apply_updates(session, [TaskUpdate(task_id, state, agent_id=self.agent_id, outcome=said)], NOW)
            execution.finish(session, execution.unfinished(session, 100, -1, NOW), NOW, Backoff(0, 0))
        if self.jobs[job_id] == "RUNNING" and self.newest(job_id) == int(task_id.split(".")[1]):
            self.jobs[job_id] = "FAILED" if error else "COMPLETED"

    def newest(self, job_id: int) -> int:
        return max(each["id"] for each in self.client.get(f"/jobs/{job_id}/").get_json()["job_exes"])

    # ------------------------------------------------------------------------------------------------------ invariants

    @invariant()
    def jobs_are_what_was_done_to_them(self) -> None:
        shown = {job["id"]: job for job in self._listed("jobs") if job["id"] in self.jobs}
        assert {job_id: job["status"] for job_id, job in shown.items()} == self.jobs
        executions: dict[int, list[str]] = {}
        for each in sorted(self._listed("job-executions"), key=lambda each: int(each["id"])):
            executions.setdefault(each["job"]["id"], []).append(each["status"])
        for job_id, status in self.jobs.items():
            own = executions[job_id]
            assert own[-1] == status, (job_id, own)
            assert not {"QUEUED", "RUNNING"} & set(own[:-1]), "one attempt at a time, the newest"
            assert shown[job_id]["num_exes"] == len(own)
            assert (shown[job_id]["ended"] is not None) is (status in FINAL_JOB_STATUSES)

    def _listed(self, what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"/{what}/?page_size=1000").get_json()["results"]
        return found

    @invariant()
    def what_is_queued_waits_exactly_once(self) -> None:
        listed = self._listed("queue")
        waiting = sorted(each["job_id"] for each in listed if each["job_id"] in self.jobs)
        assert waiting == sorted(job_id for job_id, status in self.jobs.items() if status == "QUEUED")
        counted = sum(each["count"] for each in self.client.get("/queue/status/").get_json()["queue_status"])
        assert counted == len(listed)

    @invariant()
    def types_are_as_last_written(self) -> None:
        shown = {each["id"]: each for each in self._listed("job-types")}
        for type_id, written in self.types.items():
            assert {"title": shown[type_id]["title"] or "", "is_paused": shown[type_id]["is_paused"]} == written


@pytest.mark.timeout(600)
def test_any_order_of_requests(shared_app: Flask, engine: Engine) -> None:
    machine = type("RestMachine", (Machine,), {"app": shared_app, "engine": engine})
    run_state_machine_as_test(
        seed(SEED)(machine),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
