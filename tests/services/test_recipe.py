"""Recipes move on: whatever the graph, in a fixed number of statements, and never in circles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scale_core.db.file import ScaleFile, Workspace
from scale_core.db.job import Error, Job, JobExecution, JobType
from scale_core.db.node import Node
from scale_core.db.recipe import Recipe, RecipeJob, RecipeType
from scale_core.domain.job import ErrorCategory, ExecutionStatus, JobStatus
from scale_core.errors import Invalid
from scale_core.services import execution, queue, recipe_type
from tests import factories
from tests.conftest import NOW

Counting = Callable[[], AbstractContextManager[list[str]]]
MANY = 500
OPTIONAL = ({"name": "in", "type": "file", "required": False},)


@pytest.fixture
def node(session: Session) -> Node:
    return factories.make_node(session)


@pytest.fixture
def store(session: Session) -> Workspace:
    return factories.make_workspace(session)


def jobs_of(session: Session, recipe: Recipe) -> dict[str, Job]:
    session.expire_all()
    query = select(RecipeJob.job_name, Job).join(Job, Job.id == RecipeJob.job_id)
    return {row.job_name: row.Job for row in session.execute(query.where(RecipeJob.recipe_id == recipe.id))}


def statuses(session: Session, recipe: Recipe) -> dict[str, str]:
    return {name: job.status.value for name, job in jobs_of(session, recipe).items()}


def succeed(session: Session, node: Node, jobs: Sequence[Job], **outcome: Any) -> None:
    ended = [factories.end(session, factories.run(session, job, node), **outcome) for job in jobs]
    execution.finish(session, [each.id for each in ended], NOW)


def fail(session: Session, node: Node, job: Job) -> None:
    """Until it may not be tried again."""
    while job.status is JobStatus.QUEUED:
        succeed(session, node, [job], succeeded=False, error="algorithm-unknown", message="no")
        session.expire_all()


def wide(type_: JobType, size: int) -> dict[str, Any]:
    """One job, `size` that wait for it, and one that waits for all of them."""
    names = [f"job {number}" for number in range(size)]
    middle = [factories.place(name, type_, ["first"]) for name in names]
    return factories.definition(factories.place("first", type_), *middle, factories.place("last", type_, names))


def with_files(session: Session) -> JobType:
    return factories.make_job_type(session)


def connected(type_: JobType, child: JobType | None = None) -> dict[str, Any]:
    """A parent whose output is the child's input; it takes the recipe's `image`."""
    parent = factories.place("parent", type_, recipe_inputs=[{"recipe_input": "image", "job_input": "in"}])
    link = [{"name": "parent", "connections": [{"output": "out", "input": "in"}]}]
    last = factories.place("child", child or type_) | {"dependencies": link}
    grandchild = factories.place("grandchild", child or type_) | {
        "dependencies": [{"name": "child", "connections": []}]
    }
    if child is None or child.interface["input_data"][0]["required"]:
        grandchild["recipe_inputs"] = [{"recipe_input": "image", "job_input": "in"}]
    return factories.definition(parent, last, grandchild, inputs=[{"name": "image", "type": "file"}])


def data_for(source: ScaleFile, store: Workspace) -> dict[str, Any]:
    return {"input_data": [{"name": "image", "file_id": source.id}], "workspace_id": store.id}


@pytest.fixture
def statements_of(session: Session, node: Node, count_statements: Counting) -> Callable[[int], tuple[int, int, int]]:
    """How many statements it takes to create a recipe, to queue `size` children at once, and to end it."""

    def counted(size: int) -> tuple[int, int, int]:
        type_ = factories.make_no_op_type(session)
        kind = factories.make_recipe_type(session, wide(type_, size))
        session.expire_all()
        with count_statements() as creating:
            recipe = factories.make_recipe(session, kind)
        first = factories.end(session, factories.run(session, jobs_of(session, recipe)["first"], node))
        with count_statements() as queuing:
            execution.finish(session, [first.id], NOW)
        found = jobs_of(session, recipe)
        assert Counter(job.status for job in found.values()) == {
            JobStatus.COMPLETED: 1, JobStatus.QUEUED: size, JobStatus.PENDING: 1,
        }  # fmt: skip
        executions = session.scalars(select(JobExecution).where(JobExecution.status == ExecutionStatus.QUEUED)).all()
        ended = [factories.end(session, factories.run(session, each.job, node)) for each in executions]
        ids = [each.id for each in ended]
        session.expire_all()
        with count_statements() as ending:
            execution.finish(session, ids, NOW)
        assert jobs_of(session, recipe)["last"].status is JobStatus.QUEUED
        succeed(session, node, [jobs_of(session, recipe)["last"]])
        session.expire_all()
        assert recipe.completed == NOW
        return len(creating), len(queuing), len(ending)

    return counted


def test_a_recipe_of_500_jobs_takes_as_many_statements_as_one_of_two(
    statements_of: Callable[[int], tuple[int, int, int]],
) -> None:
    few = statements_of(2)
    assert statements_of(MANY) == few
    assert max(few) <= 20


def test_children_that_get_files_are_queued_in_as_many_statements_as_one(
    session: Session, node: Node, store: Workspace, count_statements: Counting
) -> None:
    counts = []
    for size in (1, 40):
        type_ = with_files(session)
        link = [{"name": "parent", "connections": [{"output": "out", "input": "in"}]}]
        parent = factories.place("parent", type_, recipe_inputs=[{"recipe_input": "image", "job_input": "in"}])
        children = [factories.place(f"child {n}", type_) | {"dependencies": link} for n in range(size)]
        document = factories.definition(parent, *children, inputs=[{"name": "image", "type": "file"}])
        source = factories.make_source(session, store)
        recipe = factories.make_recipe(
            session, factories.make_recipe_type(session, document), **data_for(source, store)
        )
        owner = jobs_of(session, recipe)["parent"]
        files = (factories.stored_file("out", store),)
        ended = factories.end(session, factories.run(session, owner, node), files=files)
        with count_statements() as statements:
            execution.finish(session, [ended.id], NOW)
        counts.append(len(statements))
        product = owner.results["output_data"][0]["file_id"]
        found = jobs_of(session, recipe)
        for name in (f"child {n}" for n in range(size)):
            assert found[name].status is JobStatus.QUEUED
            assert found[name].data["input_data"] == [{"name": "in", "file_id": product}]
    assert counts[0] == counts[1]


def test_recipes_that_move_at_once_share_their_statements(
    session: Session, node: Node, count_statements: Counting
) -> None:
    kind = factories.make_recipe_type(session, wide(factories.make_no_op_type(session), 2))
    counts = []
    for number in (1, 20):
        recipes = [factories.make_recipe(session, kind) for _ in range(number)]
        firsts = [jobs_of(session, each)["first"] for each in recipes]
        ids = [factories.end(session, factories.run(session, job, node)).id for job in firsts]
        with count_statements() as statements:
            execution.finish(session, ids, NOW)
        counts.append(len(statements))
        for each in recipes:
            assert Counter(statuses(session, each).values()) == {"COMPLETED": 1, "QUEUED": 2, "PENDING": 1}
    assert counts[0] == counts[1]


def test_a_chain_of_500_jobs_runs_from_end_to_end(session: Session, node: Node) -> None:
    type_ = factories.make_no_op_type(session)
    places = [factories.place("0", type_)]
    places += [factories.place(str(number), type_, [str(number - 1)]) for number in range(1, MANY)]
    recipe = factories.make_recipe(session, factories.make_recipe_type(session, factories.definition(*places)))
    for number in (0, 1):
        succeed(session, node, [jobs_of(session, recipe)[str(number)]])
    fail(session, node, jobs_of(session, recipe)["2"])
    counted = Counter(statuses(session, recipe).values())
    assert counted == {"COMPLETED": 2, "FAILED": 1, "BLOCKED": MANY - 3}
    queue.requeue(session, [jobs_of(session, recipe)["2"].id], None, NOW)
    assert Counter(statuses(session, recipe).values()) == {"COMPLETED": 2, "QUEUED": 1, "PENDING": MANY - 3}


def test_the_last_job_of_a_diamond_waits_for_both_sides(session: Session, node: Node) -> None:
    kind = factories.make_recipe_type(session, wide(factories.make_no_op_type(session), 2))
    recipe = factories.make_recipe(session, kind)
    succeed(session, node, [jobs_of(session, recipe)["first"]])
    succeed(session, node, [jobs_of(session, recipe)["job 0"]])
    assert statuses(session, recipe)["last"] == "PENDING"
    fail(session, node, jobs_of(session, recipe)["job 1"])
    assert statuses(session, recipe)["last"] == "BLOCKED"
    queue.requeue(session, [jobs_of(session, recipe)["job 1"].id], None, NOW)
    assert statuses(session, recipe)["last"] == "PENDING"
    succeed(session, node, [jobs_of(session, recipe)["job 1"]])
    assert statuses(session, recipe)["last"] == "QUEUED"


def test_canceling_blocks_what_follows_and_requeuing_brings_it_back(session: Session, node: Node) -> None:
    kind = factories.make_recipe_type(session, wide(factories.make_no_op_type(session), 2))
    recipe = factories.make_recipe(session, kind)
    queue.cancel(session, jobs_of(session, recipe)["first"].id, NOW)
    assert Counter(statuses(session, recipe).values()) == {"CANCELED": 1, "BLOCKED": 3}
    queue.requeue(session, [jobs_of(session, recipe)["first"].id], None, NOW)
    assert Counter(statuses(session, recipe).values()) == {"QUEUED": 1, "PENDING": 3}
    queue.cancel(session, jobs_of(session, recipe)["job 0"].id, NOW)
    assert statuses(session, recipe) == {"first": "QUEUED", "job 0": "CANCELED", "job 1": "PENDING", "last": "BLOCKED"}
    queue.requeue(session, [jobs_of(session, recipe)["job 0"].id], None, NOW)
    assert Counter(statuses(session, recipe).values()) == {"QUEUED": 1, "PENDING": 3}


def test_completed_is_noted_once_all_jobs_are(session: Session, node: Node) -> None:
    kind = factories.make_recipe_type(session, wide(factories.make_no_op_type(session), 1))
    recipe = factories.make_recipe(session, kind)
    for name in ("first", "job 0"):
        succeed(session, node, [jobs_of(session, recipe)[name]])
        session.expire_all()
        assert recipe.completed is None
    succeed(session, node, [jobs_of(session, recipe)["last"]])
    session.expire_all()
    assert recipe.completed == NOW


def test_a_running_recipe_keeps_its_revision(session: Session, node: Node) -> None:
    type_ = factories.make_no_op_type(session)
    kind = factories.make_recipe_type(session, wide(type_, 2))
    old = factories.make_recipe(session, kind)
    recipe_type.edit(session, kind.id, {"definition": factories.definition(factories.place("only", type_))}, NOW)
    session.expire_all()
    new = factories.make_recipe(session, session.get_one(RecipeType, kind.id))
    assert set(statuses(session, new)) == {"only"}
    succeed(session, node, [jobs_of(session, old)["first"]])
    assert statuses(session, old) == {"first": "COMPLETED", "job 0": "QUEUED", "job 1": "QUEUED", "last": "PENDING"}


def test_an_optional_output_that_was_not_produced_passes_nothing(
    session: Session, node: Node, store: Workspace
) -> None:
    parent = factories.make_job_type(
        session, interface=factories.interface(outputs=({"name": "out", "type": "file", "required": False},))
    )
    child = factories.make_job_type(session, interface=factories.interface(OPTIONAL))
    kind = factories.make_recipe_type(session, connected(parent, child))
    recipe = factories.make_recipe(session, kind, **data_for(factories.make_source(session, store), store))
    succeed(session, node, [jobs_of(session, recipe)["parent"]])
    found = jobs_of(session, recipe)
    assert found["child"].status is JobStatus.QUEUED
    assert found["child"].data["input_data"] == []


def invalid(session: Session, change: Mapping[str, Any], node: Node, store: Workspace) -> Recipe:
    """A recipe whose parent ended with a product that then could not be passed on, as `change` made the workspace."""
    kind = factories.make_recipe_type(session, connected(with_files(session)))
    recipe = factories.make_recipe(session, kind, **data_for(factories.make_source(session, store), store))
    session.execute(update(Workspace).where(Workspace.id == store.id).values(**change))
    files = (factories.stored_file("out", store),)
    succeed(session, node, [jobs_of(session, recipe)["parent"]], files=files)
    return recipe


def test_data_that_prove_invalid_fail_the_job_with_a_data_error_and_block_what_follows(
    session: Session, node: Node, store: Workspace
) -> None:
    recipe = invalid(session, {"is_active": False}, node, store)
    assert statuses(session, recipe) == {"parent": "COMPLETED", "child": "FAILED", "grandchild": "BLOCKED"}
    child = jobs_of(session, recipe)["child"]
    assert session.get_one(Error, child.error_id).category is ErrorCategory.DATA
    assert child.reason == f"output_data[out]: workspace {store.id} is archived"
    assert (child.num_exes, child.ended) == (0, NOW)


def test_such_a_job_is_not_tried_for_ever_and_runs_once_its_data_are_mended(
    session: Session, node: Node, store: Workspace
) -> None:
    recipe = invalid(session, {"is_active": False}, node, store)
    child = jobs_of(session, recipe)["child"].id
    queue.requeue(session, [child], None, NOW)
    assert statuses(session, recipe) == {"parent": "COMPLETED", "child": "FAILED", "grandchild": "BLOCKED"}
    session.execute(update(Workspace).where(Workspace.id == store.id).values(is_active=True))
    queue.requeue(session, [child], None, NOW)
    assert statuses(session, recipe) == {"parent": "COMPLETED", "child": "QUEUED", "grandchild": "PENDING"}
    found = jobs_of(session, recipe)["child"]
    assert (found.error_id, found.ended) == (None, None)


def test_a_product_of_a_media_type_that_the_child_does_not_take_is_a_data_error(
    session: Session, node: Node, store: Workspace
) -> None:
    images = factories.make_job_type(
        session, interface=factories.interface(({"name": "in", "type": "file", "media_types": ["image/png"]},))
    )
    kind = factories.make_recipe_type(session, connected(with_files(session), images))
    source = factories.make_source(session, store, media_type="image/png")
    recipe = factories.make_recipe(session, kind, **data_for(source, store))
    succeed(session, node, [jobs_of(session, recipe)["parent"]], files=(factories.stored_file("out", store),))
    child = jobs_of(session, recipe)["child"]
    assert child.status is JobStatus.FAILED
    assert "is text/plain; this input takes only image/png" in (child.reason or "")


def test_data_that_are_invalid_from_the_start_create_nothing(session: Session, store: Workspace) -> None:
    kind = factories.make_recipe_type(session, connected(with_files(session)))
    with pytest.raises(Invalid, match="image"):
        factories.make_recipe(session, kind, workspace_id=store.id)
    assert session.scalars(select(Recipe).where(Recipe.recipe_type_id == kind.id)).all() == []
