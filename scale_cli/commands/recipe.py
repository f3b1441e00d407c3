"""``scale recipe``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from scale_cli import data
from scale_cli.app import Failed, Group, pass_scale, read_document, run_options
from scale_cli.output import ago, format_option, name_of, say, show_facts, show_rows, waiting
from scale_client import Scale
from scale_client.models import RecipeDetails


@click.group("recipe", cls=Group)
def recipe() -> None:
    """Recipes: graphs of jobs."""


@recipe.command("list", example="scale recipe list --type elevation --since P7D")
@click.option("--type", "recipe_type", metavar="NAME", help="Only recipes of this type.")
@click.option("--since", metavar="TIME", help="ISO 8601: a time, or a duration such as PT3H back from now.")
@click.option("--limit", default=30, show_default=True, help="How many at most; 0 for all.")
@format_option
@pass_scale
def list_recipes(scale: Scale, recipe_type: str | None, since: str | None, limit: int, output: str) -> None:
    """List recipes, the newest changes first."""
    columns = [
        ("id", lambda row: row["id"]),
        ("type", lambda row: name_of(row["recipe_type"])),
        ("created", lambda row: f"{ago(row['created'])} ago"),
        ("completed", lambda row: row["completed"]),
    ]
    show_rows(
        "recipe", scale.recipes.list(recipe_type=recipe_type, started=since, limit=limit or None), columns, output
    )


@recipe.command("show", example="scale recipe show 4")
@click.argument("recipe_id", type=int)
@format_option
@pass_scale
def show_recipe(scale: Scale, recipe_id: int, output: str) -> None:
    """One recipe: its jobs, and how far they are."""
    _show(scale.recipes.get(recipe_id), output)


@recipe.command("run", example="scale recipe run elevation:1.0 -i picture=31 -w results --wait")
@click.argument("recipe_type", metavar="TYPE")
@run_options
@format_option
@pass_scale
def run_recipe(
    scale: Scale,
    recipe_type: str,
    inputs: Sequence[str],
    workspace: str | None,
    document: str | None,
    wait: bool,
    timeout: float | None,
    output: str,
) -> None:
    """Queue a recipe of TYPE (a name, name:version or id)."""
    kind = scale.recipe_types.find(recipe_type)
    what = read_document(document) if document else data.of_recipe(scale, kind["definition"], inputs, workspace)
    made = scale.recipes.run(kind["id"], what)
    say(f"recipe {made['id']} is queued")
    if wait:
        with waiting(f"recipe {made['id']}") as tell:
            made = scale.recipes.wait(made["id"], timeout, lambda seen: tell(_line(seen)))
    _show(made, output)
    if wait and not made["completed"]:
        unfinished = [job["job_name"] for job in made["jobs"] if job["job"]["status"] != "COMPLETED"]
        raise Failed(f"recipe {made['id']} is not completed: {', '.join(unfinished)}")


def _line(seen: RecipeDetails) -> str:
    return f"recipe {seen['id']}: " + ", ".join(f"{job['job_name']} {job['job']['status']}" for job in seen["jobs"])


def _show(seen: RecipeDetails, output: str) -> None:
    show_facts("recipe", seen, FACTS, output)
    if output == "table":
        click.echo()
        columns = [
            ("name", lambda row: row["job_name"]),
            ("job", lambda row: row["job"]["id"]),
            ("type", lambda row: name_of(row["job"]["job_type"])),
            ("status", lambda row: row["job"]["status"]),
            ("reason", lambda row: row["job"]["reason"]),
        ]
        show_rows("job", seen["jobs"], columns, output)


FACTS: list[tuple[str, Any]] = [
    ("recipe", lambda row: row["id"]),
    ("type", lambda row: name_of(row["recipe_type"])),
    ("created", lambda row: row["created"]),
    ("completed", lambda row: row["completed"]),
    ("inputs", lambda row: ", ".join(f"{item['file_name']} ({item['id']})" for item in row["input_files"])),
]
