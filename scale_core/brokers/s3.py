"""Workspaces in a bucket of Amazon S3 or of a server that speaks its protocol (type s3)."""

from __future__ import annotations

import base64
import hashlib
import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import Any, BinaryIO

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError
from s3fs import S3FileSystem

from scale_core import timestamps
from scale_core.brokers import network
from scale_core.brokers.base import Stored, check
from scale_core.brokers.credentials import Credentials
from scale_core.brokers.remote import Found, RemoteBroker, Stream
from scale_core.domain import media_type

PART = 8 * 1024 * 1024  # bytes in memory at a time; what is not larger goes in one request
_MAX_PARTS = 10_000
_COPY_PART = 1024**3
_CONNECT_S = 10
_READ_S = 60
_CONNECTIONS = 64  # of all threads of this process
_CALL_S = 600.0  # of a call with all of its repetitions
_ABANDONED = timedelta(days=1)
_SECRETS = ("access_key_id", "secret_access_key", "session_token")
_NO_SUCH_FILE = ("NoSuchKey", "404", "NoSuchUpload")
_TAKEN = ("PreconditionFailed", "412")

for _name in ("botocore", "aiobotocore", "s3fs", "fsspec"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # on lower levels they tell headers and bodies of requests


class S3Broker(RemoteBroker):
    """Objects of one bucket below a prefix.

    An object comes into being by one request, or by the last one of a multipart upload, and only if there is none of
    that key (If-None-Match): never half, never over another one. Every part is verified by its MD5 on the other side.
    """

    errors = (*RemoteBroker.errors, BotoCoreError, ClientError, aiohttp.ClientError, FSTimeoutError)

    def __init__(
        self, config: Mapping[str, Any], credentials: Credentials, networks: Sequence[network.Network] = ()
    ) -> None:
        self._bucket = str(config["bucket"])
        endpoint = config.get("endpoint_url")
        name = f"the bucket {self._bucket!r}" + (f" at {endpoint}" if endpoint else "")
        super().__init__(str(config.get("prefix") or ""), name)
        secrets = tuple(credentials.get(name) for name in _SECRETS)
        self._fs = _file_system(os.getpid(), tuple(networks), endpoint, config.get("region"), *secrets)
        self._has_bucket = False

    def explain(self, error: Exception) -> str:
        response = _response(error)
        if refused := _refused(error):
            return str(refused)
        if response is None:
            return super().explain(error)
        told = response.get("Error") or {}
        if told.get("Code") == "403":  # the answer to HEAD has no body that would say why
            return "access is refused (403): the credentials, or what the bucket lets them do, are wrong"
        return f"{told.get('Code', 'error')}: {told.get('Message') or 'refused'}".rstrip()

    def find(self, place: str) -> Found | None:
        try:
            head = self._call("head_object", Key=place)
        except OSError as error:
            if _code(error) not in _NO_SUCH_FILE:
                raise
            self._require_bucket()
            return None
        return Found(int(head["ContentLength"]), head["ETag"])

    def upload(
        self, source: BinaryIO, place: str, file_path: str, checksum: str | None, progress: Callable[[], None]
    ) -> Stored | None:
        parts = _parts(source, progress)
        first, is_all = next(parts)
        if not is_all:
            return self._upload_parts(itertools.chain([first], (part for part, _ in parts)), place, file_path, checksum)
        digest = hashlib.sha256(first).hexdigest()
        check(file_path, digest, checksum)
        try:
            self._call("put_object", Key=place, Body=first, ContentMD5=_md5(first), **_new(place))
        except OSError as error:
            if _is_taken(error):
                return None
            raise
        return Stored(len(first), digest)  # the server compared the MD5 before it accepted

    def _upload_parts(self, parts: Iterator[bytes], place: str, file_path: str, checksum: str | None) -> Stored | None:
        digest, size = hashlib.sha256(), 0

        def send(upload_id: str) -> Iterator[dict[str, Any]]:
            nonlocal size
            for number, part in enumerate(parts, 1):
                digest.update(part)
                size += len(part)
                sent = self._call(
                    "upload_part",
                    Key=place,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=part,
                    ContentMD5=_md5(part),
                )
                yield {"PartNumber": number, "ETag": sent["ETag"]}
            check(file_path, digest.hexdigest(), checksum)

        self._abort_abandoned(place)
        if not self._complete(place, send):
            return None
        return self._verified(place, Stored(size, digest.hexdigest()))

    def stream(self, place: str, found: Found, offset: int) -> Stream:
        more = {"Range": f"bytes={offset}-"} if offset else {}
        answer = self._call("get_object", Key=place, IfMatch=found.version, **more)
        return _Body(self._fs, answer["Body"])

    def rename(self, place: str, to: str, found: Found) -> bool:
        """A copy on the other side, then the deletion: repeated after a crash in between, it finds its copy."""
        if found.size <= PART:
            with self._whole(place, found) as content:
                body = content.read(PART + 1)
            try:
                self._call("put_object", Key=to, Body=body, ContentMD5=_md5(body), **_new(to))
            except OSError as error:
                if _is_taken(error):
                    return False
                raise
        elif self._complete(to, lambda upload_id: self._copy_parts(place, to, found, upload_id)):
            self._verified(to, Stored(found.size, ""))
        else:
            return False
        self.remove(place)
        return True

    def remove(self, place: str) -> None:
        self._call("delete_object", Key=place)

    def _copy_parts(self, place: str, to: str, found: Found, upload_id: str) -> Iterator[dict[str, Any]]:
        for number, start in enumerate(range(0, found.size, _COPY_PART), 1):
            end = min(start + _COPY_PART, found.size) - 1
            copied = self._call(
                "upload_part_copy",
                Key=to,
                UploadId=upload_id,
                PartNumber=number,
                CopySource={"Bucket": self._bucket, "Key": place},
                CopySourceRange=f"bytes={start}-{end}",
                CopySourceIfMatch=found.version,
            )
            yield {"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]}

    def _complete(self, place: str, send: Callable[[str], Iterator[dict[str, Any]]]) -> bool:
        """A multipart upload from its beginning to its end; False when there is an object of that key by then.

        Whatever goes wrong, its parts do not stay and cost money.
        """
        upload_id = self._call("create_multipart_upload", Key=place, ContentType=media_type.guess(place))["UploadId"]
        try:
            parts = {"Parts": list(send(upload_id))}
            self._call(
                "complete_multipart_upload", Key=place, UploadId=upload_id, MultipartUpload=parts, IfNoneMatch="*"
            )
        except BaseException as error:
            with suppress(*self.errors):
                self._call("abort_multipart_upload", Key=place, UploadId=upload_id)
            # no such upload: it was completed by a request whose answer was lost
            if isinstance(error, OSError) and (_is_taken(error) or _code(error) == "NoSuchUpload"):
                return False
            raise
        return True

    def _abort_abandoned(self, place: str) -> None:
        """Parts of uploads of the same key whose process died long ago."""
        uploads = self._call("list_multipart_uploads", Prefix=place).get("Uploads") or ()
        for upload in uploads:
            if upload["Key"] == place and upload["Initiated"] < timestamps.utcnow() - _ABANDONED:
                self._call("abort_multipart_upload", Key=place, UploadId=upload["UploadId"])

    def _verified(self, place: str, stored: Stored) -> Stored:
        found = self.find(place)
        if found is None or found.size != stored.size:
            raise OSError(f"{found.size if found else 'no'} bytes are there after {stored.size} were sent")
        return stored

    def _require_bucket(self) -> None:
        """A missing bucket answers HEAD like a missing object. Raises OSError."""
        if self._has_bucket:
            return
        try:
            self._call("head_bucket")
        except OSError as error:
            if _code(error) in _NO_SUCH_FILE:
                raise OSError("there is no such bucket") from None
            raise
        self._has_bucket = True

    def _whole(self, place: str, found: Found) -> _Body:
        answer = self._call("get_object", Key=place, IfMatch=found.version)
        return _Body(self._fs, answer["Body"])

    def _call(self, method: str, **arguments: Any) -> Any:
        return sync(self._fs.loop, self._fs._call_s3, method, Bucket=self._bucket, timeout=_CALL_S, **arguments)


class _Session(AIOHTTPSession):
    """Follows no redirect: whoever answers for a bucket must not send us, and what we store, to a place of its choice.
    The library follows them and cannot be told otherwise."""

    async def _get_session(self, proxy_url: str | None) -> _Straight:
        return _Straight(await super()._get_session(proxy_url))


class _Straight:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **options: Any) -> aiohttp.ClientResponse:
        return await self._session.request(method, allow_redirects=False, **options)


@lru_cache(maxsize=32)
def _file_system(
    pid: int, networks: tuple[network.Network, ...], endpoint: str | None, region: str | None, *secrets: str | None
) -> S3FileSystem:
    """One of each kind in a process: to make one takes a fifth of a second. A secret that was changed makes another,
    and so does a fork, which leaves no connection usable."""
    key, secret, token = secrets

    def allowed_socket(info: Any) -> socket.socket:
        network.require(info[4][0], networks)
        return socket.socket(*info[:3])

    made = S3FileSystem(
        endpoint_url=endpoint,
        key=key,
        secret=secret,
        token=token,
        client_kwargs={"region_name": region},
        config_kwargs={
            "connect_timeout": _CONNECT_S,
            "connector_args": {"socket_factory": allowed_socket},
            "http_session_cls": _Session,
            "read_timeout": _READ_S,
            "max_pool_connections": _CONNECTIONS,
            "retries": {"mode": "standard", "total_max_attempts": 2},
            # servers of others are reached by path: their bucket is seldom a host name
            "s3": {"addressing_style": "path" if endpoint else "auto"},
            # checksums at the end of a body are what older servers do not understand; MD5 says the same
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    made.retries = 3
    return made


class _Body:
    """The body of an answer, for who knows nothing of coroutines."""

    def __init__(self, fs: S3FileSystem, body: Any) -> None:
        self._loop = fs.loop
        self._body = body

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int) -> bytes:
        data: bytes = sync(self._loop, self._body.read, size, timeout=_READ_S)
        return data

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._body.close)


def _parts(source: BinaryIO, progress: Callable[[], None]) -> Iterator[tuple[bytes, bool]]:
    """Pieces of a file, at least one, and whether it is the only one. Those of huge files are larger, as an upload has
    no more than 10,000."""
    size = max(PART, -(-os.fstat(source.fileno()).st_size // _MAX_PARTS))
    part = _fill(source, size)
    following = _fill(source, size)
    progress()
    yield part, not following
    while following:
        progress()
        yield following, False
        following = _fill(source, size)


def _fill(source: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end: a raw file may return less than was asked for."""
    pieces = []
    while size and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _new(place: str) -> dict[str, str]:
    """How a new object is put: it is served under its media type, and only if there is none."""
    return {"ContentType": media_type.guess(place), "IfNoneMatch": "*"}


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _response(error: BaseException) -> Mapping[str, Any] | None:
    """What the server answered; s3fs turns botocore's errors into OSErrors, with the original as the cause."""
    original = error if isinstance(error, ClientError) else error.__cause__
    return original.response if isinstance(original, ClientError) else None


def _code(error: BaseException) -> str:
    response = _response(error)
    return str((response.get("Error") or {}).get("Code", "")) if response else ""


def _refused(error: BaseException | None) -> network.Refused | None:
    """What kept us from connecting, however deep libraries have wrapped it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        if isinstance(each, network.Refused):
            return each
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
    return None


def _is_taken(error: BaseException) -> bool:
    return _code(error) in _TAKEN
