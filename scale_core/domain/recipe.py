"""Recipes: a graph of jobs, and which of them may run. Recipe Definition and Recipe Data Specification 1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from scale_core.domain.job import BLOCKING_JOB_STATUSES, JobStatus
from scale_core.domain.job_interface import (
    DataValue,
    InputSpec,
    JobData,
    JobInterface,
    OutputSpec,
    media_type_warnings,
)
from scale_core.errors import Problem, Warning_


@dataclass(frozen=True)
class Dependency:
    """`connections` are (output of the job depended upon, input of this job) pairs; none: only the order counts."""

    name: str
    connections: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RecipeJobSpec:
    """A place in the graph. `recipe_inputs` are (recipe input, job input) pairs."""

    name: str
    job_type: tuple[str, str]  # name, version
    recipe_inputs: tuple[tuple[str, str], ...] = ()
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True)
class RecipeDefinition:
    inputs: tuple[InputSpec, ...] = ()
    jobs: tuple[RecipeJobSpec, ...] = ()

    @cached_property
    def places(self) -> Mapping[str, RecipeJobSpec]:
        """The jobs by name."""
        return {job.name: job for job in self.jobs}

    @cached_property
    def _order(self) -> Sequence[str]:
        return tuple(TopologicalSorter({j.name: [d.name for d in j.dependencies] for j in self.jobs}).static_order())

    def job(self, name: str) -> RecipeJobSpec:
        return self.places[name]

    def input(self, name: str) -> InputSpec | None:
        return next((spec for spec in self.inputs if spec.name == name), None)

    def order(self) -> list[str]:
        """Job names, each after those it depends on. Raises graphlib.CycleError."""
        return list(self._order)

    def job_types(self) -> set[tuple[str, str]]:
        return {job.job_type for job in self.jobs}


@dataclass(frozen=True)
class RecipeData:
    inputs: Mapping[str, DataValue] = field(default_factory=dict)
    workspace_id: int | None = None


def check_graph(definition: RecipeDefinition) -> list[Problem]:
    """Unknown dependencies, inputs that do not exist or are fed twice, and circles."""
    problems = []
    names = {job.name for job in definition.jobs}
    for job in definition.jobs:
        path = f"jobs[{job.name}]"
        fed: set[str] = set()
        sources = [pair[1] for pair in job.recipe_inputs]
        for dependency in job.dependencies:
            if dependency.name not in names:
                problems.append(Problem(f"{path}.dependencies", f"there is no job called {dependency.name!r}"))
            sources.extend(job_input for _, job_input in dependency.connections)
        for job_input in sources:
            if job_input in fed:
                problems.append(Problem(path, f"the input {job_input!r} is fed twice"))
            fed.add(job_input)
        for recipe_input, _ in job.recipe_inputs:
            if definition.input(recipe_input) is None:
                problems.append(Problem(f"{path}.recipe_inputs", f"the recipe has no input called {recipe_input!r}"))
    if not problems:
        try:
            definition.order()
        except CycleError as error:
            circle = " -> ".join(error.args[1])
            problems.append(Problem("jobs", f"circular dependency: {circle}"))
    return problems


def check_connections(
    definition: RecipeDefinition, interfaces: Mapping[tuple[str, str], JobInterface]
) -> tuple[list[Problem], list[Warning_]]:
    """Whether every job gets what its interface asks for. `interfaces` holds the known job types."""
    problems: list[Problem] = []
    warnings: list[Warning_] = []
    for job in definition.jobs:
        path = f"jobs[{job.name}]"
        interface = interfaces.get(job.job_type)
        if interface is None:
            problems.append(Problem(f"{path}.job_type", f"unknown job type {job.job_type[0]!r} {job.job_type[1]!r}"))
            continue
        sources = _sources(definition, interfaces, job, path, problems)
        for name in sources:
            if interface.input(name) is None:
                problems.append(Problem(path, f"the job type {job.job_type[0]} has no input called {name!r}"))
        for spec in interface.inputs:
            source = sources.get(spec.name)
            if source is not None:
                problems.extend(_check_source(path, spec, source))
                if spec.type != "property" and source.type != "property":
                    warnings.extend(media_type_warnings(f"{job.name}.{spec.name}", spec, source.media_types))
            elif spec.required and spec.name not in sources:
                problems.append(Problem(path, f"nothing feeds the required input {spec.name!r}"))
    return problems, warnings


def unused_inputs(definition: RecipeDefinition) -> list[Warning_]:
    """Inputs of the recipe that no job takes."""
    used = {recipe_input for job in definition.jobs for recipe_input, _ in job.recipe_inputs}
    return [
        Warning_("unused_input", f"No job uses the recipe input {spec.name!r}")
        for spec in definition.inputs
        if spec.name not in used
    ]


def _sources(
    definition: RecipeDefinition,
    interfaces: Mapping[tuple[str, str], JobInterface],
    job: RecipeJobSpec,
    path: str,
    problems: list[Problem],
) -> dict[str, InputSpec | None]:
    """What feeds each input of the job, described as if it were an input; None where the source is unknown."""
    sources: dict[str, InputSpec | None] = {
        job_input: definition.input(recipe_input) for recipe_input, job_input in job.recipe_inputs
    }
    for dependency in job.dependencies:
        parent = definition.places.get(dependency.name)
        interface = interfaces.get(parent.job_type) if parent else None
        for output_name, job_input in dependency.connections:
            output = interface.output(output_name) if interface else None
            if interface is not None and output is None:
                problems.append(
                    Problem(f"{path}.dependencies", f"{dependency.name} has no output called {output_name!r}")
                )
            sources[job_input] = as_input(output) if output else None
    return sources


def as_input(output: OutputSpec) -> InputSpec:
    """An output described as if it were an input: what it delivers is what such an input takes."""
    return InputSpec(output.name, output.type, output.required, (output.media_type,) if output.media_type else ())


def _check_source(path: str, spec: InputSpec, source: InputSpec) -> list[Problem]:
    if (spec.type == "property") != (source.type == "property"):
        return [Problem(path, f"the input {spec.name!r} is a {spec.type} but {source.name!r} is a {source.type}")]
    if spec.type == "file" and source.type == "files":
        return [Problem(path, f"the input {spec.name!r} takes one file but {source.name!r} delivers several")]
    if spec.required and not source.required:
        return [Problem(path, f"the input {spec.name!r} is required but {source.name!r} is optional")]
    return []


def ready_jobs(definition: RecipeDefinition, states: Mapping[str, JobStatus]) -> list[str]:
    """PENDING jobs all of whose dependencies are COMPLETED, in the definition's order."""
    return [
        job.name
        for job in definition.jobs
        if states.get(job.name) is JobStatus.PENDING
        and all(states.get(d.name) is JobStatus.COMPLETED for d in job.dependencies)
    ]


