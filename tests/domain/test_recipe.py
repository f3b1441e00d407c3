"""Graphs of jobs as values: what is ready, blocked, unblocked, and what is wrong with a definition."""

from __future__ import annotations

from scale_core.domain.job import JobStatus
from scale_core.domain.job_interface import DataValue, InputSpec, JobInterface, OutputSpec
from scale_core.domain.recipe import (
    Dependency,
    RecipeData,
    RecipeDefinition,
    RecipeJobSpec,
    blocked_jobs,
    check_connections,
    check_graph,
    job_data,
    ready_jobs,
    unblocked_jobs,
)

TYPE = ("type", "1.0")
ONE_IN_ONE_OUT = JobInterface("run", "", (InputSpec("in", "file"),), (OutputSpec("out", "file"),))


def place(name: str, *after: str) -> RecipeJobSpec:
    return RecipeJobSpec(name, TYPE, dependencies=tuple(Dependency(each) for each in after))


DIAMOND = RecipeDefinition(jobs=(place("d", "b", "c"), place("b", "a"), place("c", "a"), place("a")))


def states(**given: str) -> dict[str, JobStatus]:
    return {name: JobStatus(given.get(name, "PENDING")) for name in "abcd"}


def test_a_job_is_ready_when_all_before_it_are_completed() -> None:
    assert ready_jobs(DIAMOND, states()) == ["a"]
    assert ready_jobs(DIAMOND, states(a="RUNNING")) == []
    assert ready_jobs(DIAMOND, states(a="COMPLETED")) == ["b", "c"]
    assert ready_jobs(DIAMOND, states(a="COMPLETED", b="COMPLETED")) == ["c"]
    assert ready_jobs(DIAMOND, states(a="COMPLETED", b="COMPLETED", c="COMPLETED")) == ["d"]


def test_a_failure_blocks_all_behind_it_and_nothing_else() -> None:
    assert sorted(blocked_jobs(DIAMOND, states(a="FAILED"))) == ["b", "c", "d"]
    assert blocked_jobs(DIAMOND, states(a="COMPLETED", b="CANCELED", c="RUNNING")) == ["d"]
    assert blocked_jobs(DIAMOND, states(a="COMPLETED", b="COMPLETED", c="QUEUED")) == []


def test_blocked_jobs_come_back_when_nothing_blocks_them() -> None:
    blocked = {"b": "BLOCKED", "c": "BLOCKED", "d": "BLOCKED"}
    assert sorted(unblocked_jobs(DIAMOND, states(a="QUEUED", **blocked))) == ["b", "c", "d"]
    assert unblocked_jobs(DIAMOND, states(a="FAILED", **blocked)) == []
    assert unblocked_jobs(DIAMOND, states(a="COMPLETED", b="FAILED", c="RUNNING", d="BLOCKED")) == []


def test_what_is_wrong_with_a_graph_is_named() -> None:
    circle = RecipeDefinition(jobs=(place("a", "b"), place("b", "a")))
    assert [problem.message.partition(":")[0] for problem in check_graph(circle)] == ["circular dependency"]
    dangling = RecipeDefinition(jobs=(place("a", "nobody"),))
    assert [str(problem) for problem in check_graph(dangling)] == [
        "jobs[a].dependencies: there is no job called 'nobody'"
    ]
    assert check_graph(DIAMOND) == []


def test_inputs_that_nothing_feeds_are_named() -> None:
    problems, _ = check_connections(RecipeDefinition(jobs=(place("a"),)), {TYPE: ONE_IN_ONE_OUT})
    assert [str(problem) for problem in problems] == ["jobs[a]: nothing feeds the required input 'in'"]


def test_an_optional_output_that_was_not_produced_passes_nothing() -> None:
    link = Dependency("a", (("out", "in"),))
    definition = RecipeDefinition(
        (InputSpec("image", "file"),),
        (
            RecipeJobSpec("a", TYPE, recipe_inputs=(("image", "in"),)),
            RecipeJobSpec("b", TYPE, dependencies=(link,)),
        ),
    )
    data = RecipeData({"image": DataValue(file_ids=(3,))}, workspace_id=5)
    assert job_data(definition, "a", ONE_IN_ONE_OUT, data, {}).inputs["in"].file_ids == (3,)
    assert job_data(definition, "b", ONE_IN_ONE_OUT, data, {"a": {"out": [9]}}).inputs["in"].file_ids == (9,)
    without = job_data(definition, "b", ONE_IN_ONE_OUT, data, {"a": {}})
    assert (dict(without.inputs), dict(without.workspaces)) == ({}, {"out": 5})
