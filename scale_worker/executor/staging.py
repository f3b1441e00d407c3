"""Files of one execution: its directory, its inputs made available, its outputs stored, its logs read."""

from __future__ import annotations

import os
import re
import shutil
import stat
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeVar

from scale_core import history
from scale_core.brokers import Broker, LocalBroker, broker_for
from scale_core.domain import environment, media_type
from scale_core.domain.execution import ExecutionSpec, Input, InputFile, StoredFile, WorkspaceAccess
from scale_core.errors import BrokerError, FileMissing
from scale_core.settings import Settings
from scale_worker.executor import containers
from scale_worker.executor.cancel import Cancellation
from scale_worker.executor.containers import Bind
from scale_worker.executor.failures import (
    FILESYSTEM_IO,
    MISSING_FILE,
    MISSING_WORKSPACE,
    NFS,
    REMOTE_STORAGE,
    Failed,
)
from scale_worker.executor.manifest import Product

Item = TypeVar("Item")
Result = TypeVar("Result")

LOG_LIMIT = 1024 * 1024  # bytes of each stream that travel with an outcome
_OUTPUT_MODE = 0o777  # the user of a container must be able to write here
_MAX_FILE_BINDS = 16
_MANY = 16  # files that are worth threads
_LANES = 4
_ERRORS = {"nfs": NFS, "s3": REMOTE_STORAGE, "ftp": REMOTE_STORAGE}
_UNSAFE = re.compile(r"[^\w.\-]")


@dataclass(frozen=True)
class Places:
    """The directory of one execution on the node, and where the job sees its parts."""

    directory: Path
    in_container: bool = False

    @cached_property
    def input(self) -> Path:
        return self.directory / "input"

    @cached_property
    def output(self) -> Path:
        return self.directory / "output"

    @cached_property
    def stdout(self) -> Path:
        return self.directory / "stdout"

    @cached_property
    def stderr(self) -> Path:
        return self.directory / "stderr"

    @property
    def seen_input(self) -> str:
        return environment.INPUT_DIRECTORY if self.in_container else str(self.input)

    @property
    def seen_output(self) -> str:
        return environment.OUTPUT_DIRECTORY if self.in_container else str(self.output)

    def create(self) -> None:
        """Make the directories and empty logs."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.output.mkdir(exist_ok=True)
        if self.in_container:
            self.output.chmod(_OUTPUT_MODE)
        for path in (self.stdout, self.stderr):
            path.touch()

    def remove_files(self) -> None:
        """Remove inputs and outputs; the logs stay for the agent's files API."""
        for path in (self.input, self.output):
            try:
                path.rmdir()  # nearly always enough, and much cheaper
            except FileNotFoundError:
                continue
            except OSError:
                shutil.rmtree(path, ignore_errors=True)

    def note(self, text: str) -> None:
        """Add a line of ours to the execution's stderr."""
        with open(self.stderr, "a", encoding="utf-8", errors="replace") as file:
            file.write(f"[scale] {text}\n")


@dataclass(frozen=True)
class _Fetch:
    """A file of a remote workspace, and where it is to lie on the node."""

    file: InputFile
    input_name: str
    target: Path


@dataclass
class Staged:
    """Inputs that are ready: the value of each placeholder, and what a container must see."""

    values: dict[str, str]
    binds: list[Bind] = field(default_factory=list)
    fetches: list[_Fetch] = field(default_factory=list)


class Workspaces:
    """The brokers of one execution's workspaces. Copies from and to them end when the execution is killed."""

    def __init__(self, given: Iterable[WorkspaceAccess], settings: Settings, cancel: Cancellation) -> None:
        self._access = {access.id: access for access in given}
        self._settings = settings
        self.cancel = cancel
        self._brokers: dict[int, Broker] = {}

    def broker(self, workspace_id: int | None, purpose: str) -> Broker:
        """Raises Failed when the execution was given no such workspace or it cannot be reached from here."""
        access = self._access.get(workspace_id) if workspace_id is not None else None
        if access is None or workspace_id is None:
            raise Failed(MISSING_WORKSPACE, f"no workspace was given for {purpose}")
        if workspace_id not in self._brokers:
            try:
                self._brokers[workspace_id] = broker_for(access.broker, self._settings)
            except BrokerError as error:
                raise Failed(self.error(workspace_id), f"workspace {access.name!r} for {purpose}: {error}") from error
        return self._brokers[workspace_id]

    def again(self) -> Workspaces:
        """The same with brokers of its own: one broker is for one thread."""
        return Workspaces(tuple(self._access.values()), self._settings, self.cancel)

    def name(self, workspace_id: int) -> str:
        return self._access[workspace_id].name

    def error(self, workspace_id: int | None) -> str:
        """The catalogue's name for trouble with this workspace."""
        access = self._access.get(workspace_id) if workspace_id is not None else None
        return _ERRORS.get(str(access.broker.get("type")), FILESYSTEM_IO) if access is not None else FILESYSTEM_IO


