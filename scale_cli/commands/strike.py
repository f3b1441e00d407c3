"""``scale strike``"""

from __future__ import annotations

import click

from scale_cli.app import Group, document_argument, pass_scale, read_document
from scale_cli.output import ago, format_option, print_json, say, show_facts, show_rows
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


@strike.command("create", example="scale strike create landsat.json")
@document_argument
@click.option("--dry-run", is_flag=True, help="Only say what is wrong with it or doubtful.")
@format_option
@pass_scale
def create_strike(scale: Scale, document: str, dry_run: bool, output: str) -> None:
    """Begin to watch a directory. FILE is JSON: name, title, description, configuration; - is standard input."""
    wanted = read_document(document)
    for warning in scale.strikes.validate(wanted)["warnings"]:
        say(f"warning: {warning['details']}")
    if dry_run:
        say("nothing was created")
        return
    made = scale.strikes.create(wanted)
    show_facts("strike", made, [("strike", lambda row: row["id"]), ("name", lambda row: row["name"])], output)
