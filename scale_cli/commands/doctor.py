"""``scale doctor``: the one command that looks at the machine it runs on, not at the REST API alone."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from scale_cli.app import SERVER, Command
from scale_cli.output import print_json
from scale_server import doctor as examination

SIGNS = {
    examination.OK: ("✓", "green"),
    examination.DOUBTFUL: ("!", "yellow"),
    examination.WRONG: ("✗", "red"),
}


@click.command("doctor", cls=Command, example="scale doctor")
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table", show_default=True)
def doctor(output: str) -> None:
    """What is wrong with Scale on this machine, and what to do about it. Exit code 3 if anything is.

    Looks at settings, database, PostGIS, broker, Mesos, Docker, clock, disk, permissions and the API, as the
    environment (SCALE_*) and the server that runs in SCALE_HOME say.
    """
    findings = []
    for finding in examination.examine(os.environ):
        findings.append(finding)
        if output == "table":
            sign, colour = SIGNS[finding.state]
            click.secho(f"{sign} {finding.state:<8} ", fg=colour, nl=False)
            click.echo(f"{finding.what}: {finding.text}")
            if finding.remedy:
                click.echo(f"             {finding.remedy}")
    if output == "json":
        print_json([asdict(finding) for finding in findings])
    if any(finding.state == examination.WRONG for finding in findings):
        raise click.exceptions.Exit(SERVER)
