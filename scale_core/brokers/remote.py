"""What brokers over a network share: files read as a stream that is taken up again where it broke."""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol

from scale_core.brokers.base import CHUNK, Broker, Stored, check, go_on, measure, open_regular, relative, taken
from scale_core.errors import BrokerError, FileMissing

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PATIENCE = 3  # times that a broken stream is taken up again without a byte in between


@dataclass(frozen=True)
class Found:
    """A remote file: its size in bytes, and what tells this version of it from another (empty: nothing does)."""

    size: int
    version: str = ""


class Stream(Protocol):
    """Bytes of a remote file from some place on."""

    def read(self, size: int) -> bytes: ...

    def close(self) -> None: ...


class RemoteBroker(Broker):
    """A workspace of another machine. What a subclass raises of its library's errors becomes sentences here."""

    errors: tuple[type[Exception], ...] = (OSError, EOFError, RuntimeError, ValueError)

    def __init__(self, root: str, name: str) -> None:
        """`name` is how messages call the place."""
        self.root = PurePosixPath(root)
        self.name = name

    def store(
        self,
        local: Path,
        file_path: str,
        checksum: str | None = None,
        duplicates_of: Collection[str] = (),
        progress: Callable[[], None] = go_on,
    ) -> Stored:
        """The content is hashed before a byte is sent where that can save sending it: a duplicate, a repetition."""
        place = self.locate(file_path)
        with self.sentences("store", file_path), open_regular(local) as source:
            known = self.find(place)
            if known is not None or duplicates_of:
                size, digest = measure(source, None, progress)
                check(file_path, digest, checksum)
                if digest in duplicates_of:
                    return Stored(size, digest, stored=False)
                if known is not None:
                    self._require_same(file_path, known, Stored(size, digest))
                    return Stored(size, digest)
                source.seek(0)
            stored = self.upload(source, place, file_path, checksum, progress)
            if stored is None:  # somebody else was faster
                source.seek(0)
                stored = Stored(*measure(source, None, progress))
                self._require_same(file_path, self.find(place), stored)
            return stored

    def open(self, file_path: str) -> BinaryIO:
        place = self.locate(file_path)
        with self.sentences("read", file_path):
            found = self.find(place)
        if found is None:
            raise FileMissing(f"cannot read {file_path!r}: there is no such file in {self.name}")

        def stream(offset: int) -> Stream:
            return self.stream(place, found, offset)

        return io.BufferedReader(_RemoteFile(self, file_path, found.size, stream), CHUNK)

    def move(self, old_path: str, new_path: str) -> None:
        source, target = self.locate(old_path), self.locate(new_path)
        with self.sentences("move", old_path):
            found = self.find(source)
            if source == target or (found is None and self.find(target) is not None):
                return
            if found is None:
                raise FileMissing(f"cannot move {old_path!r}: there is no such file in {self.name}")
            if not self.rename(source, target, found):
                self._require_same(new_path, self.find(target), self.measure(old_path))
                self.remove(source)

    def delete(self, file_path: str) -> None:
        place = self.locate(file_path)
        with self.sentences("delete", file_path):
            self.remove(place)

    def locate(self, file_path: str) -> str:
        """The full path of a workspace file on the other machine."""
        return str(self.root / relative(file_path))

    @contextmanager
    def sentences(self, verb: str, what: str) -> Iterator[None]:
        """Turn errors of the library and of the network into a BrokerError that says what was tried where."""
        try:
            yield
        except self.errors as error:
            self.lost()
            raise BrokerError(f"cannot {verb} {what!r}: {self.name}: {self.explain(error)}") from error
        except BaseException:
            self.lost()
            raise

    def explain(self, error: Exception) -> str:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__

    def lost(self) -> None:
        """Something went wrong: a connection that may be in the middle of an answer is of no more use."""

    @abstractmethod
    def find(self, place: str) -> Found | None:
        """The file at a full path, if it is there."""

    @abstractmethod
    def upload(
        self, source: BinaryIO, place: str, file_path: str, checksum: str | None, progress: Callable[[], None]
    ) -> Stored | None:
        """Send all of `source`; None when meanwhile there is a file at `place`, which is left as it is."""

    @abstractmethod
    def stream(self, place: str, found: Found, offset: int) -> Stream:
        """The bytes of this version of the file from `offset` on."""

    @abstractmethod
    def rename(self, place: str, to: str, found: Found) -> bool:
        """False when there is a file at `to` already."""

    @abstractmethod
    def remove(self, place: str) -> None:
        """Delete what is there."""

    def _require_same(self, file_path: str, known: Found | None, wanted: Stored) -> None:
        if known is None or known.size != wanted.size or self.measure(file_path).checksum != wanted.checksum:
            raise taken(file_path)


class _RemoteFile(io.RawIOBase):
    """One stream from wherever reading goes on; a new one after a seek, and after one that broke."""

    def __init__(self, broker: RemoteBroker, file_path: str, size: int, stream: Callable[[int], Stream]) -> None:
        self._broker = broker
        self._file_path = file_path
        self._size = size
        self._open = stream
        self._stream: Stream | None = None
        self._streams_at = 0
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        wanted = min(len(target), self._size - self._position)
        if wanted <= 0:
            return 0
        for attempt in range(_PATIENCE):
            try:
                data = self._next(wanted)
                if not data:
                    raise EOFError("the connection was closed in the middle of the file")
                break
            except self._broker.errors:
                self._drop()
                if attempt + 1 == _PATIENCE:
                    with self._broker.sentences("read", self._file_path):
                        raise
                self._broker.lost()
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._drop()
        super().close()

    def _next(self, wanted: int) -> bytes:
        if self._stream is None or self._streams_at != self._position:
            self._drop()
            self._stream = self._open(self._position)
            self._streams_at = self._position
        data = self._stream.read(wanted)
        self._streams_at += len(data)
        return data

    def _drop(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            try:
                stream.close()
            except self._broker.errors:
                self._broker.lost()
