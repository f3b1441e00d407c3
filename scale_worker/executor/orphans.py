"""Nothing of an executor outlives it for long: a guardian ends its jobs when it dies, the next executor looks again."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scale_worker.executor import guardian
from scale_worker.executor.containers import Engine
from scale_worker.executor.failures import Failed

RECORD = "process"
OWNER_LABEL = "scale.owner"

log = logging.getLogger(__name__)


def owner() -> str:
    """Names this very process: host, number, start time."""
    return f"{os.uname().nodename}:{os.getpid()}:{guardian.start_time(os.getpid())}"


def is_alive(name: str) -> bool | None:
    """Whether the process that `owner` named lives; None when it is another machine's or nobody's."""
    host, pid, start = ["", "", *name.rsplit(":", 2)][-3:]
    if host != os.uname().nodename or not pid.isdigit():
        return None
    return guardian.start_time(int(pid)) == start


class Guard:
    """Records the process groups of executions, with the guardian and in their directories."""

    def __init__(self, label_value: str, history: Path | None = None) -> None:
        self._groups: dict[Path, int] = {}
        self._guardian = subprocess.Popen(
            [sys.executable, "-P", guardian.__file__, f"{OWNER_LABEL}={label_value}", str(history or "")],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._guardian.stdin is not None
        self._pipe = self._guardian.stdin.fileno()

    def started(self, directory: Path, pid: int) -> None:
        start = guardian.start_time(pid)
        self._groups[directory] = pid
        (directory / RECORD).write_text(f"{pid} {start}")
        self._tell(f"+{pid} {start}\n")

    def ended(self, directory: Path) -> None:
        pid = self._groups.pop(directory, None)
        if pid is not None:
            (directory / RECORD).unlink(missing_ok=True)
            self._tell(f"-{pid}\n")

    def _tell(self, line: str) -> None:
        try:
            os.write(self._pipe, line.encode())  # shorter than PIPE_BUF, so lines of threads do not mix
        except OSError as error:
            log.warning("the guardian is gone: %s", error)


def _runs(sandbox: Path) -> list[Path]:
    if sandbox.parent.name != "runs":
        return [sandbox]
    return [run for run in sandbox.parent.iterdir() if not run.is_symlink()]


def kill_stale_processes(sandbox: Path) -> int:
    """Kill process groups that earlier runs of this executor recorded; returns how many.

    Mesos keeps the sandboxes of all runs side by side: .../executors/<id>/runs/<container id>.
    """
    killed = 0
    for record in (path for run in _runs(sandbox) for path in run.glob(f"executions/*/{RECORD}")):
        try:
            pid, _, start = record.read_text().partition(" ")
            killed += guardian.kill_group(int(pid), start)
            record.unlink()
        except (OSError, ValueError) as error:
            log.warning("%s: %s", record, error)
    return killed


def remove_stale_files(sandbox: Path) -> None:
    """Remove inputs and outputs that earlier runs of this executor left; their logs stay, as the agent serves them."""
    for path in (path for run in _runs(sandbox) for path in run.glob("executions/*/*put")):
        if path.name in ("input", "output"):
            shutil.rmtree(path, ignore_errors=True)


def remove_stale_containers(engine: Engine, labels: dict[str, str]) -> list[str]:
    """Remove containers of this framework that no living executor owns; returns their names. None without an engine.

    Whose executor died on this machine is known by its owner label; on another machine (an engine that is not local)
    only our own executor id and node tell.
    """

    def is_stale(found: dict[str, str]) -> bool:
        if found.get(OWNER_LABEL) == labels[OWNER_LABEL]:
            return False
        alive = is_alive(found.get(OWNER_LABEL, ""))
        same = all(found.get(name) == labels[name] for name in ("scale.executor", "scale.node"))
        return alive is False or (alive is None and same)

    try:
        return engine.remove_orphans({"scale.framework": labels["scale.framework"]}, is_stale)
    except Failed as error:
        log.info("no containers to clean up: %s", error)
        return []
