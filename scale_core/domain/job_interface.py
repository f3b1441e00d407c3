"""A job type's inputs, outputs and command, and the data that a job runs on.

Job Interface Specification 1.0 and Job Data Specification 1.0. Everything here is a value; looking up files and
workspaces is the services' work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scale_core.errors import Problem, Warning_

NAME = re.compile(r"^[a-zA-Z0-9\-_ ]{1,255}$")
OUTPUT_DIR = "job_output_dir"
UNKNOWN_MEDIA_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class InputSpec:
    """A declared input; `type` is property, file or files. No media types: every type is accepted."""

    name: str
    type: str
    required: bool = True
    media_types: tuple[str, ...] = ()

    def accepts(self, media_type: str) -> bool:
        return not self.media_types or media_type in self.media_types


@dataclass(frozen=True)
class OutputSpec:
    name: str
    type: str
    required: bool = True
    media_type: str | None = None


@dataclass(frozen=True)
class JobInterface:
    command: str
    command_arguments: str
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()

    def input(self, name: str) -> InputSpec | None:
        return next((spec for spec in self.inputs if spec.name == name), None)

    def output(self, name: str) -> OutputSpec | None:
        return next((spec for spec in self.outputs if spec.name == name), None)


@dataclass(frozen=True)
class FileFacts:
    """What must be known of a file to pass it to an input."""

    id: int
    media_type: str
    is_deleted: bool
    file_size: int
    data_type: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DataValue:
    """What one input is given: a property's text, or the ids of files (one for a `file` input)."""

    value: str | None = None
    file_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class JobData:
    inputs: Mapping[str, DataValue] = field(default_factory=dict)
    workspaces: Mapping[str, int] = field(default_factory=dict)  # output name -> workspace id

    def file_ids(self) -> list[int]:
        return [file_id for value in self.inputs.values() for file_id in value.file_ids]

    def to_document(self, interface: JobInterface) -> dict[str, Any]:
        """The job data document, each value in the form that its input's type wants."""
        return {
            "version": "1.0",
            "input_data": input_document(self.inputs, interface.inputs),
            "output_data": [{"name": name, "workspace_id": id_} for name, id_ in self.workspaces.items()],
        }


def input_document(values: Mapping[str, DataValue], specs: Sequence[InputSpec]) -> list[dict[str, Any]]:
    """The input_data list of a job or recipe data document."""
    types = {spec.name: spec.type for spec in specs}
    entries = []
    for name, value in values.items():
        entry: dict[str, Any] = {"name": name}
        if types.get(name) == "property":
            entry["value"] = value.value
        elif types.get(name) == "file":
            entry["file_id"] = value.file_ids[0]
        else:
            entry["file_ids"] = list(value.file_ids)
        entries.append(entry)
    return entries


def check_inputs(
    specs: Sequence[InputSpec], values: Mapping[str, DataValue], files: Mapping[int, FileFacts]
) -> list[Problem]:
    """Everything wrong with the values that are to be passed to these inputs: each problem names input and reason."""
    problems = []
    known = {spec.name for spec in specs}
    for name in values:
        if name not in known:
            problems.append(Problem("input_data", f"there is no input called {name!r}"))
    for spec in specs:
        path = f"input_data[{spec.name}]"
        value = values.get(spec.name)
        if value is None:
            if spec.required:
                problems.append(Problem(path, "this input is required and was not provided"))
        elif spec.type == "property":
            if value.value is None:
                problems.append(Problem(path, "a property needs a value, a string"))
        elif value.value is not None:
            problems.append(Problem(path, f"this input is of type {spec.type}; give file_id or file_ids, not value"))
        elif spec.type == "file" and len(value.file_ids) != 1:
            problems.append(Problem(path, "this input takes exactly one file; give file_id"))
        elif spec.type == "files" and not value.file_ids:
            problems.append(Problem(path, "this input needs at least one file in file_ids"))
        else:
            problems.extend(_check_files(path, spec, value.file_ids, files))
    return problems


def _check_files(path: str, spec: InputSpec, file_ids: Sequence[int], files: Mapping[int, FileFacts]) -> list[Problem]:
    problems = []
    for file_id in file_ids:
        facts = files.get(file_id)
        if facts is None:
            problems.append(Problem(path, f"file {file_id} does not exist"))
        elif facts.is_deleted:
            problems.append(Problem(path, f"file {file_id} has been deleted"))
        elif not spec.accepts(facts.media_type):
            problems.append(
                Problem(
                    path,
                    f"file {file_id} is {facts.media_type}; this input takes only {', '.join(spec.media_types)}",
                )
            )
    return problems


def check_outputs(interface: JobInterface, workspaces: Mapping[str, int], usable: Mapping[int, bool]) -> list[Problem]:
    """Every declared output needs an existing, active workspace (`usable`: id -> is it active)."""
    problems = [
        Problem("output_data", f"there is no output called {name!r}")
        for name in workspaces
        if interface.output(name) is None
    ]
    for spec in interface.outputs:
        path = f"output_data[{spec.name}]"
        if spec.name not in workspaces:
            problems.append(Problem(path, "this output needs a workspace_id to be stored in"))
        elif workspaces[spec.name] not in usable:
            problems.append(Problem(path, f"workspace {workspaces[spec.name]} does not exist"))
        elif not usable[workspaces[spec.name]]:
            problems.append(Problem(path, f"workspace {workspaces[spec.name]} is archived"))
    return problems


def media_type_warnings(where: str, spec: InputSpec, offered: Sequence[str]) -> list[Warning_]:
    """Warnings (id media_type) for media types that a source may deliver and the input does not take."""
    return [
        Warning_("media_type", f"Invalid media type for data input: {where} -> {media_type}")
        for media_type in offered or (UNKNOWN_MEDIA_TYPE,)
        if not spec.accepts(media_type)
    ]


def disk_required(const_mib: float, multiplier: float, file_sizes: Sequence[int]) -> tuple[float, float]:
    """(disk_in, disk_out) in MiB: inputs rounded up; outputs a constant plus a multiple of the inputs, rounded up."""
    disk_in = float(-(-sum(file_sizes) // (1024 * 1024)))
    disk_out = float(-(-(multiplier * disk_in + const_mib) // 1))
    return disk_in, disk_out
