"""Strike: one look at each watched directory, again and again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scale_core.brokers import resolve_mount
from scale_core.db.session import transaction, try_advisory_lock
from scale_core.errors import BrokerError
from scale_core.services import ingest, strike
from scale_core.services.strike import ActiveStrike
from scale_core.timestamps import utcnow
from scale_worker import strike_directory
from scale_worker.celery_app import app, sessions, settings

logger = logging.getLogger(__name__)


@app.task(name="scan-strikes")
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


def scan(watched: ActiveStrike) -> None:
    """List the directory, record what changed, commit, then set aside what no rule wanted."""
    try:
        directory = resolve_mount(watched.configuration["mount"], settings().mounts)
        listing = strike_directory.listing(directory)
    except BrokerError as error:
        logger.error("Strike %d cannot be scanned: %s", watched.id, error)
        with transaction(sessions()) as session:
            strike.record_scan(session, watched.id, str(error), utcnow())
        return
    vanished = _vanished(watched, directory, {each.name for each in listing})
    originals = strike_directory.pending_originals(directory)
    with transaction(sessions()) as session:
        if not try_advisory_lock(session, f"strike-{watched.id}"):
            return  # another worker is looking at it
        result = ingest.record_listing(session, watched.id, watched.configuration, listing, vanished, utcnow())
        strike.record_scan(session, watched.id, None, utcnow())
        done = ingest.finished_ingests(session, originals) if originals else set()
    for name in result.deferred:
        strike_directory.defer(directory, name)
    for ingest_id in done:
        strike_directory.remove_originals(directory, ingest_id)


def _vanished(watched: ActiveStrike, directory: Path, listed: set[str]) -> frozenset[str]:
    """Files in transfer that are gone. One that was renamed during the listing is not: hence the second look."""
    with transaction(sessions()) as session:
        names = ingest.names_in_transfer(session, watched.id)
    suffix = watched.configuration["transfer_suffix"]
    return frozenset(name for name in names if name not in listed and strike_directory.is_gone(directory, name, suffix))
