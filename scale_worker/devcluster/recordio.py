"""RecordIO over chunked HTTP: a record is `<decimal length>\\n<json>` and, as on a real master, exactly one chunk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

Event = dict[str, Any]


def encode(event: Mapping[str, Any]) -> bytes:
    """One event as a record."""
    body = orjson.dumps(event)
    return b"%d\n%b" % (len(body), body)


class EventStream:
    """The events of one subscription, written in the order of `send` for as long as the client stays connected."""

    def __init__(self, stream_id: str) -> None:
        self.id = stream_id
        self._records: deque[bytes] = deque()
        self._closed = False
        self._is_held = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        return not self._closed

    def send(self, event: Mapping[str, Any]) -> None:
        """Queue one event; nothing is sent on a stream that was closed."""
        if not self._closed:
            self._records.append(encode(event))
            self._wake()

    def close(self) -> None:
        """End the stream after what was queued."""
        self._closed = True
        self._wake()

    def hold(self, is_held: bool) -> None:
        """Let nothing out, or let out what has gathered."""
        self._is_held = is_held
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def serve(self, request: web.BaseRequest, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
        """Answer `request` with this stream until it is closed here; cancelled when the client closes it."""
        response = web.StreamResponse(headers={**(headers or {}), "Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            await self._pump(response)
        finally:
            self._closed = True
        await response.write_eof()
        return response

    async def _pump(self, response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._records and not self._is_held:
                await response.write(self._records.popleft())
            if self._closed:
                return
            self._waiter = loop.create_future()
            await self._waiter
