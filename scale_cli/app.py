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
            raise Wrong(str(error)) from error
        except ClientError as error:
            raise Unserved(str(error)) from error


class Failure(click.ClickException):
    def show(self, file: Any = None) -> None:
        click.echo(f"scale: {self.format_message()}", err=True)


class Failed(Failure):
    exit_code = FAILED


class Wrong(Failure):
    exit_code = WRONG


class Unserved(Failure):
    exit_code = SERVER


def connect(url: str, token: str | None) -> Scale:
    """Raises Wrong for what is no address."""
    if not url.startswith(("http://", "https://")):
        raise Wrong(f"{url} is no address; it begins with http:// or https://")
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
        raise Wrong(f"SCALE_TOKEN_FILE: {error.strerror}: {path}") from error


def read_document(path: str) -> Any:
    """The JSON of a file, or of standard input for ``-``. Raises Wrong."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        return orjson.loads(text)
    except OSError as error:
        raise Wrong(f"{path}: {error.strerror}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise Wrong(f"{path} is no JSON: {error}") from error


def document_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("document", metavar="FILE")(function)


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What whoever queues work says: with which inputs, where its outputs go, and how long to wait for its end."""
    for option in reversed(
        (
            click.option(
                "-i", "--input", "inputs", metavar="NAME=VALUE", multiple=True,
                help="A file by id or name, or a value; may be repeated.",
            ),
            click.option("-w", "--workspace", metavar="NAME", help="Where its products go."),
            click.option("--data", "document", metavar="FILE", help="Its data as JSON instead; - is standard input."),
            click.option("--wait", is_flag=True, help="Until nothing of it goes on; exit code 1 unless it completed."),
            click.option("--timeout", type=float, metavar="SECONDS", help="Wait no longer; exit code 3 then."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


pass_scale = click.make_pass_decorator(Scale)
