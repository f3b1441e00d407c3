"""``scale config``"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal

import click
import orjson

from scale_cli.app import FAILED, Group, Wrong, document_argument, pass_scale, read_document
from scale_cli.output import say
from scale_client import Scale

PARTS: tuple[Literal["errors", "job_types", "recipe_types"], ...] = ("errors", "job_types", "recipe_types")


@click.group("config", cls=Group)
def config() -> None:
    """Configuration: errors, job types and recipe types as a document."""


@config.command("export", example="scale config export -f scale.json --job-type thumbnailer")
@click.option("-f", "--file", "path", metavar="FILE", help="Where to; standard output otherwise.")
@click.option("--job-type", "job_types", metavar="NAME", multiple=True, help="Only this job type; may be repeated.")
@click.option("--recipe-type", "recipe_types", metavar="NAME", multiple=True, help="Only this recipe type.")
@pass_scale
def export(scale: Scale, path: str | None, job_types: Sequence[str], recipe_types: Sequence[str]) -> None:
    """Write down what is configured."""
    exported = scale.configuration.export(job_type_name=tuple(job_types), recipe_type_name=tuple(recipe_types))
    text = _pretty(exported)
    if path is None:
        click.echo(text, nl=False)
        return
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise Wrong(f"{path}: {error.strerror}") from error
    say(f"{path}: " + ", ".join(f"{len(exported.get(part, []))} {part.replace('_', ' ')}" for part in PARTS))


@config.command("import", example="scale config import scale.json --dry-run")
@document_argument
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@pass_scale
def load(scale: Scale, document: str, dry_run: bool) -> None:
    """Import a document: all of it, or nothing. FILE - is standard input."""
    wanted = read_document(document)
    said = scale.configuration.validate(wanted) if dry_run else scale.configuration.load(wanted)
    for warning in said["warnings"]:
        say(f"warning: {warning['details']}")
    say("nothing was changed" if dry_run else "imported")


@config.command("diff", example="scale config diff scale.json")
@document_argument
@pass_scale
def diff(scale: Scale, document: str) -> None:
    """What an import of FILE would change, as a diff. Exit code 1 if there is a difference."""
    wanted = read_document(document)
    if not isinstance(wanted, dict):
        raise Wrong(f"{document} is no configuration")
    there = scale.configuration.export()
    lines: list[str] = []
    for part in PARTS:
        now = {_key(item): item for item in there.get(part, [])}
        for item in wanted.get(part) or []:
            known = now.get(_key(item), {})
            # what a document does not mention stays as it is
            before = {name: known[name] for name in item if name in known}
            lines += unified_diff(
                _pretty(before).splitlines(), _pretty(item).splitlines(), f"{part}/{_key(item)}", document, lineterm=""
            )
    for line in lines:
        click.secho(line, fg={"+": "green", "-": "red"}.get(line[:1]))
    if lines:
        raise click.exceptions.Exit(FAILED)
    say("no difference")


def _key(item: Mapping[str, Any]) -> str:
    return ":".join(str(item[name]) for name in ("name", "version") if name in item)


def _pretty(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
