"""``scale``, also ``python -m scale_cli``."""

from __future__ import annotations

import sys

import click

from scale_cli.app import DEFAULT_URL, SERVER, WRONG, Command, Group, connect, read_token
from scale_cli.commands import catalogue, config, doctor, ingest, job, node, recipe, status, strike, token

SHELLS = ("bash", "zsh", "fish")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--url", envvar="SCALE_URL", default=DEFAULT_URL, show_default=True, help="The address of Scale.")
@click.pass_context
def scale(context: click.Context, url: str) -> None:
    """See and steer Scale. SCALE_TOKEN or SCALE_TOKEN_FILE hold the API token, where accounts are on.

    Exit codes: 0 done; 1 a job or recipe failed; 2 the command or its input is wrong; 3 Scale does not answer, refuses,
    or took too long.
    """
    context.obj = connect(url, read_token())


@click.command("completion", cls=Command, example='eval "$(scale completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands and options."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three shells"
    click.echo(kind(scale, {}, "scale", "_SCALE_COMPLETE").source())


for command in (
    status.status,
    status.pause,
    status.resume,
    doctor.doctor,
    job.job,
    recipe.recipe,
    ingest.ingest,
    strike.strike,
    node.node,
    token.token,
    config.config,
    catalogue.job_type,
    catalogue.recipe_type,
    catalogue.workspace,
    catalogue.queue,
    catalogue.file,
    completion,
):
    scale.add_command(command)


def main() -> int:
    """Returns the exit code."""
    try:
        ended = scale.main(prog_name="scale", standalone_mode=False)
        return ended if isinstance(ended, int) else 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        click.echo("scale: stopped", err=True)
        return SERVER
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # who reads our output has had enough
        sys.stderr.close()
        return 0
    except OSError as error:
        click.echo(f"scale: {error}", err=True)
        return WRONG


if __name__ == "__main__":
    sys.exit(main())
