"""What every broker can do, and what all share: paths inside a workspace, copies that are measured on the way."""

from __future__ import annotations

import hashlib
import os
import stat
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from scale_core.errors import BrokerError

TEMPORARY_PREFIX = ".scale-tmp-"
CHUNK = 1024 * 1024
_FILE_MODE = 0o644


@dataclass(frozen=True)
class Stored:
    """What `Broker.store` found: size in bytes and SHA-256 of the content, and whether it lies in the workspace now."""

    size: int
    checksum: str
    stored: bool = True


def go_on() -> None:
    """For who has no reason to stop a copy."""


class Broker(ABC):
    """The files of one workspace. No method reaches outside of it; all raise BrokerError with a plain sentence.

    `file_path` is relative to the workspace. `progress` is called for every piece of a file that is copied; what it
    raises ends the copy, and leaves nothing behind. Files of any size pass in pieces, never whole in memory.
    """

    @abstractmethod
    def store(
        self,
        local: Path,
        file_path: str,
        checksum: str | None = None,
        duplicates_of: Collection[str] = (),
        progress: Callable[[], None] = go_on,
    ) -> Stored:
        """Copy a local regular file into the workspace; under its own name it is there whole, or not at all.

        Safe to repeat: a file that is there with the same content counts as done, one with other content is never
        overwritten but an error. With `checksum`, content of another SHA-256 is refused; content whose SHA-256 is
        in `duplicates_of` is not stored.
        """

    @abstractmethod
    def open(self, file_path: str) -> BinaryIO:
        """The file, open for reading; it can seek. Raises FileMissing."""

    @abstractmethod
    def move(self, old_path: str, new_path: str) -> None:
        """Move a file within the workspace; done already counts as done; never onto another file."""

    @abstractmethod
    def delete(self, file_path: str) -> None:
        """Delete a file; one that is not there counts as deleted."""

    def tidy(self, file_path: str) -> None:  # noqa: B027 - not every kind leaves something behind
        """Remove what copies to this path have left behind whose process died; what is being written stays."""

    def measure(self, file_path: str) -> Stored:
        """Size and SHA-256 of a file. Raises FileMissing."""
        with self.open(file_path) as file:
            return Stored(*self._read(file, file_path))

    def fetch(
        self,
        file_path: str,
        local: Path,
        size: int | None = None,
        checksum: str | None = None,
        progress: Callable[[], None] = go_on,
    ) -> Stored:
        """Copy a file of the workspace to a local path; under that name it is there whole, or not at all.

        What has another size or SHA-256 than expected is refused. Raises FileMissing; OSError of the local file system.
        """
        temporary = local.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            with self.open(file_path) as source, open(temporary, "xb") as copy:
                if size is not None and source.seek(0, os.SEEK_END) != size:
                    raise BrokerError(f"{file_path!r} has {source.tell()} bytes, not {size}: it was changed")
                source.seek(0)
                found = Stored(*self._read(source, file_path, copy, progress))
                os.fchmod(copy.fileno(), _FILE_MODE)
            if checksum is not None and found.checksum != checksum:
                raise BrokerError(f"{file_path!r} has the SHA-256 {found.checksum}, not {checksum}: it was changed")
            temporary.rename(local)
        finally:
            temporary.unlink(missing_ok=True)
        return found

    def _read(
        self,
        source: BinaryIO,
        file_path: str,
        copy: BinaryIO | None = None,
        progress: Callable[[], None] = go_on,
    ) -> tuple[int, str]:
        return measure(source, copy, progress)


def relative(file_path: str) -> PurePosixPath:
    """Raises BrokerError unless the path is one of a file in the workspace."""
    pure = PurePosixPath(file_path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\0" in file_path:
        raise BrokerError(f"{file_path!r} is not a path relative to the workspace")
    return pure


def measure(source: BinaryIO, copy: BinaryIO | None = None, progress: Callable[[], None] = go_on) -> tuple[int, str]:
    """Size and SHA-256 of what `source` still holds, written to `copy` on the way.

    Raises BrokerError when a local file is written to meanwhile: nobody can tell what of it was read.
    """
    before = _version(source)
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        progress()
        digest.update(chunk)
        size += len(chunk)
        if before is not None and size > before[0]:
            break  # whoever follows a file that grows comes to no end
        if copy is not None:
            copy.write(chunk)
    if _version(source) != before:
        raise BrokerError("the file was written to while it was read; it is not complete yet")
    return size, digest.hexdigest()


def _version(source: BinaryIO) -> tuple[int, int] | None:
    """What changes when somebody writes to a local file; None for what is no such file."""
    try:
        facts = os.fstat(source.fileno())
    except (AttributeError, OSError):
        return None
    return facts.st_size, facts.st_mtime_ns


def open_regular(path: Path) -> BinaryIO:
    """Open for reading without following a symlink in the last place and without waiting on a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BrokerError(f"{str(path)!r} is not a regular file")
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def check(file_path: str, digest: str, expected: str | None) -> None:
    """Raises BrokerError when content that is being stored is not what was announced."""
    if expected is not None and digest != expected:
        raise BrokerError(f"{file_path!r} has the SHA-256 {digest}, not {expected}: it changed while it was stored")


def taken(file_path: str) -> BrokerError:
    return BrokerError(f"{file_path!r} exists already with other content and is not overwritten")
