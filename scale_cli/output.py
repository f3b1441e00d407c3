"""What commands print: data on standard output as a table, as JSON or as names; all talk goes to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

FORMATS = ("table", "json", "name")
STATUS_STYLES = {
    "COMPLETED": "green",
    "INGESTED": "green",
    "RUNNING": "cyan",
    "QUEUED": "blue",
    "FAILED": "bold red",
    "ERRORED": "bold red",
    "CANCELED": "yellow",
    "BLOCKED": "yellow",
    "PENDING": "dim",
}
Column = tuple[str, Callable[[Any], Any]]


def format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``-o table|json|name``; SCALE_OUTPUT is what it is otherwise."""
    option = click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        envvar="SCALE_OUTPUT",
        show_default=True,
        help="How to print it.",
    )
    return option(command)


def show_rows(kind: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], output: str) -> None:
    """A list, on standard output; `kind` as in ``job/17``."""
    if output == "json":
        print_json(list(rows))
    elif output == "name":
        for row in rows:
            click.echo(f"{kind}/{row['id']}")
    else:
        _show_table([title for title, _ in columns], [[_text(value(row)) for _, value in columns] for row in rows])


def show_facts(kind: str, row: Mapping[str, Any], facts: Sequence[Column], output: str) -> None:
    """One object, on standard output."""
    if output == "json":
        print_json(row)
    elif output == "name":
        click.echo(f"{kind}/{row['id']}")
    else:
        told = [(title, _text(value(row))) for title, value in facts]
        width = max(len(title) for title, _ in told)
        console = _console()
        for title, text in told:
            if text:
                console.print(f"{title:<{width}}  ", style="dim", end="")
                console.print(text, style=STATUS_STYLES.get(text))


def print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def say(text: str) -> None:
    """For people: on standard error."""
    click.echo(text, err=True)


@contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """Shows that something goes on, where somebody looks at a terminal; else each news is a line."""
    if not sys.stderr.isatty():
        yield say
        return
    with Console(stderr=True).status(text) as status:
        yield status.update


def ago(moment: str | None, now: datetime | None = None) -> str:
    """``12 min``: how long ago an ISO 8601 time was."""
    if not moment:
        return ""
    return duration(((now or datetime.now(UTC)) - _moment(moment)).total_seconds())


def seconds_between(first: str, last: str) -> float:
    """Between two ISO 8601 times."""
    return (_moment(last) - _moment(first)).total_seconds()


def duration(seconds: float) -> str:
    """In its two largest units: ``3 h 12 min``."""
    left, parts = max(0, round(seconds)), list[str]()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts) or "0 s"


def size(count: float | None) -> str:
    """Bytes in binary units: ``1.5 MiB``."""
    if count is None:
        return ""
    if count < 1024:
        return f"{count:.0f} B"
    value, units = count / 1024, iter(("KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while value >= 1024 and (larger := next(units, None)):
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}"


def name_of(kind: Mapping[str, Any]) -> str:
    return f"{kind['name']}:{kind['version']}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _console() -> Console:
    # wide enough where nobody looks at it: a file and the next program want whole lines
    is_wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=250 if is_wide else None, highlight=False, markup=False, soft_wrap=is_wide)


def _show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        say("nothing found")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title.upper(), overflow="fold")
    for row in rows:
        table.add_row(*(Text(text, style=STATUS_STYLES.get(text, "")) for text in row))
    _console().print(table)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    # what others named may hold what would steer a terminal
    return "".join(char if char.isprintable() or char == " " else "\N{REPLACEMENT CHARACTER}" for char in str(value))
