"""Workspaces on a file system that this machine has mounted (types nfs and host)."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import os
import stat
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from scale_core.brokers.base import (
    TEMPORARY_PREFIX,
    Broker,
    Stored,
    check,
    go_on,
    measure,
    open_regular,
    relative,
    taken,
)
from scale_core.errors import BrokerError, FileMissing
from scale_core.mounts import mounted_by_us, require_allowed

LOCAL_HOSTS = ("localhost", "127.0.0.1")
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
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
        return require_allowed(Path(path), mounts)
    if (directory := mounted_by_us(wanted, mounts)) is not None:
        return directory
    raise BrokerError(
        f"{mount} is not mounted here: add {host}:/path=/local/path to SCALE_MOUNTS on every machine, or allow "
        f"{host}:/path in SCALE_NFS_EXPORTS to be mounted when needed"
    )


class LocalBroker(Broker):
    """Files under one root directory; symlinks are resolved, and lead nowhere outside of it."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def locate(self, file_path: str) -> Path:
        """The local path of a workspace file, existing or not: symlinks are resolved and it lies under the root."""
        pure = relative(file_path)
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
        self,
        local: Path,
        file_path: str,
        checksum: str | None = None,
        duplicates_of: Collection[str] = (),
        progress: Callable[[], None] = go_on,
    ) -> Stored:
        """In one pass: temporary name, fsync, rename, fsync."""
        target = self._writable(file_path)
        with _sentences("store", file_path), open_regular(local) as source:
            if os.path.lexists(target):
                size, digest = measure(source, None, progress)
                check(file_path, digest, checksum)
                if digest in duplicates_of:
                    return Stored(size, digest, stored=False)
                _require_same(target, size, digest, file_path)
                return Stored(size, digest)
            _make_directories(target.parent)
            temporary = target.parent / f"{_temporaries(target.name)}{uuid.uuid4().hex}"
            try:
                with open(temporary, "xb") as copy:
                    _hold(copy.fileno())
                    size, digest = measure(source, copy, progress)
                    check(file_path, digest, checksum)
                    if digest in duplicates_of:
                        return Stored(size, digest, stored=False)
                    os.fchmod(copy.fileno(), _FILE_MODE)
                    _give_to_owner(copy.fileno(), target.parent)
                    copy.flush()
                    os.fsync(copy.fileno())
                if not _rename_without_overwriting(temporary, target):
                    _require_same(target, size, digest, file_path)
                _sync_directory(target.parent)
            finally:
                temporary.unlink(missing_ok=True)
            return Stored(size, digest)

    def tidy(self, file_path: str) -> None:
        target = self._writable(file_path)
        with _sentences("tidy", file_path):
            if not target.parent.is_dir():
                return
            with os.scandir(target.parent) as entries:
                left = [entry.path for entry in entries if entry.name.startswith(_temporaries(target.name))]
            for path in left:
                _remove_unless_held(Path(path))

    def open(self, file_path: str) -> BinaryIO:
        path = self.locate(file_path)
        with _sentences("read", file_path):
            return open_regular(path)

    def move(self, old_path: str, new_path: str) -> None:
        source, target = self.locate(old_path), self._writable(new_path)
        with _sentences("move", old_path):
            if source == target or (not source.exists() and target.is_file()):
                return
            if not stat.S_ISREG(source.stat().st_mode):
                raise BrokerError(f"{old_path!r} is not a regular file")
            _make_directories(target.parent)
            if not _rename_without_overwriting(source, target):
                with open_regular(source) as file:
                    _require_same(target, *measure(file), new_path)
                source.unlink()
            _sync_directory(target.parent)
            _sync_directory(source.parent)

    def delete(self, file_path: str) -> None:
        """As `Broker.delete`, but nothing counts as deleted if the whole workspace is not there."""
        path = self._writable(file_path)
        with _sentences("delete", file_path):
            path.unlink(missing_ok=True)

    def total_size(self) -> int:
        """Bytes of the file system that the workspace lies on; other things may lie there too."""
        with _sentences("measure", str(self.root)):
            found = os.statvfs(self.root)
        return found.f_blocks * found.f_frsize

    def _read(
        self,
        source: BinaryIO,
        file_path: str,
        copy: BinaryIO | None = None,
        progress: Callable[[], None] = go_on,
    ) -> tuple[int, str]:
        with _sentences("read", file_path):
            return measure(source, copy, progress)

    def _writable(self, file_path: str) -> Path:
        """Where to write; the root must exist, else a mount that is away would be filled up underneath."""
        with _sentences("reach", str(self.root)):
            is_there = self.root.is_dir()  # raises when a network mount is stale or its server gone
        if not is_there:
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
    make_directories(directory)
    names = names_aside(source.name)
    while not move_without_overwriting(source, target := directory / next(names)):
        continue
    return target


def make_directories(directory: Path) -> None:
    """A directory and those above it that are missing, each the property of whom the one above it belongs to. They need
    not outlast a power cut. Raises BrokerError."""
    with _sentences("make", str(directory)):
        _make_directories(directory, is_lasting=False)


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
        kind = FileMissing if verb == "read" else BrokerError
        raise kind(f"cannot {verb} {what!r}: {error.filename or what} does not exist") from error
    except (OSError, RuntimeError, ValueError) as error:  # a loop of symlinks; a name that cannot be encoded
        raise BrokerError(f"cannot {verb} {what!r}: {getattr(error, 'strerror', None) or error}") from error


def _require_same(target: Path, size: int, digest: str, file_path: str) -> None:
    with open_regular(target) as existing:
        same = os.fstat(existing.fileno()).st_size == size and measure(existing) == (size, digest)
    if not same:
        raise taken(file_path)


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


def _temporaries(name: str) -> str:
    """How the temporary names of a file begin, so that they are found again when its process has died."""
    return f"{TEMPORARY_PREFIX}{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}-"


def _hold(descriptor: int) -> bool:
    """Lock a temporary file until it is closed, by whatever end of the process; False: somebody else holds it, or this
    file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_unless_held(path: Path) -> None:
    with suppress(FileNotFoundError), open_regular(path) as file:
        if _hold(file.fileno()):
            path.unlink()


def _make_directories(directory: Path, is_lasting: bool = True) -> None:
    """Create what is missing, and make each new name durable if it is to be lasting."""
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
        else:
            _give_directory_to_owner(path)
        if is_lasting:
            _sync_directory(path.parent)


def _give_directory_to_owner(directory: Path) -> None:
    if os.geteuid() != 0:
        return
    # A directory and no link: whoever owns the one above may have put something else in its place meanwhile.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _give_to_owner(descriptor, directory.parent)
    finally:
        os.close(descriptor)


def _give_to_owner(descriptor: int, above: Path) -> None:
    """Executors are root, workers are not and have to tidy up after them: what root makes belongs to whom the directory
    above it belongs to. Where root may not say so (an export that squashes it) the server has chosen an owner."""
    if os.geteuid() != 0:
        return
    made, owner = os.fstat(descriptor), os.stat(above)
    if (made.st_uid, made.st_gid) != (owner.st_uid, owner.st_gid):
        with suppress(OSError):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
