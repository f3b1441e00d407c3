"""What the person in front of the demo sees: a spinner and tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH_OF_A_LOG = 160


class Display:
    def __init__(self) -> None:
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console = Console(highlight=False, width=WIDTH_OF_A_LOG)

    def say(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)

    def title(self, text: str) -> None:
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show that something is being done, and how long it took."""
        started = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(escape(text)):
                yield
            mark = "[green]✔[/green]"
        else:
            self.say(f"  {text} …")
            yield
            mark = " "
        self._console.print(f"{mark} {escape(text)} [dim]({time.monotonic() - started:.1f} s)[/dim]", soft_wrap=True)

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()
    ) -> None:
        """`right` names the columns that are set flush right."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column, justify="right" if column in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(escape, row))
        self._console.print()
        self._console.print(table)
