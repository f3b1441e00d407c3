"""``scale node``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from scale_cli.app import Group, pass_scale
from scale_cli.output import ago, format_option, show_rows
from scale_client import Scale


@click.group("node", cls=Group)
def node() -> None:
    """Nodes: the machines that jobs run on."""


@node.command("list", example="scale node list")
@format_option
@pass_scale
def list_nodes(scale: Scale, output: str) -> None:
    """List nodes and what they do."""
    rows: list[dict[str, Any]] = [
        {**seen["node"], "is_online": seen["is_online"], "running": len(seen["job_exes_running"])}
        for seen in scale.nodes.status()
    ]
    columns = [
        ("id", lambda row: row["id"]),
        ("name", lambda row: row["hostname"]),
        ("online", lambda row: row["is_online"]),
        ("paused", lambda row: row["pause_reason"] or row["is_paused"]),
        ("running", lambda row: row["running"]),
        ("last offer", lambda row: f"{ago(row['last_offer'])} ago" if row["last_offer"] else "never"),
    ]
    show_rows("node", rows, columns, output)


@node.command("pause", example='scale node pause worker-3 --reason "new disk on Monday"')
@click.argument("names", nargs=-1, required=True)
@click.option("--reason", help="Shown wherever the node is.")
@pass_scale
def pause_nodes(scale: Scale, names: Sequence[str], reason: str | None) -> None:
    """Start nothing more on these nodes (host names or ids); what runs goes on."""
    for name in names:
        paused = scale.nodes.pause(scale.nodes.find(name)["id"], reason)
        click.echo(f"node/{paused['id']} paused")


@node.command("resume", example="scale node resume worker-3")
@click.argument("names", nargs=-1, required=True)
@pass_scale
def resume_nodes(scale: Scale, names: Sequence[str]) -> None:
    """Let jobs start on these nodes again."""
    for name in names:
        resumed = scale.nodes.resume(scale.nodes.find(name)["id"])
        click.echo(f"node/{resumed['id']} resumed")
