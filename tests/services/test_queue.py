"""Jobs and recipes from the queue to their end, on real PostgreSQL."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scale_core.db.file import FileAncestryLink, ScaleFile
from scale_core.db.job import Error, Job, JobExecution
from scale_core.db.queue import Queue
from scale_core.db.recipe import Recipe, RecipeJob
from scale_core.domain.job import MAX_LOST, ExecutionStatus, JobStatus, Resources
from scale_core.domain.retry import Backoff
from scale_core.errors import IllegalTransition, Invalid, NotFound
from scale_core.queries import job as job_queries
from scale_core.services import execution, job_type, queue, recipe_type, scheduling
from scale_core.settings import CHECKOUT
from scale_core.timestamps import utcnow
from tests import factories as make
from tests.conftest import NOW


def status_of(session: Session, recipe: Recipe) -> dict[str, JobStatus]:
    rows = session.execute(
        select(RecipeJob.job_name, Job.status)
        .join(Job, Job.id == RecipeJob.job_id)
        .where(RecipeJob.recipe_id == recipe.id)
    )
    return dict(rows.all())


def job_called(session: Session, recipe: Recipe, name: str) -> Job:
    found = session.scalar(
        select(Job)
        .join(RecipeJob, RecipeJob.job_id == Job.id)
        .where(RecipeJob.recipe_id == recipe.id, RecipeJob.job_name == name)
    )
    assert found is not None
    return found


def complete(session: Session, job: Job, /, **outcome: object) -> JobExecution:
    ended = make.end(session, make.run(session, job), **outcome)
    execution.finish(session, [ended.id], NOW)
    session.expire_all()
    return ended


def test_a_new_job_is_queued_with_its_execution(session: Session) -> None:
    store = make.make_workspace(session)
    source = make.make_source(session, store, file_size=3 * 2**20 + 1)
    job_type_ = make.make_job_type(session, disk_out_const_required=10.0, disk_out_mult_required=2.0)

    job = queue.queue_new_job(session, job_type_.id, make.job_data(source, store), NOW)

    assert (job.status, job.num_exes, job.queued) == (JobStatus.QUEUED, 1, NOW)
    assert (job.disk_in_required, job.disk_out_required) == (4.0, 18.0)
    row = session.scalars(select(Queue).where(Queue.job_id == job.id)).one()
    assert (row.disk_total_required, row.priority) == (22.0, job_type_.priority)
    assert [exe.status for exe in job.job_exes] == [ExecutionStatus.QUEUED]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_data": []}, "input_data[in]: this input is required and was not provided"),
        ({"input_data": [{"name": "in", "file_id": 999999}]}, "file 999999 does not exist"),
        ({"input_data": [{"name": "in", "value": "x"}]}, "give file_id or file_ids, not value"),
        ({"output_data": []}, "output_data[out]: this output needs a workspace_id"),
        ({"output_data": [{"name": "out", "workspace_id": 999999}]}, "workspace 999999 does not exist"),
        ({"version": "2.0"}, "the only valid versions are 1.0"),
    ],
)
def test_job_data_that_do_not_fit_are_refused_by_name(session: Session, change: dict, message: str) -> None:
    store = make.make_workspace(session)
    data = make.job_data(make.make_source(session, store), store) | change
    type_ = make.make_job_type(session)
    with pytest.raises(Invalid, match=r".*") as caught:
        queue.queue_new_job(session, type_.id, data, NOW)
    assert message in str(caught.value)


def test_a_media_type_that_the_input_does_not_take_is_refused(session: Session) -> None:
    store = make.make_workspace(session)
    data = make.job_data(make.make_source(session, store, media_type="text/csv"), store)
    inputs = [{"name": "in", "type": "file", "media_types": ["image/png"]}]
    type_ = make.make_job_type(session, interface=make.interface(inputs))
    with pytest.raises(Invalid, match="text/csv; this input takes only image/png"):
        queue.queue_new_job(session, type_.id, data, NOW)


def test_unknown_types_are_not_found(session: Session) -> None:
    with pytest.raises(NotFound, match="no job type with id 999"):
        queue.queue_new_job(session, 999, {}, NOW)
    with pytest.raises(NotFound, match="no recipe type with id 999"):
        queue.queue_new_recipe(session, 999, {}, NOW)


def test_a_finished_execution_registers_its_product_once(session: Session) -> None:
    store = make.make_workspace(session)
    source = make.make_source(session, store)
    job = queue.queue_new_job(session, make.make_job_type(session).id, make.job_data(source, store), NOW)
    polygon = {"type": "Polygon", "coordinates": [[[0, 0, 5], [2, 0, 5], [2, 2, 5], [0, 2, 5], [0, 0, 5]]]}
    geo = {"geo_json": polygon, "data_started": "2026-01-01T00:00:00Z", "data_ended": None}
    files = (make.stored_file("out", store, "a.txt", geo_metadata=geo),)

    ended = complete(session, job, files=files)
    again = execution.finish(session, [ended.id], NOW)

    product = session.scalars(select(ScaleFile).where(ScaleFile.job_id == job.id)).one()
    assert again.job_exe_ids == ()
    assert job.status is JobStatus.COMPLETED
    assert job.results == {"version": "1.0", "output_data": [{"name": "out", "file_id": product.id}]}
    assert product.is_published
    assert session.scalar(select(func.ST_AsText(product.center_point))) == "POINT(1 1)"
    link = session.scalars(select(FileAncestryLink).where(FileAncestryLink.descendant_id == product.id)).one()
    assert link.ancestor_id == source.id


def test_a_footprint_that_is_not_geojson_fails_the_execution_with_its_reason(session: Session) -> None:
    store = make.make_workspace(session)
    job = queue.queue_new_job(
        session, make.make_job_type(session).id, make.job_data(make.make_source(session, store), store), NOW
    )
    geo = {"geo_json": {"type": "Polygon", "coordinates": "here"}}
    ended = complete(session, job, files=(make.stored_file("out", store, geo_metadata=geo),))
    assert ended.error is not None
    assert ended.error.name == "invalid-results-manifest"
    assert "output_data[out].geo_json" in ended.message
    assert job.status is JobStatus.FAILED
    assert session.scalar(select(func.count()).where(ScaleFile.job_id == job.id)) == 0


def test_algorithm_errors_are_final_and_mapped(session: Session) -> None:
    type_ = make.make_no_op_type(session, error_mapping={"version": "1.0", "exit_codes": {"3": "timeout"}})
    job = make.make_job(session, type_)
    ended = complete(session, job, succeeded=False, job=make.phase(exit_code=3), message="exited with status 3")
    assert ended.error is not None
    assert (ended.error.name, job.status, job.num_exes) == ("timeout", JobStatus.FAILED, 1)


def test_system_errors_are_tried_again_until_the_tries_are_used_up(session: Session) -> None:
    job = make.make_job(session, make.make_no_op_type(session, max_tries=2))
    complete(session, job, succeeded=False, error="filesystem-io")
    assert (job.status, job.num_exes) == (JobStatus.QUEUED, 2)
    complete(session, job, succeeded=False, error="filesystem-io")
    assert (job.status, job.num_exes) == (JobStatus.FAILED, 2)


def test_an_execution_that_the_cluster_lost_costs_no_try(session: Session) -> None:
    job = make.make_job(session, make.make_no_op_type(session, max_tries=1))
    for _ in range(3):
        lost = make.end(session, make.run(session, job))
        lost.outcome = {"mesos": {"state": "TASK_LOST", "reason": "REASON_AGENT_REMOVED"}}
        session.flush()
        execution.finish(session, [lost.id], NOW)
        session.expire_all()
        assert job.status is JobStatus.QUEUED
    complete(session, job)
    assert (job.status, job.num_exes, job.num_lost) == (JobStatus.COMPLETED, 4, 3)


def test_a_diamond_runs_in_order_and_passes_products_on(session: Session) -> None:
    store = make.make_workspace(session)
    first = make.make_job_type(session)
    last = make.make_job_type(
        session, interface=make.interface([{"name": "a", "type": "file"}, {"name": "b", "type": "files"}])
    )
    feed = {"recipe_inputs": [{"recipe_input": "image", "job_input": "in"}]}
    join = [
        {"name": "left", "connections": [{"output": "out", "input": "a"}]},
        {"name": "right", "connections": [{"output": "out", "input": "b"}]},
    ]
    document = make.definition(
        make.place("left", first, **feed),
        make.place("right", first, **feed),
        {**make.place("join", last), "dependencies": join},
        inputs=[{"name": "image", "type": "file"}],
    )
    source = make.make_source(session, store)
    inputs = [{"name": "image", "file_id": source.id}]
    recipe = make.make_recipe(
        session, make.make_recipe_type(session, document), input_data=inputs, workspace_id=store.id
    )
    assert status_of(session, recipe) == {"left": "QUEUED", "right": "QUEUED", "join": "PENDING"}

    complete(session, job_called(session, recipe, "left"), files=(make.stored_file("out", store),))
    assert status_of(session, recipe)["join"] == "PENDING"
    complete(session, job_called(session, recipe, "right"), files=(make.stored_file("out", store),))
    join_job = job_called(session, recipe, "join")
    assert join_job.status is JobStatus.QUEUED
    given = {entry["name"]: set(entry) - {"name"} for entry in join_job.data["input_data"]}
    assert given == {"a": {"file_id"}, "b": {"file_ids"}}
    complete(session, join_job, files=(make.stored_file("out", store),))
    session.refresh(recipe)
    assert recipe.completed == NOW


def test_a_failure_blocks_what_depends_on_it_and_a_requeue_unblocks(session: Session) -> None:
    no_op = make.make_no_op_type(session)
    document = make.definition(
        make.place("a", no_op), make.place("b", no_op, ["a"]), make.place("c", no_op, ["b"]), make.place("d", no_op)
    )
    recipe = make.make_recipe(session, make.make_recipe_type(session, document))
    complete(session, job_called(session, recipe, "a"), succeeded=False, error="algorithm-unknown")
    assert status_of(session, recipe) == {"a": "FAILED", "b": "BLOCKED", "c": "BLOCKED", "d": "QUEUED"}

    queue.requeue(session, [job_called(session, recipe, "a").id], None, NOW)
    assert status_of(session, recipe) == {"a": "QUEUED", "b": "PENDING", "c": "PENDING", "d": "QUEUED"}
    for name in "abcd":
        complete(session, job_called(session, recipe, name))
    assert set(status_of(session, recipe).values()) == {JobStatus.COMPLETED}


def test_canceling_takes_a_job_off_the_queue_and_blocks_its_dependents(session: Session) -> None:
    no_op = make.make_no_op_type(session)
    recipe = make.make_recipe(
        session,
        make.make_recipe_type(session, make.definition(make.place("a", no_op), make.place("b", no_op, ["a"]))),
    )
    job = queue.cancel(session, job_called(session, recipe, "a").id, NOW)
    assert status_of(session, recipe) == {"a": "CANCELED", "b": "BLOCKED"}
    assert session.get(Queue, job.job_exes[0].id) is None
    assert job.job_exes[0].status is ExecutionStatus.CANCELED
    with pytest.raises(IllegalTransition, match="is CANCELED and cannot become CANCELED"):
        queue.cancel(session, job.id, NOW)


def test_a_recipe_of_500_jobs_is_queued_in_few_statements(session: Session, count_queries) -> None:
    no_op = make.make_no_op_type(session)
    document = make.definition(*(make.place(f"job {n}", no_op) for n in range(500)))
    type_ = make.make_recipe_type(session, document)
    with count_queries() as statements:
        recipe = make.make_recipe(session, type_)
    assert len(status_of(session, recipe)) == 500
    assert len(statements) < 30


def test_an_interface_change_that_breaks_a_recipe_is_refused(session: Session) -> None:
    type_ = make.make_job_type(session)
    feed = {"recipe_inputs": [{"recipe_input": "image", "job_input": "in"}]}
    document = make.definition(make.place("a", type_, **feed), inputs=[{"name": "image", "type": "file"}])
    recipe_type_ = make.make_recipe_type(session, document)
    changed = make.interface([{"name": "other", "type": "file"}])
    with pytest.raises(Invalid, match=f"breaks the recipe type {recipe_type_.name} 1.0"):
        job_type.edit(session, type_.id, {"interface": changed}, NOW)


def test_only_real_changes_make_a_revision(session: Session) -> None:
    type_ = make.make_job_type(session)
    same = job_type.edit(session, type_.id, {"interface": make.interface(), "title": "New"}, NOW)
    assert (same.revision_num, same.title) == (1, "New")
    changed = job_type.edit(session, type_.id, {"interface": make.interface(command="other")}, NOW)
    assert changed.revision_num == 2


def test_a_circle_in_a_recipe_is_named(session: Session) -> None:
    no_op = make.make_no_op_type(session)
    document = make.definition(make.place("a", no_op, ["b"]), make.place("b", no_op, ["a"]))
    with pytest.raises(Invalid, match=r"circular dependency: (a -> b -> a|b -> a -> b)"):
        recipe_type.validate(session, {"name": "x", "version": "1", "definition": document}, NOW)


def test_a_job_that_is_lost_again_and_again_ends_after_all(session: Session) -> None:
    job = make.make_job(session, make.make_no_op_type(session, max_tries=1))
    for _ in range(MAX_LOST + 1):
        assert job.status is JobStatus.QUEUED
        lost = make.end(session, make.run(session, job))
        lost.outcome = {"mesos": {"state": "TASK_FAILED", "reason": "REASON_EXECUTOR_TERMINATED", "has_started": True}}
        session.flush()
        execution.finish(session, [lost.id], NOW)
        session.expire_all()
    assert (job.status, job.error.name) == (JobStatus.FAILED, "mesos-lost")


def test_every_error_that_scale_itself_reports_is_in_the_catalogue(session: Session) -> None:
    """By the names in the source of the executor and of the rules: a name that is missing would become "unknown"."""
    name = re.compile(r'"([a-z]+(?:-[a-z]+)*-(?:launch|lost|io|manifest|output|file|workspace|unknown))"')
    sources = (*CHECKOUT.glob("scale_worker/executor/*.py"), CHECKOUT / "scale_core/domain/failure.py")
    named = {found for source in sources for found in name.findall(source.read_text())}
    catalogue = set(session.scalars(select(Error.name)))
    assert {"task-launch", "mesos-lost", "invalid-results-manifest"} <= named
    assert named <= catalogue


def test_a_job_that_fails_again_waits_longer_each_time_and_says_so(session: Session) -> None:
    job = make.make_job(session, make.make_no_op_type(session, max_tries=4))
    waits = []
    for _ in range(3):
        failed = make.end(session, make.run(session, job))
        failed.outcome = {"mesos": {"state": "TASK_FAILED", "reason": "REASON_CONTAINER_LAUNCH_FAILED"}}
        session.flush()
        now = utcnow()  # the claim asks PostgreSQL's clock
        execution.finish(session, [failed.id], now, Backoff(base_s=1000, cap_s=5000))
        told = job_queries.get_job(session, job.id).retry
        waits.append((told["next"] - now).total_seconds() if told["next"] else 0.0)
        entries = scheduling.claim(session, 10, Resources(100, 100000, 100000))
        assert [entry.job_id for entry in entries] == ([] if told["next"] else [job.id])
    assert waits[0] == 0.0
    assert 500 <= waits[1] <= 1000 <= waits[2] <= 2000
    assert (told["attempt"], told["max_tries"]) == (4, 4)
    assert told["decision"] == "Scale: SYSTEM error task-launch, 3 of 4 tries used"
