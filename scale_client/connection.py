"""HTTP: requests that are repeated when that does no harm, pages, downloads, and errors in the API's own words."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote

import requests

from scale_client import errors

TRIES = 4
PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
AWAY = (502, 503, 504)
PAGE_SIZE = 200
CHUNK = 1 << 20


class Connection:
    """One Scale. Paths are written as in the API's OpenAPI document: ``/jobs/{job_id}/``."""

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 30.0) -> None:
        self.url, self._timeout_s = url.rstrip("/"), timeout_s
        self.session = requests.Session()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"
        self.session.headers["Accept"] = "application/json"

    def get(self, path: str, query: Mapping[str, Any] | None = None, **ids: int | str) -> Any:
        """The JSON of an answer. Repeated a few times while Scale is away. Raises ClientError."""
        return self._json(self._send("GET", path, ids, query, may_repeat=True))

    def post(
        self, path: str, body: Any, query: Mapping[str, Any] | None = None, *, has_key: bool = False, **ids: int | str
    ) -> Any:
        """`has_key`: the operation takes an Idempotency-Key, so it can be repeated and is done once all the same."""
        headers = {"Idempotency-Key": uuid.uuid4().hex} if has_key else {}
        return self._json(self._send("POST", path, ids, query, body, headers, may_repeat=has_key))

    def patch(self, path: str, body: Any, **ids: int | str) -> Any:
        return self._json(self._send("PATCH", path, ids, None, body))

    def delete(self, path: str, **ids: int | str) -> None:
        self._send("DELETE", path, ids)

    def pages(self, path: str, query: Mapping[str, Any], limit: int | None = None) -> Iterator[Any]:
        """Each result of all pages, at most `limit`; a page is asked for when the one before it is used up."""
        size = PAGE_SIZE if limit is None else max(1, min(limit, PAGE_SIZE))
        page, left = 1, limit
        while left is None or left > 0:
            answer = self.get(path, {**query, "page": page, "page_size": size})
            results = answer["results"] if left is None else answer["results"][:left]
            yield from results
            if not answer["next"]:
                return
            page, left = page + 1, None if left is None else left - len(results)

    def download(self, path: str, to: BinaryIO, **ids: int | str) -> int:
        """Write the bytes of an answer; how many. Raises ClientError also when fewer came than were announced."""
        answer = self._send("GET", path, ids, None, may_repeat=True, stream=True)
        written = 0
        with answer:
            try:
                for chunk in answer.iter_content(CHUNK):
                    written += to.write(chunk)
            except requests.RequestException as error:
                raise errors.Unreachable(f"{self.url}: {_words(error)}") from error
        return written

    def _send(
        self,
        method: str,
        path: str,
        ids: Mapping[str, int | str],
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        may_repeat: bool = False,
        stream: bool = False,
    ) -> requests.Response:
        address = self.url + path.format(**{name: quote(str(value), safe="") for name, value in ids.items()})
        asked = {name: value for name, value in (query or {}).items() if value is not None and value != ()}
        for attempt in range(1, TRIES + 1):
            is_last = attempt == TRIES or not may_repeat
            try:
                answer = self.session.request(
                    method, address, params=asked, json=body, headers=headers, timeout=self._timeout_s, stream=stream
                )
            except requests.RequestException as error:
                if is_last:
                    raise errors.Unreachable(f"{self.url}: {_words(error)}") from error
                time.sleep(PAUSE_S * 2**attempt / 2)
                continue
            if answer.status_code not in AWAY or is_last:
                return self._checked(answer)
            time.sleep(min(_seconds(answer.headers.get("Retry-After")), LONGEST_PAUSE_S))
        raise AssertionError("the last try returns or raises")

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.ok:
            return answer
        with answer:
            try:
                said = answer.json()
                problems = [(problem["path"], problem["message"]) for problem in said.get("problems", ())]
                raise errors.of(answer.status_code, str(said["detail"]), problems)
            except (ValueError, KeyError, TypeError, AttributeError):
                text = answer.text if "text/plain" in answer.headers.get("Content-Type", "") else answer.reason
                raise errors.of(answer.status_code, text or f"HTTP {answer.status_code}") from None

    def _json(self, answer: requests.Response) -> Any:
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise errors.Unreachable(f"{self.url}: what answers there is no Scale") from None


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else PAUSE_S


def _words(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not trusted ({error})"
    if isinstance(error, requests.ConnectionError):
        return "nobody answers there"
    return str(error)
