"""Strike: one look at each watched directory, again and again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery.signals import worker_ready

from scale_core import history
from scale_core.brokers import resolve_mount
from scale_core.db.session import transaction, try_advisory_lock
from scale_core.errors import BrokerError
from scale_core.mounts import require_harmless
from scale_core.patience import within
from scale_core.services import arrival, ingest, strike
from scale_core.services.arrival import Listed, ScanResult
from scale_core.services.strike import ActiveStrike
from scale_core.timestamps import utcnow
from scale_worker import strike_directory, strike_watcher
from scale_worker.celery_app import app, sessions, settings
from scale_worker.strike_watcher import Place, StrikeWatcher

logger = logging.getLogger(__name__)
TIDY_S = 60.0  # for thousands of files to be moved or removed


@app.task(name="scan-strikes", send_events=False)
def scan_strikes() -> None:
    """Start one scan for each Strike that is to be watched; a single one is scanned here and now."""
    with transaction(sessions()) as session:
        watched = strike.active(session, utcnow())
    if len(watched) == 1:
        scan(watched[0])
        return
    for each in watched:
        scan_strike.apply_async(args=(each.id, dict(each.configuration)), expires=max(settings().strike_scan_s, 1.0))


@app.task(name="scan-strike")
def scan_strike(strike_id: int, configuration: Mapping[str, Any]) -> None:
    """One look at a Strike's directory."""
    scan(ActiveStrike(strike_id, configuration))


@worker_ready.connect
def watch_directories(**_: Any) -> StrikeWatcher | None:
    """A thread of the worker's first process asks for looks at what arrives in local directories."""
    if not settings().strike_inotify:
        return None
    watcher = StrikeWatcher(_places, look_at)
    watcher.start()
    return watcher


def _places() -> dict[int, Place]:
    """Where each Strike watches; one that waits is started, however seldom scans are."""
    with transaction(sessions()) as session:
        watched = strike.active(session, utcnow())
    places = {}
    for each in watched:
        mount = each.configuration["mount"]
        with suppress(BrokerError):  # the scan says so
            places[each.id] = Place(mount, _directory(mount, strike_watcher.PATIENCE_S))
    return places


def _directory(mount: str, patience_s: float | None = None) -> Path:
    """A Strike's directory on this machine, mounted if need be. Raises BrokerError."""
    return within(mount, lambda: require_harmless(resolve_mount(mount, settings().mounts)), patience_s)


def look_at(strike_id: int, names: frozenset[str] | None) -> bool:
    """A look at these names alone, or with None at everything; False when the Strike is being scanned.

    What goes wrong is left to the next scan, which says so.
    """
    with transaction(sessions()) as session:
        watched = strike.active_one(session, strike_id)
        began = arrival.clock(session)
    if watched is None:
        return True
    if names is None:
        return scan(watched)
    mount = watched.configuration["mount"]
    try:
        directory = _directory(mount)
        listing = within(mount, lambda: strike_directory.look_at(directory, names))
    except BrokerError:
        return True
    with transaction(sessions()) as session:
        if not try_advisory_lock(session, f"strike-{strike_id}"):
            return False
        configuration = watched.configuration
        result = arrival.record_listing(session, strike_id, configuration, listing, frozenset(), utcnow(), began)
    _recorded(strike_id, result)
    if result.deferred:
        _tidy(strike_id, mount, directory, result.deferred, {})
    return True


def scan(watched: ActiveStrike) -> bool:
    """List the directory, record what changed, commit, then set aside what no rule wanted.

    A directory that does not answer costs PATIENCE_S once; then its Strike says so, and the others go on. False when
    another worker is looking at it.
    """
    mount = watched.configuration["mount"]
    try:
        directory = _directory(mount)
        with transaction(sessions()) as session:
            names = arrival.names_in_transfer(session, watched.id)
            began = arrival.clock(session)
        suffix = watched.configuration["transfer_suffix"]
        seen = within(mount, lambda: _look(directory, names, suffix))
    except BrokerError as error:
        logger.error("Strike %d cannot be scanned: %s", watched.id, error)
        with transaction(sessions()) as session:
            strike.record_scan(session, watched.id, str(error), utcnow())
        return True
    with transaction(sessions()) as session:
        if not try_advisory_lock(session, f"strike-{watched.id}"):
            return False
        result = arrival.record_listing(
            session, watched.id, watched.configuration, seen.listing, seen.vanished, utcnow(), began
        )
        strike.record_scan(session, watched.id, None, utcnow(), files_seen=len(seen.listing))
        done = ingest.finished_ingests(session, seen.originals) if seen.originals else {}
    _recorded(watched.id, result)
    if result.deferred or done:
        _tidy(watched.id, mount, directory, result.deferred, done)
    return True


def _recorded(strike_id: int, result: ScanResult) -> None:
    if result.queued or result.deferred:
        history.note("recorded", strike_id=strike_id, queued=result.queued, deferred=len(result.deferred))
    for name in result.unreadable:
        logger.warning("Strike %d leaves '%s' where it is: %s", strike_id, name, arrival.UNREADABLE_NAME)


@dataclass(frozen=True)
class _Seen:
    listing: list[Listed]
    vanished: frozenset[str]
    originals: list[int]


def _look(directory: Path, in_transfer: frozenset[str], suffix: str) -> _Seen:
    """Files in transfer that are gone have vanished. One that was renamed during the listing is not: a second look."""
    listing = strike_directory.listing(directory)
    missing = in_transfer - {each.name for each in listing}
    vanished = frozenset(name for name in missing if strike_directory.is_gone(directory, name, suffix))
    return _Seen(listing, vanished, strike_directory.pending_originals(directory))


def _tidy(strike_id: int, mount: str, directory: Path, deferred: Sequence[str], done: Mapping[int, int | None]) -> None:
    def move_and_remove() -> None:
        for name in deferred:
            strike_directory.defer(directory, name)
        for ingest_id, file_size in done.items():
            strike_directory.remove_originals(directory, ingest_id, file_size)

    try:
        within(mount, move_and_remove, TIDY_S)
    except BrokerError as error:
        logger.error("the directory of Strike %d is tidied by a later scan: %s", strike_id, error)
