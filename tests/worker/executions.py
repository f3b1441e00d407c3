"""Specifications of executions for tests, and what is needed to run them on this machine."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scale_core.domain.execution import ExecutionSpec, Input, InputFile, Outcome, Output, WorkspaceAccess
from scale_core.settings import Settings
from scale_worker.executor.cancel import Cancellation, Watchdog
from scale_worker.executor.containers import Engine
from scale_worker.executor.execution import Node, run_execution
from scale_worker.executor.gpus import Gpus

WORKSPACE = 1


@dataclass
class Bench:
    """A node with one workspace and one directory for executions."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    gpus: Gpus = field(default_factory=lambda: Gpus(()))

    def __post_init__(self) -> None:
        self.workspace = self.root / "workspace"
        self.workspace.mkdir(exist_ok=True)
        self.settings = Settings.from_environ({"SCALE_HOME": str(self.root), **self.environ})
        self.node = Node(self.settings, Engine(self.settings), {"scale.framework": "tests"}, gpus=self.gpus)
        self.watchdog = Watchdog()
        self.count = 0

    @property
    def directory(self) -> Path:
        return self.root / f"execution-{self.count}"

    def cancellation(self) -> Cancellation:
        return Cancellation(self.watchdog)

    def run(self, spec: ExecutionSpec, cancel: Cancellation | None = None) -> Outcome:
        self.count += 1
        return run_execution(spec, self.directory, self.node, cancel or self.cancellation())

    def put(self, file_path: str, content: bytes = b"content") -> InputFile:
        """A file in the workspace."""
        path = self.workspace / file_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return InputFile(1, WORKSPACE, file_path, path.name, len(content))

    def stored(self) -> dict[str, bytes]:
        files = (path for path in self.workspace.rglob("*") if path.is_file())
        return {str(path.relative_to(self.workspace)): path.read_bytes() for path in files}

    def spec(self, arguments: str = "", **more: Any) -> ExecutionSpec:
        access = WorkspaceAccess(WORKSPACE, "raw", {"type": "host", "host_path": str(self.workspace)})
        values: dict[str, Any] = {
            "task_id": "scale.7.abc",
            "job_exe_id": 7,
            "job_id": 5,
            "job_type": "test",
            "job_type_version": "1.0",
            "command": "sh -c",
            "command_arguments": arguments,
            "workspaces": (access,),
            "output_path": "out/7",
        }
        return ExecutionSpec(**{**values, **more})


def prop(name: str, value: str) -> Input:
    return Input(name, "property", value=value)


def file_output(name: str = "result", **more: Any) -> Output:
    return Output(name, more.pop("type", "file"), workspace_id=more.pop("workspace_id", WORKSPACE), **more)
