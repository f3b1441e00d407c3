"""``scale strike``"""

from __future__ import annotations

import click

from scale_cli.app import Group, pass_scale
from scale_cli.documents import add_create_and_edit
from scale_cli.output import ago, format_option, print_json, show_facts, show_rows
from scale_client import Scale


@click.group("strike", cls=Group)
def strike() -> None:
    """Strikes: watched directories."""


@strike.command("list", example="scale strike list")
@format_option
@pass_scale
def list_strikes(scale: Scale, output: str) -> None:
    """List Strikes, and how they are."""
    columns = [
        ("id", lambda row: row["id"]),
        ("name", lambda row: row["name"]),
        ("last look", lambda row: f"{ago(row['last_scan'])} ago" if row["last_scan"] else "never"),
        ("files", lambda row: row["files_seen"]),
        ("error", lambda row: row["last_error"]),
    ]
    show_rows("strike", scale.strikes.list(), columns, output)


@strike.command("show", example="scale strike show landsat")
@click.argument("name")
@format_option
@pass_scale
def show_strike(scale: Scale, name: str, output: str) -> None:
    """One Strike (by name or id), with its configuration."""
    found = scale.strikes.find(name)
    facts = [
        ("strike", lambda row: row["id"]),
        ("name", lambda row: row["name"]),
        ("title", lambda row: row["title"]),
        ("description", lambda row: row["description"]),
        ("last look", lambda row: row["last_scan"]),
        ("files", lambda row: row["files_seen"]),
        ("error", lambda row: row["last_error"]),
    ]
    show_facts("strike", found, facts, output)
    if output == "table":
        print_json(found["configuration"])


add_create_and_edit(
    strike,
    "strike",
    lambda scale: scale.strikes,
    columns=[("strike", lambda row: row["id"]), ("name", lambda row: row["name"])],
    document="landsat.json",
    existing="landsat",
    create="Begin to watch a directory. FILE is JSON: name, title, description, configuration; - is standard input.",
    edit="Change a Strike by the JSON in FILE, of title, description, configuration; - is standard input.",
)
