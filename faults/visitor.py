"""Somebody who has the web UI open while things break: a real browser, where there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from playwright.sync_api import Error, Page, Response

from tests.ui import browser as browsers

LOOK_MS = 200  # between two looks at what is to be done; the browser's events are heard meanwhile
SILENT = "Scale does not answer"
UNAVAILABLE = 503  # what a page may be answered while something is away
SERVER_ERROR = 500


class Visitor(threading.Thread):
    """Keeps the list of jobs open and up to date; `complaints` is what no fault may bring about.

    That is an error in a script of the page, and an answer 5xx other than 503.
    """

    def __init__(self, address: str) -> None:
        super().__init__(name="visitor", daemon=True)
        self._address, self._ending = address, threading.Event()
        self._wanted = SimpleQueue[tuple[int, threading.Event]]()
        self.complaints: list[str] = []

    @staticmethod
    def is_possible() -> bool:
        return browsers.chromium() is not None

    def finish(self) -> None:
        self._ending.set()
        self.join()

    def sees(self, job_id: int, patience_s: float) -> bool:
        """Whether the page that was open all the time shows within `patience_s` seconds that Scale answers, and then
        the page of that job that it is completed."""
        seen = threading.Event()
        self._wanted.put((job_id, seen))
        return seen.wait(patience_s)

    def run(self) -> None:
        try:
            with browsers.browser() as running:
                page = browsers.context(running, self._address).new_page()
                page.on("pageerror", lambda error: self.complaints.append(f"in the web UI: {error}"))
                page.on("response", self._hear)
                self._visit(page)
        except Error as error:
            self.complaints.append(f"the browser ended: {error}")

    def _hear(self, response: Response) -> None:
        if response.status >= SERVER_ERROR and response.status != UNAVAILABLE:
            self.complaints.append(f"{response.request.method} {response.url}: {response.status}")

    def _visit(self, page: Page) -> None:
        self._open(page, "/ui/jobs")
        while not self._ending.is_set():
            page.wait_for_timeout(LOOK_MS)
            try:
                job_id, seen = self._wanted.get_nowait()
            except Empty:
                continue
            self._until(page, lambda: page.get_by_text(SILENT).count() == 0)
            self._open(page, f"/ui/jobs/{job_id}")
            self._until(page, lambda: page.locator("main .status", has_text="Completed").count() > 0)
            seen.set()
            self._open(page, "/ui/jobs")

    def _open(self, page: Page, path: str) -> None:
        """As often as it takes: who cannot have a page asks for it again."""
        while not self._ending.is_set():
            try:
                page.goto(path)
                browsers.settle(page)
            except Error:
                page.wait_for_timeout(LOOK_MS)
            else:
                return

    def _until(self, page: Page, is_so: Callable[[], bool]) -> None:
        while not self._ending.is_set() and not is_so():
            page.wait_for_timeout(LOOK_MS)
