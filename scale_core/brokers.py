"""Brokers: the files of a workspace on a file system that this machine has mounted (types nfs and host)."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import stat
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from scale_core.errors import BrokerError
from scale_core.mounts import mounted_by_us

TEMPORARY_PREFIX = ".scale-tmp-"
LOCAL_HOSTS = ("localhost", "127.0.0.1")
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_CHUNK = 1024 * 1024
_NAME_BYTES = 255
_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


@dataclass(frozen=True)
class FileInfo:
    """A regular file in a directory; times are seconds since the epoch."""

    file_name: str
    size: int
    accessed: float
    modified: float


@dataclass(frozen=True)
class Stored:
    """What `Broker.store` found: size in bytes and SHA-256 of the content, and whether it lies in the workspace now."""

    size: int
    checksum: str
    stored: bool = True


def resolve_mount(mount: str, mounts: Mapping[str, str]) -> Path:
    """The local directory for ``host:/path``: by the longest prefix in SCALE_MOUNTS; localhost means this machine.

    An export of SCALE_NFS_EXPORTS is mounted if it is not yet: that may take its time, see `patience.within`. Raises
    BrokerError when nothing maps the mount, or it cannot be mounted.
    """
    host, colon, path = mount.partition(":")
    if not colon or not host or not path.startswith("/") or "\0" in path or ".." in PurePosixPath(path).parts:
        raise BrokerError(f"{mount!r} is not a mount of the form host:/path")
    wanted = f"{host}:{PurePosixPath(path)}".rstrip("/")
    prefix = max((p for p in mounts if wanted == p or wanted.startswith(f"{p}/")), key=len, default=None)
    if prefix is not None:
        return Path(mounts[prefix] + wanted[len(prefix) :])
    if host in LOCAL_HOSTS:
        return Path(path)
    if (directory := mounted_by_us(wanted, mounts)) is not None:
        return directory
    raise BrokerError(
        f"{mount} is not mounted here: add {host}:/path=/local/path to SCALE_MOUNTS on every machine, or allow "
        f"{host}:/path in SCALE_NFS_EXPORTS to be mounted when needed"
    )


def broker_for(config: Mapping[str, Any], mounts: Mapping[str, str]) -> Broker:
    """The broker that a workspace's ``broker`` object describes. Raises BrokerError when it cannot be used here."""
    kind = config.get("type")
    if kind == "nfs":
        return Broker(resolve_mount(str(config.get("mount") or config.get("nfs_path") or ""), mounts))
    if kind == "host":
        path = str(config.get("host_path") or "")
        if not path.startswith("/"):
            raise BrokerError(f"host_path {path!r} is not an absolute path")
        return Broker(Path(path))
    raise BrokerError(f"broker type {kind!r} is not supported; nfs and host are")