def stage_inputs(spec: ExecutionSpec, places: Places, workspaces: Workspaces) -> Staged:
    """Make every input file available, as links or bind mounts; those of remote workspaces are fetched. Raises Failed,
    Killed."""
    staged = Staged({"job_output_dir": places.seen_output})
    file_inputs = [given for given in spec.inputs if given.type != "property"]
    if file_inputs:
        places.input.mkdir(exist_ok=True)
    bind_files = sum(len(given.files) for given in file_inputs) <= _MAX_FILE_BINDS
    for given in spec.inputs:
        if given.type == "property":
            staged.values[given.name] = given.value or ""
        else:
            staged.values[given.name] = _stage_files(given, places, workspaces, staged, bind_files)
    _in_lanes(staged.fetches, _fetch, workspaces)
    if places.in_container:
        if file_inputs:
            staged.binds.insert(0, Bind(str(places.input), environment.INPUT_DIRECTORY))
        staged.binds.append(Bind(str(places.output), environment.OUTPUT_DIRECTORY, read_only=False))
    return staged


def _stage_files(given: Input, places: Places, workspaces: Workspaces, staged: Staged, bind_files: bool) -> str:
    """Fill input/<name>/; returns what the input's placeholder becomes: the file's path or the directory's."""
    directory = places.input / safe_name(given.name, keep_blanks=True)
    directory.mkdir()
    names: dict[str, None] = {}
    for file in given.files:
        name = _unused(safe_name(file.file_name, keep_blanks=True), names)
        names[name] = None
        link = directory / name
        if not isinstance(workspaces.broker(file.workspace_id, f"input {given.name!r}"), LocalBroker):
            staged.fetches.append(_Fetch(file, given.name, link))
            continue
        source = _find(file, given.name, workspaces)
        if not places.in_container:
            link.symlink_to(source)
        elif bind_files:
            link.touch()  # the mount point, which cannot be made within a read-only mount
            staged.binds.append(Bind(str(source), f"{environment.INPUT_DIRECTORY}/{directory.name}/{name}"))
        else:
            link.symlink_to(_within_workspace(source, file, workspaces, staged.binds))
    seen = f"{places.seen_input}/{directory.name}"
    if given.type == "files":
        return seen
    if len(names) != 1:
        raise Failed(MISSING_FILE, f"input {given.name!r} needs one file and was given {len(names)}")
    return f"{seen}/{next(iter(names))}"


def _fetch(fetch: _Fetch, workspaces: Workspaces) -> None:
    file, name = fetch.file, fetch.input_name
    broker = workspaces.broker(file.workspace_id, f"input {name!r}")
    where = f"in workspace {workspaces.name(file.workspace_id)!r}"
    try:
        broker.fetch(file.file_path, fetch.target, file.file_size or None, file.checksum, workspaces.cancel.check)
    except FileMissing:
        raise Failed(MISSING_FILE, f"input {name!r}: {file.file_path!r} does not exist {where}") from None
    except BrokerError as error:
        raise Failed(workspaces.error(file.workspace_id), f"input {name!r} {where}: {error}") from error


def _find(file: InputFile, input_name: str, workspaces: Workspaces) -> Path:
    broker = workspaces.broker(file.workspace_id, f"input {input_name!r}")
    assert isinstance(broker, LocalBroker)
    where = f"in workspace {workspaces.name(file.workspace_id)!r}"
    try:
        if not broker.root.is_dir():
            raise BrokerError(f"the directory {broker.root} does not exist or is not mounted")
        path = broker.locate(file.file_path)
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise Failed(MISSING_FILE, f"input {input_name!r}: {file.file_path!r} does not exist {where}") from None
    except (OSError, BrokerError) as error:
        error_name = workspaces.error(file.workspace_id)
        raise Failed(error_name, f"input {input_name!r}: {file.file_path!r} {where}: {error}") from error
    if not stat.S_ISREG(mode):
        raise Failed(MISSING_FILE, f"input {input_name!r}: {file.file_path!r} is not a regular file {where}")
    return path


