"""Strike: one look at each watched directory, again and again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from scale_core.brokers import resolve_mount
from scale_core.db.session import transaction, try_advisory_lock
from scale_core.errors import BrokerError
from scale_core.services import ingest
from scale_core.services.ingest import ActiveStrike
from scale_core.timestamps import utcnow
from scale_worker import strike_directory
from scale_worker.celery_app import app, sessions, settings

logger = logging.getLogger(__name__)


@app.task(name="scan-strikes")
def scan_strikes() -> None:
    """Start one scan for each Strike that is to be watched; a single one is scanned here and now."""
    with transaction(sessions()) as session:
        strikes = ingest.active_strikes(session, utcnow())
    if len(strikes) == 1:
        scan(strikes[0])
        return
    for strike in strikes:
        scan_strike.apply_async(
            args=(strike.id, dict(strike.configuration)), expires=max(settings().strike_scan_s, 1.0)
        )


@app.task(name="scan-strike")
def scan_strike(strike_id: int, configuration: Mapping[str, Any]) -> None:
    """One look at a Strike's directory."""
    scan(ActiveStrike(strike_id, configuration))


def scan(strike: ActiveStrike) -> None:
    """List the directory, record what changed, commit, then set aside what no rule wanted."""
    try:
        directory = resolve_mount(strike.configuration["mount"], settings().mounts)
        listing = strike_directory.listing(directory)
    except BrokerError as error:
        logger.error("Strike %d cannot be scanned: %s", strike.id, error)
        with transaction(sessions()) as session:
            ingest.record_scan(session, strike.id, str(error), utcnow())
        return
    with transaction(sessions()) as session:
        if not try_advisory_lock(session, f"strike-{strike.id}"):
            return  # another worker is looking at it
        suffix = strike.configuration["transfer_suffix"]
        listed = {each.name for each in listing}
        vanished = frozenset(
            name
            for name in ingest.names_in_transfer(session, strike.id)
            if name not in listed and strike_directory.is_gone(directory, name, suffix)
        )
        result = ingest.record_listing(session, strike.id, strike.configuration, listing, vanished, utcnow())
        ingest.record_scan(session, strike.id, None, utcnow())
        originals = strike_directory.pending_originals(directory)
        done = ingest.finished_ingests(session, originals) if originals else set()
    for name in result.deferred:
        strike_directory.set_aside(directory, name)
    for ingest_id in done:
        strike_directory.remove_originals(directory, ingest_id)
