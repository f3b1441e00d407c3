"""``scale status`` and ``scale pause``, ``scale resume``"""

from __future__ import annotations

from typing import Any

import click

from scale_cli.app import Command, pass_scale
from scale_cli.output import format_option, print_json, show_facts
from scale_client import Scale


@click.command("status", cls=Command, example="scale status")
@format_option
@pass_scale
def status(scale: Scale, output: str) -> None:
    """Is everything there, and how much is there to do?"""
    nodes = list(scale.nodes.status())
    strikes = list(scale.strikes.list())
    row: dict[str, Any] = {
        "id": 0,
        **scale.status(),
        "version": scale.version(),
        "nodes": {"total": len(nodes), "online": sum(seen["is_online"] for seen in nodes)},
        "strikes": {"total": len(strikes), "failing": [seen["name"] for seen in strikes if seen["last_error"]]},
        "running": sum(len(seen["job_exes_running"]) for seen in nodes),
    }
    if output == "json":
        row.pop("id")
        print_json(row)
        return
    show_facts("status", row, FACTS, "table")


@click.command("pause", cls=Command, example="scale pause")
@pass_scale
def pause(scale: Scale) -> None:
    """Start nothing more in the whole cluster; what runs goes on."""
    scale.set_paused(True)
    click.echo("paused")


@click.command("resume", cls=Command, example="scale resume")
@pass_scale
def resume(scale: Scale) -> None:
    """Go on with starting jobs."""
    scale.set_paused(False)
    click.echo("resumed")


def _online(part: Any) -> str:
    return f"online at {part['hostname']}" if part["is_online"] else "OFFLINE"


def _used(name: str, unit: str = "") -> Any:
    def text(row: Any) -> str:
        total, scheduled, used = (row["resources"][kind].get(name) for kind in ("total", "scheduled", "used"))
        return f"{scheduled or 0:g} of {total or 0:g}{unit} scheduled, {used or 0:g}{unit} used"

    return text


FACTS: list[tuple[str, Any]] = [
    ("Scale", lambda row: row["version"]),
    ("Mesos", lambda row: _online(row["master"])),
    ("scheduler", lambda row: _online(row["scheduler"]) + (", paused" if row["scheduler"]["is_paused"] else "")),
    ("nodes", lambda row: f"{row['nodes']['online']} of {row['nodes']['total']} online"),
    ("Strikes", lambda row: str(row["strikes"]["total"])),
    ("failing Strikes", lambda row: ", ".join(row["strikes"]["failing"])),
    ("running", lambda row: row["running"]),
    ("waiting", lambda row: row["queue_depth"]),
    ("cpus", _used("cpus")),
    ("memory", _used("mem", " MiB")),
    ("disk", _used("disk", " MiB")),
]
