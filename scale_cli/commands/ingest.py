"""``scale ingest``"""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from scale_cli.app import Group, pass_scale
from scale_cli.output import ago, format_option, show_rows, size
from scale_client import Scale

WATCH_S = 1.0
STATUSES = ("TRANSFERRING", "TRANSFERRED", "DEFERRED", "QUEUED", "INGESTING", "INGESTED", "ERRORED", "DUPLICATE")
COLUMNS = [
    ("id", lambda row: row["id"]),
    ("file", lambda row: row["file_name"]),
    ("strike", lambda row: row["strike"]["name"]),
    ("status", lambda row: row["status"]),
    ("size", lambda row: size(row["file_size"] if row["file_size"] is not None else row["bytes_transferred"])),
    ("changed", lambda row: f"{ago(row['last_modified'])} ago"),
    ("reason", lambda row: row["reason"]),
]


@click.group("ingest", cls=Group)
def ingest() -> None:
    """Ingests: files on their way into workspaces."""


@ingest.command("list", example="scale ingest list --status ERRORED --strike landsat")
@click.option("--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only these.")
@click.option("--strike", metavar="NAME", help="Only files of this Strike.")
@click.option("--part", metavar="TEXT", help="Only files with this in their names.")
@click.option("--since", metavar="TIME", help="ISO 8601: a time, or a duration such as PT3H back from now.")
@click.option("--limit", default=30, show_default=True, help="How many at most; 0 for all.")
@format_option
@pass_scale
def list_ingests(
    scale: Scale,
    status: str | None,
    strike: str | None,
    part: str | None,
    since: str | None,
    limit: int,
    output: str,
) -> None:
    """List ingests, the newest changes first."""
    strike_id = scale.strikes.find(strike)["id"] if strike else None
    found = scale.ingests.list(
        status=status, strike_id=strike_id, file_name_part=part, started=since, limit=limit or None
    )
    show_rows("ingest", found, COLUMNS, output)


@ingest.command("watch", example="scale ingest watch --strike landsat")
@click.option("--strike", metavar="NAME", help="Only files of this Strike.")
@click.option("--seconds", type=float, help="End after so long; else watch until Ctrl-C.")
@pass_scale
def watch_ingests(scale: Scale, strike: str | None, seconds: float | None) -> None:
    """Print a line whenever an ingest changes, from now on."""
    strike_id = scale.strikes.find(strike)["id"] if strike else None
    known = {row["id"]: row["status"] for row in scale.ingests.list(strike_id=strike_id, limit=200)}
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        rows = list(scale.ingests.list(strike_id=strike_id, limit=200))
        for row in sorted(rows, key=lambda row: row["last_modified"]):
            if known.get(row["id"]) != row["status"]:
                known[row["id"]] = row["status"]
                why = f"  {row['reason']}" if row["reason"] else ""
                click.echo(f"{row['last_modified']}  {row['status']:<12}  {row['file_name']!a}{why}")
        time.sleep(WATCH_S)


@ingest.command("retry", example="scale ingest retry 51 52")
@click.argument("ingest_ids", type=int, nargs=-1, required=True)
@pass_scale
def retry_ingests(scale: Scale, ingest_ids: Sequence[int]) -> None:
    """Try again what is ERRORED."""
    for ingest_id in ingest_ids:
        scale.ingests.retry(ingest_id)
        click.echo(f"ingest/{ingest_id} is tried again")
