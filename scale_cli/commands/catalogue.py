"""The catalogue: job types, recipe types and workspaces, which are made of JSON; the queue and files."""

from __future__ import annotations

from pathlib import Path

import click

from scale_cli.app import Group, Wrong, pass_scale
from scale_cli.documents import add_create_and_edit
from scale_cli.output import ago, format_option, name_of, print_json, say, show_rows, size
from scale_client import Scale


@click.group("job-type", cls=Group)
def job_type() -> None:
    """Job types: algorithms, and what they need."""


@job_type.command("list", example="scale job-type list")
@format_option
@pass_scale
def list_job_types(scale: Scale, output: str) -> None:
    """List job types."""
    columns = [
        ("id", lambda row: row["id"]),
        ("name", name_of),
        ("title", lambda row: row["title"]),
        ("image", lambda row: row["docker_image"]),
        ("cpus", lambda row: row["cpus_required"]),
        ("mem", lambda row: f"{row['mem_required']:g} MiB"),
        ("paused", lambda row: row["is_paused"]),
    ]
    show_rows("job-type", scale.job_types.list(), columns, output)


@job_type.command("show", example="scale job-type show thumbnailer:1.0")
@click.argument("name")
@pass_scale
def show_job_type(scale: Scale, name: str) -> None:
    """All of one job type, as JSON."""
    print_json(scale.job_types.find(name))


add_create_and_edit(
    job_type,
    "job-type",
    lambda scale: scale.job_types,
    columns=[("job type", lambda row: row["id"]), ("name", name_of)],
    document="thumbnailer.json",
    existing="thumbnailer:1.0",
    create="Make a job type of the JSON in FILE; - is standard input.",
    edit="Change a job type by the fields of the JSON in FILE; all others stay as they are. - is standard input.",
)


@click.group("recipe-type", cls=Group)
def recipe_type() -> None:
    """Recipe types: graphs of job types."""


@recipe_type.command("list", example="scale recipe-type list")
@format_option
@pass_scale
def list_recipe_types(scale: Scale, output: str) -> None:
    """List recipe types."""
    columns = [
        ("id", lambda row: row["id"]),
        ("name", name_of),
        ("title", lambda row: row["title"]),
        ("jobs", lambda row: len(row["definition"].get("jobs", []))),
    ]
    show_rows("recipe-type", scale.recipe_types.list(), columns, output)


@recipe_type.command("show", example="scale recipe-type show detect-points:1.0")
@click.argument("name")
@pass_scale
def show_recipe_type(scale: Scale, name: str) -> None:
    """All of one recipe type, as JSON."""
    print_json(scale.recipe_types.find(name))


add_create_and_edit(
    recipe_type,
    "recipe-type",
    lambda scale: scale.recipe_types,
    columns=[("recipe type", lambda row: row["id"]), ("name", name_of)],
    document="detect-points.json",
    existing="detect-points:1.0",
    create="Make a recipe type of the JSON in FILE: name, version, definition, trigger_rule; - is standard input.",
    edit="Change a recipe type by the fields of the JSON in FILE; a changed definition is a new revision. - is stdin.",
)


@click.group("workspace", cls=Group)
def workspace() -> None:
    """Workspaces: where files are kept."""


@workspace.command("list", example="scale workspace list")
@format_option
@pass_scale
def list_workspaces(scale: Scale, output: str) -> None:
    """List workspaces."""
    columns = [
        ("id", lambda row: row["id"]),
        ("name", lambda row: row["name"]),
        ("title", lambda row: row["title"]),
        ("active", lambda row: row["is_active"]),
        ("used", lambda row: size(row["used_size"])),
        ("total", lambda row: size(row["total_size"])),
    ]
    show_rows("workspace", scale.workspaces.list(), columns, output)


@workspace.command("show", example="scale workspace show results")
@click.argument("name")
@pass_scale
def show_workspace(scale: Scale, name: str) -> None:
    """All of one workspace, as JSON."""
    print_json(scale.workspaces.find(name))


add_create_and_edit(
    workspace,
    "workspace",
    lambda scale: scale.workspaces,
    columns=[("workspace", lambda row: row["id"]), ("name", lambda row: row["name"])],
    document="results.json",
    existing="results",
    create="Make a workspace of the JSON in FILE; - is standard input.",
    edit="Change a workspace by the fields of the JSON in FILE; all others stay as they are. - is standard input.",
)


@click.group("queue", cls=Group)
def queue() -> None:
    """The queue: what waits, and for what."""


@queue.command("list", example="scale queue list --type thumbnailer")
@click.option("--type", "job_type_name", metavar="NAME", help="Only jobs of this type.")
@click.option("--limit", default=30, show_default=True, help="How many at most; 0 for all.")
@format_option
@pass_scale
def list_queue(scale: Scale, job_type_name: str | None, limit: int, output: str) -> None:
    """List what waits, in the order in which it is looked at."""
    columns = [
        ("place", lambda row: row["position"]),
        ("job", lambda row: row["job_id"]),
        ("type", lambda row: name_of(row["job_type"])),
        ("priority", lambda row: row["priority"]),
        ("waits", lambda row: ago(row["queued"])),
        ("reason", lambda row: row["reason"]),
    ]
    rows = ({**row, "id": row["job_id"]} for row in scale.queue.list(job_type=job_type_name, limit=limit or None))
    show_rows("job", rows, columns, output)


@click.group("file", cls=Group)
def file() -> None:
    """Files: sources and products."""


@file.command("list", example="scale file list --name ridge.tif")
@click.option("--name", metavar="NAME", help="Only files of this name.")
@click.option("--part", metavar="TEXT", help="Only files with this in their names.")
@click.option("--limit", default=30, show_default=True, help="How many at most; 0 for all.")
@format_option
@pass_scale
def list_files(scale: Scale, name: str | None, part: str | None, limit: int, output: str) -> None:
    """List files."""
    columns = [
        ("id", lambda row: row["id"]),
        ("name", lambda row: row["file_name"]),
        ("type", lambda row: row["media_type"]),
        ("size", lambda row: size(row["file_size"])),
        ("created", lambda row: f"{ago(row['created'])} ago"),
    ]
    show_rows("file", scale.files.list(file_name=name, file_name_part=part, limit=limit or None), columns, output)


@file.command("show", example="scale file show 31")
@click.argument("file_id", type=int)
@pass_scale
def show_file(scale: Scale, file_id: int) -> None:
    """All that is known of one file, as JSON."""
    print_json(scale.files.get(file_id))


@file.command("download", example="scale file download 31 --to ridge.tif")
@click.argument("file_id", type=int)
@click.option("--to", "path", metavar="FILE", help="Where to; its own name in this directory otherwise.")
@pass_scale
def download_file(scale: Scale, file_id: int, path: str | None) -> None:
    """Fetch the content of a source or product. A file that exists is not replaced."""
    to = Path(path or Path(scale.files.get(file_id)["file_name"]).name)
    if to.exists():
        raise Wrong(f"{to} exists")
    try:
        count = scale.files.download(file_id, to)
    except OSError as error:
        raise Wrong(f"{to}: {error.strerror}") from error
    say(f"{to}: {size(count)}")