def blocked_jobs(definition: RecipeDefinition, states: Mapping[str, JobStatus]) -> list[str]:
    """PENDING jobs with a FAILED, CANCELED or BLOCKED job somewhere before them."""
    return [name for name, status in _settle(definition, states).items() if _changed(states, name, status, "BLOCKED")]


def unblocked_jobs(definition: RecipeDefinition, states: Mapping[str, JobStatus]) -> list[str]:
    """BLOCKED jobs that nothing blocks any more: they become PENDING."""
    return [name for name, status in _settle(definition, states).items() if _changed(states, name, status, "PENDING")]


def _settle(definition: RecipeDefinition, states: Mapping[str, JobStatus]) -> dict[str, JobStatus]:
    """PENDING or BLOCKED for each job that is one of them, as its predecessors want it."""
    settled = dict(states)
    for name in definition.order():
        if settled.get(name) not in (JobStatus.PENDING, JobStatus.BLOCKED):
            continue
        blocked = any(settled.get(d.name) in BLOCKING_JOB_STATUSES for d in definition.job(name).dependencies)
        settled[name] = JobStatus.BLOCKED if blocked else JobStatus.PENDING
    return settled


def _changed(states: Mapping[str, JobStatus], name: str, status: JobStatus, wanted: str) -> bool:
    return status == wanted and states.get(name) is not status


def job_data(
    definition: RecipeDefinition,
    name: str,
    interface: JobInterface,
    data: RecipeData,
    results: Mapping[str, Mapping[str, Sequence[int]]],
) -> JobData:
    """The data of one job of a recipe: mapped recipe inputs, outputs of its dependencies, the recipe's workspace.

    `results` gives, for each completed job, the ids of the files of each output. An optional output that was not
    produced passes nothing.
    """
    job = definition.job(name)
    inputs = {
        job_input: data.inputs[recipe_input]
        for recipe_input, job_input in job.recipe_inputs
        if recipe_input in data.inputs
    }
    for dependency in job.dependencies:
        for output, job_input in dependency.connections:
            if file_ids := results.get(dependency.name, {}).get(output):
                inputs[job_input] = DataValue(file_ids=tuple(file_ids))
    workspaces = {output.name: data.workspace_id for output in interface.outputs if data.workspace_id is not None}
    return JobData(inputs, workspaces)
