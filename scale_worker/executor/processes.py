"""Job types without an image: the command as a process group of its own."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scale_worker.executor.cancel import Cancellation
from scale_worker.executor.cgroups import Lane
from scale_worker.executor.cgroups2 import Lane2
from scale_worker.executor.failures import TASK_LAUNCH, Failed

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True)
class Ended:
    """How the job phase ended: exit code (128 + n for signal n), CPU seconds and peak memory (MiB) where known."""

    exit_code: int
    cpu_s: float | None = None
    mem_peak: float | None = None
    note: str = ""
    is_out_of_memory: bool = False
    image_digest: str | None = None


def run(
    argv: Sequence[str],
    directory: Path,
    variables: dict[str, str],
    stdout: Path,
    stderr: Path,
    cancel: Cancellation,
    started: Callable[[int], None] = lambda pid: None,
    lane: Lane | Lane2 | None = None,
    pids: int = 0,
) -> Ended:
    """Run a command in `directory` until it ends or `cancel` ends it; nothing of its process group stays behind.

    `started` is told the process group's id. In a `lane` it has limits already; else rlimits must do. Raises Failed
    when the command cannot be started.
    """
    process = _spawn(argv, directory, variables, stdout, stderr, lane.entry if lane is not None else ())
    started(process.pid)
    if lane is None:
        _limit(process.pid, pids)
    group = _Group(process.pid)
    cancel.attach(group.stop)
    try:
        # The zombie is left in place: while it is there, its number cannot belong to another process group.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        cancel.detach()
        status, usage = group.reap()
        process.returncode = os.waitstatus_to_exitcode(status)
        if lane is not None:
            lane.end()
    code = process.returncode
    return Ended(
        exit_code=code if code >= 0 else 128 - code,
        cpu_s=_known(lane.cpu_s if lane else None, usage.ru_utime + usage.ru_stime),
        mem_peak=_known(lane.mem_peak if lane else None, usage.ru_maxrss / 1024),
        is_out_of_memory=bool(code and lane and lane.was_out_of_memory),
        note=f"killed by signal {_signal_name(-code)}" if code < 0 else "",
    )


def _known(of_group: float | None, of_process: float) -> float:
    """What a control group counted; else what the command itself used, with the children that it waited for."""
    return round(of_process, 4) if of_group is None else of_group


def _limit(pid: int, pids: int) -> None:
    with suppress(OSError, ValueError):
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        if pids:
            resource.prlimit(pid, resource.RLIMIT_NPROC, (pids, pids))  # counts all of the user's processes


class _Group:
    """A process group that is only signalled while its leader has not been reaped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._lock = threading.Lock()
        self._reaped = False

    def stop(self, force: bool) -> None:
        with self._lock:
            if not self._reaped:
                _signal_group(self._pid, signal.SIGKILL if force else signal.SIGTERM)

    def reap(self) -> tuple[int, os.struct_rusage]:  # type: ignore[name-defined]
        with self._lock:
            _signal_group(self._pid, signal.SIGKILL)
            _, status, usage = os.wait4(self._pid, 0)
            self._reaped = True
            return status, usage


def _spawn(
    argv: Sequence[str],
    directory: Path,
    variables: dict[str, str],
    stdout: Path,
    stderr: Path,
    entry: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    if not argv:
        raise Failed(TASK_LAUNCH, "the job type has neither a command nor a Docker image")
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environment |= {"HOME": str(directory), **variables}
    # No preexec_fn: it would cost the vfork that makes spawning cheap, and is unsafe among threads.
    with open(stdout, "ab", buffering=0) as out, open(stderr, "ab", buffering=0) as err:
        try:
            if entry:
                _require_program(argv[0], directory, environment.get("PATH", os.defpath))
            return subprocess.Popen(
                [*entry, *argv],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Failed(TASK_LAUNCH, f"the command {argv[0]!r} does not exist on the node") from None
        except PermissionError:
            raise Failed(TASK_LAUNCH, f"the command {argv[0]!r} may not be executed on the node") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Failed(TASK_LAUNCH, f"the command {argv[0]!r} cannot be started: {reason}") from None


def _require_program(name: str, directory: Path, path: str) -> None:
    """Raise what starting it at once would: the shell of a lane's entry would only exit with 126 or 127."""
    if "/" in name:
        found: list[Path] = [directory / name]
    else:
        found = [directory / place / name for place in path.split(os.pathsep)]
    files = [file for file in found if file.exists()]
    if not files:
        raise FileNotFoundError(name)
    if not any(file.is_file() and os.access(file, os.X_OK) for file in files):
        raise PermissionError(name)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # gone, or only zombies and processes of another user are left


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