class Broker:
    """Files under one root directory. No method reaches outside of it; all raise BrokerError with a plain sentence."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate(self, file_path: str) -> Path:
        """The local path of a workspace file, existing or not: symlinks are resolved and it lies under the root."""
        pure = PurePosixPath(file_path)
        if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\0" in file_path:
            raise BrokerError(f"{file_path!r} is not a path relative to the workspace")
        with _sentences("find", file_path):
            root = self.root.resolve()
            path = (root / pure).resolve()
        if not path.is_relative_to(root):
            raise BrokerError(f"{file_path!r} leads outside of the workspace")
        return path

    def list(self, directory: str = "") -> list[FileInfo]:
        """The regular files directly in a directory, oldest first; neither symlinks nor our temporary files."""
        path = self.locate(directory) if directory else self.root
        files = []
        with _sentences("list", directory or str(self.root)), os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(TEMPORARY_PREFIX) or not entry.is_file(follow_symlinks=False):
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # vanished between listing and looking, which is no error of the directory
                files.append(FileInfo(entry.name, found.st_size, found.st_atime, found.st_mtime))
        return sorted(files, key=lambda file: (file.modified, file.file_name))

    def store(
        self, local: Path, file_path: str, checksum: str | None = None, duplicates_of: Collection[str] = ()
    ) -> Stored:
        """Copy a local regular file into the workspace in one pass: temporary name, fsync, rename, fsync.

        Safe to repeat: a file that is there with the same content counts as done, one with other content is never
        overwritten but an error. With `checksum`, content of another SHA-256 is refused; content whose SHA-256 is
        in `duplicates_of` is not stored.
        """
        target = self._writable(file_path)
        with _sentences("store", file_path), _open_regular(local) as source:
            if os.path.lexists(target):
                size, digest = _measure(source)
                _check(file_path, digest, checksum)
                if digest in duplicates_of:
                    return Stored(size, digest, stored=False)
                _require_same(target, size, digest, file_path)
                return Stored(size, digest)
            _make_directories(target.parent)
            temporary = target.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
            try:
                with open(temporary, "xb") as copy:
                    size, digest = _measure(source, copy)
                    _check(file_path, digest, checksum)
                    if digest in duplicates_of:
                        return Stored(size, digest, stored=False)
                    os.fchmod(copy.fileno(), _FILE_MODE)
                    copy.flush()
                    os.fsync(copy.fileno())
                if not _rename_without_overwriting(temporary, target):
                    _require_same(target, size, digest, file_path)
                _sync_directory(target.parent)
            finally:
                temporary.unlink(missing_ok=True)
            return Stored(size, digest)

    def open(self, file_path: str) -> BinaryIO:
        """The file, open for reading."""
        path = self.locate(file_path)
        with _sentences("read", file_path):
            return _open_regular(path)

    def measure(self, file_path: str) -> Stored:
        """Size and SHA-256 of a file."""
        with self.open(file_path) as file, _sentences("read", file_path):
            return Stored(*_measure(file))

    def move(self, old_path: str, new_path: str) -> None:
        """Move a file within the workspace; done already counts as done; never onto another file."""
        source, target = self.locate(old_path), self._writable(new_path)
        with _sentences("move", old_path):
            if source == target or (not source.exists() and target.is_file()):
                return
            if not stat.S_ISREG(source.stat().st_mode):
                raise BrokerError(f"{old_path!r} is not a regular file")
            _make_directories(target.parent)
            if not _rename_without_overwriting(source, target):
                with _open_regular(source) as file:
                    _require_same(target, *_measure(file), new_path)
                source.unlink()
            _sync_directory(target.parent)
            _sync_directory(source.parent)

    def delete(self, file_path: str) -> None:
        """Delete a file; one that is not there counts as deleted, but not if the whole workspace is not there."""
        path = self._writable(file_path)
        with _sentences("delete", file_path):
            path.unlink(missing_ok=True)

    def _writable(self, file_path: str) -> Path:
        """Where to write; the root must exist, else a mount that is away would be filled up underneath."""
        if not self.root.is_dir():
            raise BrokerError(f"the workspace's directory {self.root} does not exist or is not mounted")
        return self.locate(file_path)


def move_without_overwriting(source: Path, target: Path) -> bool:
    """Rename a file unless `target` exists (then False). Raises BrokerError."""
    with _sentences("move", str(source)):
        moved = _rename_without_overwriting(source, target)
        if moved:
            _sync_directory(target.parent)
        return moved


def set_aside(source: Path, directory: Path) -> Path:
    """Move a file into a directory, which is made if need be; where its name is taken, with a number before it.

    Returns where it lies now. Raises BrokerError.
    """
    with _sentences("make", str(directory)):
        directory.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
    names = names_aside(source.name)
    while not move_without_overwriting(source, target := directory / next(names)):
        continue
    return target


def names_aside(name: str) -> Iterator[str]:
    """The names that `set_aside` tries, without end: the file's own, then numbered ones.

    A file system takes 255 bytes: a longer name loses its first characters, not its suffix.
    """
    yield name
    for number in itertools.count(1):
        prefix = f"{number}_"
        yield prefix + os.fsencode(name)[len(prefix) - _NAME_BYTES :].decode("utf-8", "ignore")


@contextmanager
def _sentences(verb: str, what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BrokerError(f"cannot {verb} {what!r}: {error.filename or what} does not exist") from error
    except (OSError, RuntimeError, ValueError) as error:  # a loop of symlinks; a name that cannot be encoded
        raise BrokerError(f"cannot {verb} {what!r}: {getattr(error, 'strerror', None) or error}") from error


def _open_regular(path: Path) -> BinaryIO:
    """Open for reading without following a symlink in the last place and without waiting on a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BrokerError(f"{str(path)!r} is not a regular file")
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _measure(source: BinaryIO, copy: BinaryIO | None = None) -> tuple[int, str]:
    """Size and SHA-256 of what `source` still holds, written to `copy` on the way."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if copy is not None:
            copy.write(chunk)
    return size, digest.hexdigest()


def _check(file_path: str, digest: str, expected: str | None) -> None:
    if expected is not None and digest != expected:
        raise BrokerError(f"{file_path!r} has the SHA-256 {digest}, not {expected}: it changed while it was stored")


def _require_same(target: Path, size: int, digest: str, file_path: str) -> None:
    with _open_regular(target) as existing:
        same = os.fstat(existing.fileno()).st_size == size and _measure(existing) == (size, digest)
    if not same:
        raise BrokerError(f"{file_path!r} exists already with other content and is not overwritten")


def _rename_without_overwriting(source: Path, target: Path) -> bool:
    """False when `target` exists. A hard link is the one portable way that cannot overwrite."""
    try:
        os.link(source, target, follow_symlinks=False)
        source.unlink()
    except FileExistsError:
        if not os.path.samestat(os.lstat(source), os.lstat(target)):
            return False
        source.unlink()  # a move that was interrupted between its two halves
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(target):
            return False
        source.rename(target)
    return True


def _make_directories(directory: Path) -> None:
    """Create what is missing and make each new name durable."""
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        try:
            path.mkdir(mode=_DIRECTORY_MODE)
        except FileExistsError:
            if not path.is_dir():
                raise
        _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