def _within_workspace(source: Path, file: InputFile, workspaces: Workspaces, binds: list[Bind]) -> str:
    """For many files: one bind mount of the whole workspace, read-only, instead of one for each file."""
    broker = workspaces.broker(file.workspace_id, "an input")
    assert isinstance(broker, LocalBroker)
    root = broker.root.resolve()
    target = f"{containers.WORKSPACES_DIRECTORY}/{safe_name(workspaces.name(file.workspace_id))}"
    bind = Bind(str(root), target)
    if bind not in binds:
        binds.append(bind)
    return f"{target}/{source.relative_to(root)}"


def store_outputs(
    spec: ExecutionSpec, products: list[Product], workspaces: Workspaces, cancel: Cancellation
) -> list[StoredFile]:
    """Copy what the job produced into its workspaces. Raises Failed, Killed."""
    paths: set[str] = set()
    planned: list[tuple[Product, str]] = []
    for product in products:
        workspaces.broker(product.output.workspace_id, f"output {product.output.name!r}")
        relative = PurePosixPath(*map(safe_name, PurePosixPath(product.relative).parts))
        name = _unused(relative.name, paths, prefix=f"{relative.parent}/")
        paths.add(f"{relative.parent}/{name}")
        planned.append((product, str(PurePosixPath(spec.output_path) / relative.parent / name)))

    def store(plan: tuple[Product, str], own: Workspaces) -> StoredFile:
        cancel.check()
        return _store(spec, *plan, own)

    return _in_lanes(planned, store, workspaces)


def _store(spec: ExecutionSpec, product: Product, file_path: str, workspaces: Workspaces) -> StoredFile:
    output = product.output
    broker = workspaces.broker(output.workspace_id, f"output {output.name!r}")
    try:
        size = broker.store(product.path, file_path, progress=workspaces.cancel.check).size
    except BrokerError as error:
        raise Failed(workspaces.error(output.workspace_id), f"output {output.name!r}: {error}") from error
    history.note("stored", job_exe_id=spec.job_exe_id, workspace_id=output.workspace_id, file_path=file_path)
    name = PurePosixPath(file_path).name
    return StoredFile(
        output=output.name,
        workspace_id=output.workspace_id or 0,
        file_path=file_path,
        file_name=name,
        file_size=size,
        media_type=output.media_type or media_type.guess(name),
        geo_metadata=product.geo_metadata,
    )


def _in_lanes(work: Sequence[Item], act: Callable[[Item, Workspaces], Result], workspaces: Workspaces) -> list[Result]:
    """The results of all, in order. Many are worked on by several threads, each with brokers of its own: most of the
    time that a small file takes is spent waiting for a disk or a server. The first error ends all of it."""
    if len(work) < _MANY:
        return [act(item, workspaces) for item in work]
    failed = threading.Event()

    def run(lane: int) -> list[Result]:
        own, results = workspaces.again(), []
        try:
            for item in work[lane::_LANES]:
                if failed.is_set():
                    break
                results.append(act(item, own))
        except BaseException:
            failed.set()
            raise
        return results

    with ThreadPoolExecutor(_LANES, "files") as pool:
        lanes = list(pool.map(run, range(_LANES)))
    return [lanes[index % _LANES][index // _LANES] for index in range(len(work))]


def safe_name(name: str, keep_blanks: bool = False) -> str:
    """One path component from a name: blanks become underscores, other unusual characters go.

    With `keep_blanks` only what cannot be a file name changes.
    """
    if keep_blanks:
        safe = name.replace("/", "_").replace("\0", "")
    else:
        safe = _UNSAFE.sub("", name.replace(" ", "_"))
    return safe if safe.strip(".") else f"_{safe}"


def _unused(name: str, used: Collection[str], prefix: str = "") -> str:
    """`name`, or with a number before it when that is taken."""
    candidate, number = name, 0
    while f"{prefix}{candidate}" in used:
        number += 1
        candidate = f"{number}_{name}"
    return candidate


def head_and_tail(path: Path, limit: int = LOG_LIMIT) -> str:
    """A log as text, at most `limit` bytes of it: what is in the middle of a longer one is left out, with a note."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= limit:
                return _text(file.read(limit))
            half = (limit - 200) // 2
            head = file.read(half)
            file.seek(size - half)
            tail = file.read(half)
    except OSError as error:
        return f"[scale] this log cannot be read: {error}\n"
    note = f"\n[scale] {size - 2 * half} bytes are left out here; the whole log is {path} on the node\n"
    return _text(head) + note + _text(tail)


def _text(data: bytes) -> str:
    """Text that a database can hold."""
    return data.decode(errors="replace").replace("\0", "\ufffd")
