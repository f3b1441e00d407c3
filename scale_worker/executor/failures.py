"""Why an execution did not succeed."""

from __future__ import annotations

# Rows of the error catalogue that a node assigns; everything else is mapped from exit codes by the scheduler.
TASK_LAUNCH = "task-launch"
DOCKER_TASK_LAUNCH = "docker-task-launch"
IMAGE_PULL = "docker-image-pull"
GPU = "gpu-unavailable"
TIMEOUT = "timeout"
OUT_OF_MEMORY = "out-of-memory"
OUT_OF_DISK = "out-of-disk"
MISSING_FILE = "missing-file"
MISSING_WORKSPACE = "missing-workspace"
FILESYSTEM_IO = "filesystem-io"
NFS = "nfs"
REMOTE_STORAGE = "remote-storage"
INVALID_MANIFEST = "invalid-results-manifest"
MISSING_OUTPUT = "missing-required-output"


class Failed(Exception):
    """A phase ended without success: `error` names a row of the error catalogue, the message is for people."""

    def __init__(self, error: str, message: str) -> None:
        self.error = error
        super().__init__(message)


class Killed(Exception):
    """The framework asked for the end of this execution."""
