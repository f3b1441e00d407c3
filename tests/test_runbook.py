"""docs/runbook.md: whoever is called at night can do what it says: commands and settings that it names exist."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from scale_cli.__main__ import scale
from scale_core.seed import ERRORS
from scale_core.settings import CHECKOUT
from scale_server.supervisor import read_procfile
from tests.test_documentation import documented_settings

TEXT = (CHECKOUT / "docs" / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
# What Linux, its packages and Mesos bring; everything else must be ours.
OF_THE_SYSTEM = {"systemctl", "journalctl", "psql", "redis-cli", "docker", "curl", "mount", "umount", "df", "du"}


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


def test_there_are_twenty_failures_each_with_all_that_one_needs() -> None:
    assert len(SECTIONS) >= 20
    for title, body in SECTIONS.items():
        parts = [body.index(part) for part in ("**You see**", "**It means**", "**Do**", "```sh\n")]
        assert parts == sorted(parts), title


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_exist(command: list[str]) -> None:
    program, *arguments = command
    if program == "script/scale":
        parse(scale, "scale", arguments)
    elif program in OF_THE_SYSTEM:
        units = {argument for argument in arguments if argument.startswith("scale-")}
        assert {f"scale-{name}" for name in read_procfile(CHECKOUT / "Procfile", without=[])} >= units
    else:
        path = CHECKOUT / program
        assert path.stat().st_mode & 0o100, f"{program} is no program"
        assert arguments[0] in path.read_text()


def parse(command: click.Command, name: str, arguments: list[str], parent: click.Context | None = None) -> None:
    """Let click read the arguments as it would before running the command; raises UsageError."""
    context = command.make_context(name, list(arguments), parent=parent)
    if isinstance(command, click.Group):
        found, inner, rest = command.resolve_command(context, list(arguments))
        assert found is not None
        assert inner is not None
        parse(inner, found, rest, context)


def test_settings_exist() -> None:
    named = set(re.findall(r"\bSCALE_[A-Z_]+", TEXT))
    assert len(named) > 10
    assert named - set(documented_settings()) == set()


def test_errors_exist() -> None:
    known = {name for name, *_ in ERRORS}
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", TEXT))
    assert len(named) >= 5
    assert named - known == set()
