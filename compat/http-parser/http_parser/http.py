"""A pull parser for HTTP responses with http-parser's interface, on httptools (llhttp)."""

from __future__ import annotations

import httptools


class HttpParser:
    """Feed bytes with `execute`, then ask. State is that of the latest response on the connection.

    It has no attribute `errno` on purpose: its presence would tell pymesos that this is the pure Python parser, whose
    errors it partly ignores.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._error = 0
        self.on_message_begin()

    def execute(self, data: bytes, length: int) -> int:
        """Parse data[:length]; returns the number of bytes taken: `length`, or 0 when the peer does not speak HTTP.

        No bytes mean the end of the connection, which completes a body that had no length.
        """
        if self._error:
            return 0
        if not length:
            self._complete = self._complete or (self._headers_complete and self._body_ends_with_connection())
            return 0
        try:
            self._parser.feed_data(data[:length])
        except httptools.HttpParserUpgrade as upgrade:
            return int(upgrade.args[0])
        except httptools.HttpParserError:
            self._error = 1
            return 0
        return length

    def is_headers_complete(self) -> bool:
        return self._headers_complete

    def is_message_complete(self) -> bool:
        return self._complete

    def is_partial_body(self) -> bool:
        """Whether recv_body would return bytes."""
        return bool(self._body)

    def is_chunked(self) -> bool:
        return "chunked" in self._header("transfer-encoding").lower()

    def get_status_code(self) -> int:
        """The status, 0 before it arrived."""
        return self._status

    def get_headers(self) -> dict[str, str]:
        """Names as the peer wrote them; repeated ones joined with a comma."""
        return dict(self._headers)

    def recv_body(self) -> bytes:
        """The decoded body that arrived since the last call."""
        body = b"".join(self._body)
        self._body.clear()
        return body

    def get_errno(self) -> int:
        """0, or 1 after bytes that are not HTTP; the connection is of no use then."""
        return self._error

    def on_message_begin(self) -> None:
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._headers_complete = False
        self._complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._headers_complete = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._complete = True

    def _body_ends_with_connection(self) -> bool:
        return not self.is_chunked() and not self._header("content-length")

    def _header(self, name: str) -> str:
        return next((value for key, value in self._headers.items() if key.lower() == name), "")
