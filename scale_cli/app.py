"""What all commands share: which Scale they talk to, how files and inputs are given, and the exit codes.

Exit codes: 0 done; 1 a job or recipe failed; 2 the command or its input is wrong; 3 Scale does not answer, refuses, or
took too long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from scale_client import ClientError, Conflict, Invalid, NotFound, Scale

DEFAULT_URL = "http://127.0.0.1:8000"
FAILED, WRONG, SERVER = 1, 2, 3


class Command(click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *arguments: Any, example: str = "", **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write_text(line)


class Group(click.Group):
    command_class = Command

    def invoke(self, ctx: click.Context) -> Any:
        """Errors of the API end the command in their own words."""
        try:
            return super().invoke(ctx)
        except (NotFound, Invalid, Conflict) as error:
            raise Failure(str(error), WRONG) from error
        except ClientError as error:
            raise Failure(str(error), SERVER) from error


class Failure(click.ClickException):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # of this error, as click itself does it

    def show(self, file: Any = None) -> None:
        click.echo(f"scale: {self.format_message()}", err=True)


def connect(url: str, token: str | None) -> Scale:
    """Raises Failure for what is no address."""
    if not url.startswith(("http://", "https://")):
        raise Failure(f"{url} is no address; it begins with http:// or https://", WRONG)
    return Scale(url, token)


def read_token() -> str | None:
    """SCALE_TOKEN, or what is in the file that SCALE_TOKEN_FILE names: never a command line, which others can see."""
    if token := os.environ.get("SCALE_TOKEN"):
        return token
    path = os.environ.get("SCALE_TOKEN_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise Failure(f"SCALE_TOKEN_FILE: {error.strerror}: {path}", WRONG) from error


def read_document(path: str) -> Any:
    """The JSON of a file, or of standard input for ``-``. Raises Failure."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        return orjson.loads(text)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", WRONG) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise Failure(f"{path} is no JSON: {error}", WRONG) from error


def document_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("document", metavar="FILE")(function)


pass_scale = click.make_pass_decorator(Scale)
