"""The demo's window on Scale: its REST API, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import requests

POLL_S = 0.2


class DemoFailed(Exception):
    """Something did not go as it should; the message says what."""


class Api:
    """JSON over HTTP at `address`. `check` is called while waiting and raises DemoFailed when waiting is pointless."""

    def __init__(self, address: str, check: Callable[[], None] = lambda: None) -> None:
        self.address = address
        self._check = check
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy for the outside world knows nothing of this machine's loopback

    def get(self, path: str, **query: Any) -> Any:
        return self._answer("GET", path, params=query).json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._answer("POST", path, json=body).json()

    def results(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """The first thousand entries of a list."""
        found: list[dict[str, Any]] = self.get(path, page_size=1000, **query)["results"]
        return found

    def download(self, url: str) -> bytes:
        return self._answer("GET", url).content

    def answers(self) -> bool:
        try:
            return self._session.get(urljoin(self.address, "status/"), timeout=5).ok
        except requests.RequestException:
            return False

    def wait_for(self, what: str, look: Callable[[], Any], timeout_s: float) -> Any:
        """What `look` finds, as soon as it is not empty. Raises DemoFailed after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not (found := look()):
            self._check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {timeout_s:.0f} s for {what}")
            time.sleep(POLL_S)
        return found

    def _answer(self, method: str, path: str, **arguments: Any) -> requests.Response:
        try:
            response = self._session.request(method, urljoin(self.address, path), timeout=60, **arguments)
        except requests.RequestException as error:
            self._check()
            raise DemoFailed(f"{method} /{path}: {error}") from error
        if not response.ok:
            raise DemoFailed(f"{method} /{path} answers {response.status_code}: {response.text.strip()[:2000]}")
        return response
