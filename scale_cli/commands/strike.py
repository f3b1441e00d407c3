"""``scale strike``"""

from __future__ import annotations

import click

from scale_cli.app import Group, document_argument, dry_run_option, pass_scale, read_document, read_valid
from scale_cli.output import Column, ago, format_option, print_json, show_facts, show_rows
from scale_client import Scale

NAMED: list[Column] = [("strike", lambda row: row["id"]), ("name", lambda row: row["name"])]


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
@dry_run_option
@format_option
@pass_scale
def create_strike(scale: Scale, document: str, dry_run: bool, output: str) -> None:
    """Begin to watch a directory. FILE is JSON: name, title, description, configuration; - is standard input."""
    wanted = read_valid(document, scale.strikes.validate, dry_run)
    if wanted is not None:
        show_facts("strike", scale.strikes.create(wanted), NAMED, output)


@strike.command("edit", example="scale strike edit landsat changes.json")
@click.argument("name")
@document_argument
@format_option
@pass_scale
def edit_strike(scale: Scale, name: str, document: str, output: str) -> None:
    """Change a Strike by the fields of the JSON in FILE, of title, description, configuration; - is standard input."""
    changed = scale.strikes.edit(scale.strikes.find(name)["id"], read_document(document))
    show_facts("strike", changed, NAMED, output)
