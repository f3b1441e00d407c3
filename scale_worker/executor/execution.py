"""One execution from its specification to its outcome: pre, job, post. Nothing here knows of Mesos."""

from __future__ import annotations

import logging
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scale_core import timestamps, tracing
from scale_core.domain import command, environment
from scale_core.domain.execution import ExecutionSpec, IngestOutcome, Outcome, Phase, StoredFile
from scale_core.errors import Invalid
from scale_core.settings import Settings
from scale_worker.executor import containers, failures, ingest, manifest, processes, staging
from scale_worker.executor.cancel import DISK, TIMEOUT, Cancellation
from scale_worker.executor.cgroups import Lanes
from scale_worker.executor.containers import ContainerJob, Engine
from scale_worker.executor.failures import Failed, Killed
from scale_worker.executor.gpus import Gpus
from scale_worker.executor.processes import Ended
from scale_worker.executor.staging import Places, Staged, Workspaces
from scale_worker.executor.watch import Watch, Watched, cap_log, disk_usage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Node:
    """What the executions on one node share. `labels` mark every container; `started` is told each process group."""

    settings: Settings
    engine: Engine
    labels: dict[str, str] = field(default_factory=dict)
    started: Callable[[Path, int], None] = lambda directory, pid: None
    ended: Callable[[Path], None] = lambda directory: None
    lanes: Lanes = field(default_factory=Lanes)
    watch: Watch = field(default_factory=Watch)
    gpus: Gpus = field(default_factory=lambda: Gpus(()))


@dataclass
class _Progress:
    """What is known of an execution so far, kept whatever happens next."""

    argv: list[str] = field(default_factory=list)
    arguments: str = ""
    phases: dict[str, Phase] = field(default_factory=dict)
    error: str | None = None
    message: str = ""
    manifest: dict[str, Any] | None = None
    files: tuple[StoredFile, ...] = ()
    parse_results: tuple[dict[str, Any], ...] = ()
    ingests: tuple[IngestOutcome, ...] = ()
    used: dict[str, Any] = field(default_factory=dict)
    succeeded: bool = False
    clock: timestamps.Clock = field(default_factory=lambda: timestamps.Clock(timestamps.utcnow()))

    def now(self) -> str:
        return timestamps.isoformat(self.clock.now())


def run_execution(spec: ExecutionSpec, directory: Path, node: Node, cancel: Cancellation) -> Outcome:
    """Run one execution in `directory`, which then holds its stdout and stderr. Never raises.

    Whether it was killed is in cancel.reason; its outcome then is one that did not succeed.
    """
    places = Places(directory, in_container=bool(spec.docker_image))
    progress = _Progress()
    try:
        places.create()
        if spec.action == "job":
            _run_job(spec, places, node, cancel, progress)
        elif spec.action == "ingest":
            _run_ingest(spec, node, cancel, progress)
        else:
            raise Failed(failures.TASK_LAUNCH, f"this executor knows no action {spec.action!r}")
    except (Failed, Killed) as failure:
        progress.error = failure.error if isinstance(failure, Failed) else None
        progress.message = str(failure)
    except OSError as error:
        progress.error, progress.message = failures.FILESYSTEM_IO, f"the node's file system: {error}"
        log.warning("execution %s failed: %s", spec.job_exe_id, error)
    except Exception as error:
        progress.error, progress.message = failures.TASK_LAUNCH, f"the executor failed: {error!r}"
        log.exception("execution %s failed in the executor itself", spec.job_exe_id)
    return _outcome(spec, places, progress)


