"""``scale token``"""

from __future__ import annotations

from collections.abc import Sequence

import click

from scale_cli.app import Group, pass_scale
from scale_cli.output import ago, format_option, print_json, say, show_rows
from scale_client import Scale

ROLES = ("viewer", "operator", "admin")


@click.group("token", cls=Group)
def token() -> None:
    """API tokens: what programs sign in with."""


@token.command("list", example="scale token list")
@format_option
@pass_scale
def list_tokens(scale: Scale, output: str) -> None:
    """List tokens; none can be read again."""
    columns = [
        ("id", lambda row: row["id"]),
        ("name", lambda row: row["name"]),
        ("account", lambda row: row["account"]["name"]),
        ("role", lambda row: row["role"]),
        ("begins", lambda row: row["hint"]),
        ("expires", lambda row: row["expires"]),
        ("last used", lambda row: f"{ago(row['last_used'])} ago" if row["last_used"] else "never"),
        ("revoked", lambda row: row["revoked"]),
    ]
    show_rows("token", scale.tokens.list(), columns, output)


@token.command("create", example="scale token create nightly-report --role viewer --days 30")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="What it may do; your own role otherwise.")
@click.option("--scope", multiple=True, metavar="OPERATION", help="Only this operation, as in 'GET /jobs/'.")
@click.option("--days", type=int, help="How long it is good for; 90 otherwise.")
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table", show_default=True)
@pass_scale
def create_token(
    scale: Scale, name: str, role: str | None, scope: Sequence[str], days: int | None, output: str
) -> None:
    """Make a token and print it, this once, on standard output: keep it in a file that only its program can read."""
    made = scale.tokens.create(name, role=role, scope=scope, days=days)
    if output == "json":
        print_json(made)
        return
    click.echo(made["token"])
    say(f"token {made['id']} for {made['account']['name']}, {made['role']}, until {made['expires']}")


@token.command("revoke", example="scale token revoke 7")
@click.argument("token_ids", type=int, nargs=-1, required=True)
@pass_scale
def revoke_tokens(scale: Scale, token_ids: Sequence[int]) -> None:
    """Make tokens useless at once."""
    for token_id in token_ids:
        scale.tokens.revoke(token_id)
        click.echo(f"token/{token_id} revoked")
