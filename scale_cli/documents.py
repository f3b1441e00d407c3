"""``create`` and ``edit``, the same for every noun that is made of JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import click

from scale_cli.app import Group, document_argument, pass_scale, read_document
from scale_cli.output import Column, format_option, say, show_facts
from scale_client import Scale
from scale_client.models import Warned


class Documents(Protocol):
    """What the client has for such a noun."""

    def validate(self, document: Any) -> Warned: ...
    def create(self, document: Any) -> Any: ...
    def find(self, text: str) -> Any: ...
    def edit(self, id_: int, changes: Any, /) -> Any: ...


def add_create_and_edit(
    group: Group,
    noun: str,
    of: Callable[[Scale], Documents],
    *,
    columns: Sequence[Column],
    document: str,
    existing: str,
    create: str,
    edit: str,
) -> None:
    """Give `group` both. `create` and `edit` are their help; `document` and `existing` stand in the examples.

    Warnings of the API are told before anything is made; a dry run ends there.
    """

    @group.command("create", help=create, example=f"scale {noun} create {document}")
    @document_argument
    @click.option("--dry-run", is_flag=True, help="Only say what is wrong with it or doubtful.")
    @format_option
    @pass_scale
    def create_one(scale: Scale, document: str, dry_run: bool, output: str) -> None:
        wanted = read_document(document)
        for warning in of(scale).validate(wanted)["warnings"]:
            say(f"warning: {warning['details']}")
        if dry_run:
            say("nothing was created")
        else:
            show_facts(noun, of(scale).create(wanted), columns, output)

    @group.command("edit", help=edit, example=f"scale {noun} edit {existing} changes.json")
    @click.argument("name")
    @document_argument
    @format_option
    @pass_scale
    def edit_one(scale: Scale, name: str, document: str, output: str) -> None:
        changed = of(scale).edit(of(scale).find(name)["id"], read_document(document))
        show_facts(noun, changed, columns, output)