def _run_job(spec: ExecutionSpec, places: Places, node: Node, cancel: Cancellation, progress: _Progress) -> None:
    workspaces = Workspaces(spec.workspaces, node.settings, cancel)
    with _Phase(progress, "pre"):
        cancel.check()
        staged = staging.stage_inputs(spec, places, workspaces)
        program, arguments = _render(spec, staged.values)
        progress.argv = [*program, *arguments]
        progress.arguments = shlex.join(arguments)
    with _Phase(progress, "job") as phase:
        cancel.check()
        with node.gpus.lent(math.ceil(spec.gpus), node.engine.gpus_in_use if places.in_container else tuple) as gpus:
            ended = _run_with_timeout(spec, places, node, staged, (program, arguments), gpus, cancel)
        phase.exit_code = ended.exit_code
        disk_used = round(disk_usage(places.output), 3)
        facts = (
            ("cpu_s", ended.cpu_s),
            ("mem_peak", ended.mem_peak),
            ("image_digest", ended.image_digest),
            ("gpus", [*gpus] or None),
        )
        progress.used = {name: value for name, value in facts if value is not None} | {"disk": disk_used}
        cancel.check()
    if cancel.reason == TIMEOUT:
        raise Failed(failures.TIMEOUT, f"did not end within its timeout of {spec.timeout_s} s and was stopped")
    if cancel.reason == DISK or 0 < spec.disk_out < disk_used:
        allowed = f"the {spec.disk_out:g} MiB of disk that its job type asks for"
        raise Failed(failures.OUT_OF_DISK, f"wrote {disk_used:g} MiB of output, more than {allowed}")
    if ended.is_out_of_memory:
        peak = "" if ended.mem_peak is None else f" (peak {ended.mem_peak:g} MiB)"
        limit = max(spec.mem, containers.MIN_MEM) if spec.docker_image else spec.mem
        raise Failed(failures.OUT_OF_MEMORY, f"killed because it used more than its {limit:g} MiB of memory{peak}")
    if ended.exit_code:
        progress.message = f"exited with status {ended.exit_code}" + (f": {ended.note}" if ended.note else "")
        return
    with _Phase(progress, "post"):
        _collect(spec, places, workspaces, cancel, progress)
    progress.succeeded = True


def _render(spec: ExecutionSpec, values: dict[str, str]) -> tuple[list[str], list[str]]:
    """The command's words and the arguments. What has no value was optional: required inputs were checked before."""
    try:
        program = command.render(spec.command, "", {})
        optional = command.placeholders(spec.command_arguments)
        return program, command.render("", spec.command_arguments, values, optional)
    except Invalid as error:
        raise Failed(failures.TASK_LAUNCH, f"the command cannot be built: {error}") from None


def _run_with_timeout(
    spec: ExecutionSpec,
    places: Places,
    node: Node,
    staged: Staged,
    argv: tuple[list[str], list[str]],
    gpus: Sequence[str],
    cancel: Cancellation,
) -> Ended:
    alarm = cancel.request_after(spec.timeout_s, TIMEOUT) if spec.timeout_s > 0 else None
    watched = Watched(
        output=places.output,
        logs=(places.stdout, places.stderr) if not spec.docker_image else (),
        disk=spec.disk_out,
        log_limit=int(node.settings.job_log_mib * 1024 * 1024) or sys.maxsize,
        exceeded=lambda used: cancel.request(DISK),
    )
    node.watch.add(watched)
    try:
        return _run(spec, places, node, staged, argv, gpus, cancel)
    finally:
        node.watch.remove(watched)
        for path in watched.logs:
            cap_log(path, watched.log_limit)
        if alarm is not None:
            alarm.cancel()


def _run(
    spec: ExecutionSpec,
    places: Places,
    node: Node,
    staged: Staged,
    argv: tuple[list[str], list[str]],
    gpus: Sequence[str],
    cancel: Cancellation,
) -> Ended:
    program, arguments = argv
    inputs = places.seen_input if places.input.exists() else None
    trace = tracing.header(spec.trace_id, spec.job_exe_id) if spec.trace_id else ""
    variables = environment.variables(spec.job_id, spec.job_exe_id, places.seen_output, inputs, trace)
    variables |= node.gpus.variables(gpus, places.in_container)
    if not spec.docker_image:
        lane = node.lanes.lane()
        if lane is not None:
            lane.begin(spec.mem, node.settings.job_pids, spec.cpus)
        try:
            return processes.run(
                [*program, *arguments],
                places.output,
                variables,
                places.stdout,
                places.stderr,
                cancel,
                lambda pid: node.started(places.directory, pid),
                lane,
                node.settings.job_pids,
            )
        finally:
            node.ended(places.directory)
    job = ContainerJob(
        name=containers.container_name(spec.task_id),
        image=spec.docker_image,
        command=program,
        arguments=arguments,
        variables=variables,
        labels={**node.labels, "scale.job_exe": str(spec.job_exe_id)},
        binds=staged.binds,
        cpus=spec.cpus,
        mem=spec.mem,
        privileged=spec.docker_privileged,
        stdout=places.stdout,
        stderr=places.stderr,
        gpus=gpus,
    )
    return node.engine.run(job, cancel)


