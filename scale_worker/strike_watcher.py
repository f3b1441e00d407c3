"""Strikes' directories that are local: the kernel says at once what was renamed or closed in them (inotify).

Only a hint, so that a file need not wait for the next scan. Scans stay the truth: whatever is missed here (the queue
overflowed, there are too many watches, the file system tells nothing) is found by the next of them. inotify is used
directly, not through a library that watches trees: overflows are seen, and one thread waits for all directories.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from inotify_simple import Event, INotify, flags

from scale_core.errors import BrokerError
from scale_core.mounts import file_system
from scale_core.patience import within

logger = logging.getLogger(__name__)

# A network file system tells only of what this machine does itself, and FUSE may tell nothing.
LOCAL_TYPES = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs", "tmpfs", "xfs", "zfs"}
)
REFRESH_S = 2.0
PATIENCE_S = 1.0  # for a directory to answer: one that hangs must not hold up the news of the others
COALESCE_MS = 20  # what happens within this time after the first event is looked at together
RETRY_MS = 50  # a Strike that is being scanned is asked again after this time
MAX_NAMES = 20_000  # more than these are a scan of the whole directory
EVENTS = flags.CLOSE_WRITE | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
GONE = flags.IGNORED | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT

Look = Callable[[int, frozenset[str] | None], bool]


@dataclass(frozen=True)
class Place:
    """The directory of a Strike, and its mount as whoever waits for it names it."""

    mount: str
    directory: Path


@dataclass(frozen=True)
class _Watch:
    place: Place
    descriptor: int
    identity: tuple[int, int]


class StrikeWatcher(threading.Thread):
    """Calls ``look(strike id, names)`` as soon as something arrives; names None: look at everything.

    `places` tells which Strikes there are, and is asked every REFRESH_S. `look` answers whether it could look: if not,
    it is asked again. Whatever either raises is logged; the thread goes on.
    """

    def __init__(self, places: Callable[[], Mapping[int, Place]], look: Look) -> None:
        super().__init__(name="strike watcher", daemon=True)
        self._places, self._look = places, look
        self._inotify: INotify | None = None
        self._watches: dict[int, _Watch] = {}
        self._unwatched: dict[int, str] = {}
        self._pending: dict[int, set[str] | None] = {}
        self._refresh_at = 0.0
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._round()
            except Exception:  # a hint that fails is a scan that comes later
                logger.exception("watching directories of Strikes failed and is tried again; scans go on")
                self._stopping.wait(REFRESH_S)
        self._close()

    def stop(self) -> None:
        """End within REFRESH_S."""
        self._stopping.set()

    def watched(self) -> frozenset[int]:
        """Ids of the Strikes whose directories are being watched."""
        return frozenset(self._watches)

    def _round(self) -> None:
        if self._inotify is None:
            self._inotify = INotify()
        if time.monotonic() >= self._refresh_at:
            self._refresh()
        wait_ms = RETRY_MS if self._pending else max(0.0, self._refresh_at - time.monotonic()) * 1000
        for event in self._inotify.read(wait_ms, COALESCE_MS):
            self._take(event)
        for strike_id, names in list(self._pending.items()):
            if self._look(strike_id, None if names is None else frozenset(names)):
                del self._pending[strike_id]

    def _take(self, event: Event) -> None:
        if event.mask & flags.Q_OVERFLOW:
            logger.warning("too much happened at once in directories of Strikes: all of them are scanned")
            self._pending = dict.fromkeys(self._watches)
            return
        strikes = [strike_id for strike_id, watch in self._watches.items() if watch.descriptor == event.wd]
        for strike_id in strikes:
            if event.mask & GONE:
                self._forget(strike_id)
                self._refresh_at = 0.0
            elif event.name and not event.mask & flags.ISDIR:
                self._add(strike_id, event.name)

    def _add(self, strike_id: int, name: str) -> None:
        names = self._pending.setdefault(strike_id, set())
        if names is None:
            return
        names.add(name)
        if len(names) > MAX_NAMES:
            self._pending[strike_id] = None

    def _refresh(self) -> None:
        self._refresh_at = time.monotonic() + REFRESH_S
        places = self._places()
        for strike_id in [each for each in self._watches if each not in places]:
            self._forget(strike_id)
        self._unwatched = {each: why for each, why in self._unwatched.items() if each in places}
        for strike_id, place in places.items():
            try:
                within(place.mount, partial(self._watch, strike_id, place), PATIENCE_S)
            except (BrokerError, OSError) as error:
                self._forget(strike_id)
                self._say_unwatched(strike_id, f"{place.directory}: {getattr(error, 'strerror', None) or error}")

    def _watch(self, strike_id: int, place: Place) -> None:
        """Watch the directory, unless it is the same that is being watched already. Raises OSError, BrokerError."""
        assert self._inotify is not None
        facts = os.stat(place.directory)
        known = self._watches.get(strike_id)
        if known is not None and (known.place, known.identity) == (place, (facts.st_dev, facts.st_ino)):
            return
        if known is not None:
            self._forget(strike_id)
        kind = file_system(place.directory)
        if kind not in LOCAL_TYPES:
            raise BrokerError(f"a file system of the type {kind} does not tell of everything that happens in it")
        descriptor = self._inotify.add_watch(place.directory, EVENTS)
        self._watches[strike_id] = _Watch(place, descriptor, (facts.st_dev, facts.st_ino))
        self._unwatched.pop(strike_id, None)
        self._pending[strike_id] = None  # what came before the watch

    def _forget(self, strike_id: int) -> None:
        self._pending.pop(strike_id, None)
        watch = self._watches.pop(strike_id, None)
        if watch is None or any(each.descriptor == watch.descriptor for each in self._watches.values()):
            return  # two Strikes of one directory share a descriptor
        try:
            assert self._inotify is not None
            self._inotify.rm_watch(watch.descriptor)
        except OSError:
            return  # the kernel has forgotten it with its directory

    def _say_unwatched(self, strike_id: int, why: str) -> None:
        if self._unwatched.get(strike_id) != why:
            logger.info("Strike %d is scanned by the clock alone: %s", strike_id, why)
        self._unwatched[strike_id] = why

    def _close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
