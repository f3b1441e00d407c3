"""Workspaces on an FTP server (type ftp), with or without TLS."""

from __future__ import annotations

import ftplib
import hashlib
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from fsspec.implementations.ftp import FTPFileSystem

from scale_core.brokers import network
from scale_core.brokers.base import CHUNK, TEMPORARY_PREFIX, Stored, check
from scale_core.brokers.credentials import Credentials
from scale_core.brokers.remote import Found, RemoteBroker, Stream

LOCK_PREFIX = ".scale-lock-"
_TIMEOUT_S = 30.0
_LOCK_S = 3 * _TIMEOUT_S  # longer than whoever lives can be between taking a name and giving the lock back
_LOOK_S = 0.2
_REFUSALS = 5  # a lock may be given back between two looks at it, but not so many times
_NOT_THERE = "550"


class FtpBroker(RemoteBroker):
    """Files below one directory of an FTP server.

    A file is sent under a temporary name, its size is compared with what was sent, then it is renamed. Servers rename
    onto a file that is there; so whoever gives a name holds a lock for that moment: a directory, which no two can make.
    """

    errors = (*RemoteBroker.errors, ftplib.Error)

    def __init__(
        self, config: Mapping[str, Any], credentials: Credentials, networks: Sequence[network.Network] = ()
    ) -> None:
        self._host, self._port = str(config["host"]), int(config.get("port") or ftplib.FTP_PORT)
        super().__init__(str(config.get("path") or "/"), f"the FTP server {self._host}:{self._port}")
        self._tls = bool(config.get("tls"))
        self._credentials, self._networks = credentials, networks
        self._connection: _Connection | None = None

    def find(self, place: str) -> Found | None:
        ftp = self._connected()
        try:
            size = ftp.size(place)
        except ftplib.error_perm as error:
            if not str(error).startswith(_NOT_THERE):
                raise
            return None
        return Found(size or 0)

    def upload(
        self, source: BinaryIO, place: str, file_path: str, checksum: str | None, progress: Callable[[], None]
    ) -> Stored | None:
        ftp = self._connected()
        pure = PurePosixPath(place)
        self._make_directories(pure.parent)
        temporary = str(pure.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
        measured = _Measured(source, progress)
        try:
            ftp.storbinary(f"STOR {temporary}", measured, CHUNK)
            stored = Stored(measured.size, measured.digest.hexdigest())
            check(file_path, stored.checksum, checksum)
            self._require_size(temporary, stored.size)
            if self._rename(temporary, place):
                self._require_size(place, stored.size)
                return stored
        except BaseException:
            self._remove_leftover(temporary)
            raise
        self.remove(temporary)
        return None

    def stream(self, place: str, found: Found, offset: int) -> Stream:
        ftp = self._connected()
        ftp.voidcmd("TYPE I")
        return _Download(self, ftp, ftp.transfercmd(f"RETR {place}", offset or None), found.size - offset)

    def rename(self, place: str, to: str, found: Found) -> bool:
        self._make_directories(PurePosixPath(to).parent)
        return self._rename(place, to)

    def remove(self, place: str) -> None:
        try:
            self._connected().delete(place)
        except ftplib.error_perm:
            if self.find(place) is not None:
                raise

    def lost(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.ftp.close()

    def _connected(self) -> ftplib.FTP:
        """A session that is logged in, with the workspace's directory found there."""
        if self._connection is None:
            connection = _Connection(self._host, self._port, self._credentials, self._tls, self._networks)
            try:
                connection.ftp.cwd(str(self.root))
            except ftplib.error_perm as error:
                raise OSError(f"the workspace's directory {self.root} cannot be entered: {error}") from None
            connection.ftp.voidcmd("TYPE I")  # servers tell sizes in this type only
            self._connection = connection
        ftp: ftplib.FTP = self._connection.ftp
        return ftp

    def _rename(self, place: str, to: str) -> bool:
        with self._lock(to):
            if self.find(to) is not None:
                return False
            self._connected().rename(place, to)
        return True

    @contextmanager
    def _lock(self, place: str) -> Iterator[None]:
        """Nobody else gives this name meanwhile. A lock that stays was left by somebody who died: it is broken."""
        pure = PurePosixPath(place)
        name = hashlib.sha256(pure.name.encode(errors="surrogateescape")).hexdigest()[:32]
        lock = str(pure.parent / f"{LOCK_PREFIX}{name}")
        until, refused = time.monotonic() + _LOCK_S, 0
        while not self._make(lock):
            refused = 0 if self._is_directory(PurePosixPath(lock)) else refused + 1
            if refused > _REFUSALS:
                raise OSError("the server lets nobody make directories, which are needed as locks")
            if time.monotonic() > until:
                self._connected().rmd(lock)
                until = time.monotonic() + _LOCK_S
            time.sleep(_LOOK_S)
        try:
            yield
        finally:
            with suppress(*self.errors):
                self._connected().rmd(lock)

    def _make_directories(self, directory: PurePosixPath) -> None:
        """Below the root, which must be there: a server whose disk is not mounted is not filled up underneath."""
        missing = []
        while directory != self.root and not self._is_directory(directory):
            missing.append(directory)
            directory = directory.parent
        for path in reversed(missing):
            if not self._make(str(path)) and not self._is_directory(path):
                raise OSError(f"the directory {path} cannot be made")

    def _make(self, directory: str) -> bool:
        """False when it is there already, or may not be made."""
        try:
            self._connected().mkd(directory)
        except ftplib.error_perm:
            return False
        return True

    def _is_directory(self, directory: PurePosixPath) -> bool:
        ftp = self._connected()
        try:
            ftp.cwd(str(directory))
        except ftplib.error_perm:
            return False
        ftp.cwd(str(self.root))
        return True

    def _require_size(self, place: str, size: int) -> None:
        found = self.find(place)
        if found is None or found.size != size:
            raise OSError(f"{found.size if found else 'no'} bytes are there after {size} were sent")

    def _remove_leftover(self, temporary: str) -> None:
        """On a connection of its own: the other one may be in the middle of a transfer."""
        self.lost()
        with suppress(*self.errors):
            self._connected().delete(temporary)


class _Connection(FTPFileSystem):
    """fsspec's file system, whose TLS verifies who answers, and whose data connections resume the TLS session, as many
    servers demand."""

    def __init__(
        self, host: str, port: int, credentials: Credentials, tls: bool, networks: Sequence[network.Network]
    ) -> None:
        self._networks = networks
        super().__init__(
            host,
            port,
            credentials.get("username"),
            credentials.get("password"),
            timeout=_TIMEOUT_S,
            tls=tls,
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def _connect(self) -> None:
        options: dict[str, Any] = {"timeout": self.timeout, "encoding": self.encoding}
        self.ftp = ftplib.FTP_TLS(context=_Resuming(), **options) if self.tls else ftplib.FTP(**options)
        self._reach()
        self.ftp.login(*self.cred)

    def _reach(self) -> None:
        """Connect to the address that was looked at, not to what the name may lead to a moment later."""
        addresses = network.resolve(self.host, self.port, self._networks)
        for number, address in enumerate(addresses, 1):
            try:
                self.ftp.connect(address, self.port)
                break
            except OSError:
                if number == len(addresses):
                    raise
        self.ftp.host = self.host  # whose certificate TLS asks for


class _Resuming(ssl.SSLContext):
    """Verifies servers, and has every connection after the first resume its TLS session."""

    _first: ssl.SSLSocket | None = None

    def __new__(cls) -> _Resuming:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self) -> None:
        super().__init__()
        self.load_default_certs()

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        if self._first is not None:
            options["session"] = self._first.session
        wrapped = super().wrap_socket(sock, *arguments, **options)
        self._first = self._first or wrapped
        return wrapped


class _Download:
    """What a server sends on a data connection. Given up before the end, the whole session is."""

    def __init__(self, broker: FtpBroker, ftp: ftplib.FTP, data: socket.socket, expected: int) -> None:
        self._broker = broker
        self._ftp = ftp
        self._data = data
        self._expected = expected

    def read(self, size: int) -> bytes:
        received = self._data.recv(size)
        self._expected -= len(received)
        return received

    def close(self) -> None:
        try:
            is_whole = self._expected == 0 and not self._data.recv(1)
        finally:
            self._data.close()
        if is_whole:
            self._ftp.voidresp()
        else:
            self._broker.lost()


class _Measured:
    """A file that is sent: its size and SHA-256 so far."""

    def __init__(self, source: BinaryIO, progress: Callable[[], None]) -> None:
        self._source = source
        self._progress = progress
        self.size = 0
        self.digest = hashlib.sha256()

    def read(self, size: int = CHUNK, /) -> bytes:
        self._progress()
        piece = self._source.read(size)
        self.size += len(piece)
        self.digest.update(piece)
        return piece