def _collect(
    spec: ExecutionSpec, places: Places, workspaces: Workspaces, cancel: Cancellation, progress: _Progress
) -> None:
    results = manifest.collect(spec, places.output, places.seen_output, (places.stdout, places.stderr))
    progress.manifest = results.manifest
    for name in results.ignored:
        places.note(f"the output {name!r} is not in the job type's interface and was ignored")
    files = staging.store_outputs(spec, results.products, workspaces, cancel)
    progress.files = tuple(files)
    progress.parse_results = tuple(results.parse_results)
    if files:
        progress.used["disk_out"] = round(sum(file.file_size for file in files) / 1024**2, 6)


def _run_ingest(spec: ExecutionSpec, node: Node, cancel: Cancellation, progress: _Progress) -> None:
    workspaces = Workspaces(spec.workspaces, node.settings, cancel)
    with _Phase(progress, "job") as phase:
        outcomes: list[IngestOutcome] = []
        for item in spec.ingests:
            cancel.check()
            with tracing.continued(item.trace_id):
                log.info("ingest %d: %r", item.ingest_id, item.file_name)
            outcomes.append(ingest.ingest(item, workspaces, node.settings.mounts))
            progress.ingests = tuple(outcomes)
        errors = [outcome.error or "" for outcome in outcomes if outcome.result == ingest.ERROR]
        phase.exit_code = 1 if errors else 0
    progress.succeeded = not errors
    if errors:
        workspace_ids = [item.workspace_id for item in spec.ingests[:1]]
        progress.error = workspaces.error(workspace_ids[0] if workspace_ids else None)
        progress.message = errors[0] if len(errors) == 1 else f"{len(errors)} files were not ingested: {errors[0]}"


class _Phase:
    """Records when a phase began and ended, and its exit code: 0 unless set, 1 when it raised before it had one."""

    def __init__(self, progress: _Progress, name: str) -> None:
        self._progress = progress
        self._name = name
        self.exit_code: int | None = None

    def __enter__(self) -> _Phase:
        self._progress.phases[self._name] = Phase(started=self._progress.now())
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            code = self.exit_code or 0
        elif self._name == "job":
            code = self.exit_code  # type: ignore[assignment] # None: it never ran
        else:
            code = 1
        phases = self._progress.phases
        phases[self._name] = replace(phases[self._name], completed=self._progress.now(), exit_code=code)


def _outcome(spec: ExecutionSpec, places: Places, progress: _Progress) -> Outcome:
    try:
        places.remove_files()
    except OSError as error:
        log.warning("files of execution %s stay behind: %s", spec.job_exe_id, error)
    phases = progress.phases
    return Outcome(
        task_id=spec.task_id,
        job_exe_id=spec.job_exe_id,
        succeeded=progress.succeeded,
        error=progress.error,
        message=" ".join(progress.message.replace("\0", "\ufffd").split()),
        command_arguments=progress.arguments,
        pre=phases.get("pre", Phase()),
        job=phases.get("job", Phase()),
        post=phases.get("post", Phase()),
        results_manifest=progress.manifest,
        files=progress.files if progress.succeeded else (),
        parse_results=progress.parse_results if progress.succeeded else (),
        ingests=progress.ingests,
        stdout=staging.head_and_tail(places.stdout),
        stderr=staging.head_and_tail(places.stderr),
        used=progress.used,
    )
