"""What travels between the scheduler and a node: the specification of one execution, and its outcome.

Both are JSON documents inside Mesos messages (TaskInfo.data, TaskStatus.data), so a node needs no database.
Times are ISO 8601 in UTC, sizes bytes, resources cpus and MiB, durations seconds.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SPEC_VERSION = 1
INLINE_LIMIT = 256 * 1024  # bytes, compressed; larger outcomes stay in a file of the sandbox


@dataclass(frozen=True)
class InputFile:
    """A catalogued file that an execution reads."""

    id: int
    workspace_id: int
    file_path: str  # relative to the workspace's root
    file_name: str
    file_size: int = 0
    checksum: str | None = None  # SHA-256, where it is known


@dataclass(frozen=True)
class Input:
    """One input of the job: a property has `value`, file and files have `files`. What was not given is absent."""

    name: str
    type: str  # property, file, files
    value: str | None = None
    files: tuple[InputFile, ...] = ()


@dataclass(frozen=True)
class Output:
    """One output that the interface declares, with the workspace that will hold it (None: the data named none)."""

    name: str
    type: str  # file, files
    required: bool = True
    media_type: str | None = None
    workspace_id: int | None = None


@dataclass(frozen=True)
class WorkspaceAccess:
    """How a node reaches a workspace: the documentation's broker object. Of secrets it says only where they lie."""

    id: int
    name: str
    broker: dict[str, Any]
    is_move_enabled: bool = True


@dataclass(frozen=True)
class IngestItem:
    """One file to move from a Strike's directory into a workspace."""

    ingest_id: int
    mount: str  # the Strike's mount, host:/path
    file_name: str
    workspace_id: int
    file_path: str  # where to store it, relative to the workspace's root
    known_checksums: tuple[str, ...] = ()  # SHA-256 of catalogued files of the same name: one of these is a duplicate
    trace_id: str = ""
    discard_duplicate: bool = False  # leave a duplicate's original to be removed, instead of setting it aside


@dataclass(frozen=True)
class ExecutionSpec:
    """All that a node must know to run one execution."""

    task_id: str
    job_exe_id: int
    job_id: int
    job_type: str
    job_type_version: str
    action: str = "job"  # job: pre, job, post; ingest: move files
    command: str = ""
    command_arguments: str = ""  # as the interface has it, with ${...} placeholders
    docker_image: str | None = None
    docker_privileged: bool = False
    timeout_s: int = 0  # 0: none
    cpus: float = 1.0
    mem: float = 64.0  # MiB
    disk_in: float = 0.0  # MiB
    disk_out: float = 0.0  # MiB
    gpus: float = 0.0
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    workspaces: tuple[WorkspaceAccess, ...] = ()
    output_path: str = ""  # directory for outputs, relative to the workspace's root
    ingests: tuple[IngestItem, ...] = ()
    trace_id: str = ""  # of what caused it
    version: int = SPEC_VERSION

    def to_json(self) -> str:
        return _dump(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> ExecutionSpec:
        """Rebuild a specification; fields that this version does not know are ignored, so that versions may mix."""
        raw = json.loads(text)
        raw["inputs"] = tuple(
            _build(Input, {**i, "files": tuple(_build(InputFile, f) for f in i.get("files", ()))})
            for i in raw.get("inputs", ())
        )
        raw["outputs"] = tuple(_build(Output, o) for o in raw.get("outputs", ()))
        raw["workspaces"] = tuple(_build(WorkspaceAccess, w) for w in raw.get("workspaces", ()))
        raw["ingests"] = tuple(
            _build(IngestItem, {**i, "known_checksums": tuple(i.get("known_checksums", ()))})
            for i in raw.get("ingests", ())
        )
        spec: ExecutionSpec = _build(cls, raw)
        return spec


@dataclass(frozen=True)
class Phase:
    """When a phase (pre, job, post) ran and how it ended; None: it did not get that far."""

    started: str | None = None
    completed: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class StoredFile:
    """An output file that lies in its workspace now."""

    output: str
    workspace_id: int
    file_path: str
    file_name: str
    file_size: int
    media_type: str
    geo_metadata: dict[str, Any] | None = None  # data_started, data_ended, geo_json as the manifest gave them


@dataclass(frozen=True)
class IngestOutcome:
    """What became of one IngestItem: stored, duplicate (nothing stored) or error (with its reason)."""

    ingest_id: int
    result: str  # stored, duplicate, error
    file_size: int | None = None
    checksum: str | None = None  # SHA-256
    media_type: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The end of one execution as its node saw it. `error` names a row of the error catalogue; None: no or unmapped."""

    task_id: str
    job_exe_id: int
    succeeded: bool
    error: str | None = None
    message: str = ""  # one line for people
    command_arguments: str = ""
    pre: Phase = field(default_factory=Phase)
    job: Phase = field(default_factory=Phase)
    post: Phase = field(default_factory=Phase)
    results_manifest: dict[str, Any] | None = None
    files: tuple[StoredFile, ...] = ()
    parse_results: tuple[dict[str, Any], ...] = ()
    ingests: tuple[IngestOutcome, ...] = ()
    stdout: str = ""  # head and tail, at most 1 MiB
    stderr: str = ""
    used: dict[str, Any] = field(default_factory=dict)  # cpu_s; mem_peak, disk, disk_out (MiB); image_digest
    version: int = SPEC_VERSION

    def to_json(self) -> str:
        return _dump(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Outcome:
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Outcome:
        """Rebuild an outcome; fields that this version does not know are ignored, so that versions may mix."""
        raw = dict(document)
        for phase in ("pre", "job", "post"):
            raw[phase] = _build(Phase, raw.get(phase) or {})
        raw["files"] = tuple(_build(StoredFile, f) for f in raw.get("files", ()))
        raw["parse_results"] = tuple(raw.get("parse_results", ()))
        raw["ingests"] = tuple(_build(IngestOutcome, i) for i in raw.get("ingests", ()))
        outcome: Outcome = _build(cls, raw)
        return outcome


@dataclass(frozen=True)
class StatusData:
    """What TaskStatus.data carries: where the execution's directory is, and at the end its outcome.

    `outcome` is inline when it fits INLINE_LIMIT; else `outcome_file` is the absolute path of a file on the node that
    holds Outcome.to_json(), to be read through the agent's files API.
    """

    directory: str | None = None
    outcome: Outcome | None = None
    outcome_file: str | None = None

    def encode(self) -> str:
        """Base64 of zlib of JSON, as Mesos' JSON wants bytes."""
        raw = {
            "directory": self.directory,
            "outcome": self.outcome,
            "outcome_file": self.outcome_file,
        }
        return base64.b64encode(zlib.compress(_dump(raw).encode())).decode()

    @classmethod
    def decode(cls, data: str) -> StatusData:
        """Inverse of encode. Raises ValueError when the data is not ours."""
        try:
            raw = json.loads(zlib.decompress(base64.b64decode(data)))
            outcome = Outcome.from_dict(raw["outcome"]) if raw.get("outcome") else None
            return cls(raw.get("directory"), outcome, raw.get("outcome_file"))
        except (zlib.error, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not status data of a Scale executor: {error}") from error


def _build(cls: type[Any], raw: dict[str, Any]) -> Any:
    return cls(**{name: raw[name] for name in cls.__dataclass_fields__ if name in raw})


def _dump(value: Any) -> str:
    """Compact JSON; dataclasses become objects. asdict() would copy all of it, for every update of a node."""
    return json.dumps(value, separators=(",", ":"), default=vars)
