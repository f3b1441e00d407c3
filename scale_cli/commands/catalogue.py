"""The catalogue: job types, recipe types and workspaces, which are made of JSON; the queue and files."""

from __future__ import annotations

from pathlib import Path

import click

from scale_cli.app import Group, Wrong, document_argument, dry_run_option, pass_scale, read_document, read_valid
from scale_cli.output import Column, ago, format_option, name_of, print_json, say, show_facts, show_rows, size
from scale_client import Scale

NAMED_WORKSPACE: list[Column] = [("workspace", lambda row: row["id"]), ("name", lambda row: row["name"])]


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


@job_type.command("create", example="scale job-type create thumbnailer.json")
@document_argument
@dry_run_option
@format_option
@pass_scale
def create_job_type(scale: Scale, document: str, dry_run: bool, output: str) -> None:
    """Make a job type of the JSON in FILE; - is standard input."""
    wanted = read_valid(document, scale.job_types.validate, dry_run)
    if wanted is not None:
        show_facts("job-type", scale.job_types.create(wanted), _versioned("job type"), output)


@job_type.command("edit", example="scale job-type edit thumbnailer:1.0 changes.json")
@click.argument("name")
@document_argument
@format_option
@pass_scale
def edit_job_type(scale: Scale, name: str, document: str, output: str) -> None:
    """Change a job type by the fields of the JSON in FILE; all others stay as they are. - is standard input."""
    changed = scale.job_types.edit(scale.job_types.find(name)["id"], read_document(document))
    show_facts("job-type", changed, _versioned("job type"), output)


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


@recipe_type.command("create", example="scale recipe-type create detect-points.json")
@document_argument
@dry_run_option
@format_option
@pass_scale
def create_recipe_type(scale: Scale, document: str, dry_run: bool, output: str) -> None:
    """Make a recipe type of the JSON in FILE: name, version, definition, trigger_rule; - is standard input."""
    wanted = read_valid(document, scale.recipe_types.validate, dry_run)
    if wanted is not None:
        show_facts("recipe-type", scale.recipe_types.create(wanted), _versioned("recipe type"), output)


@recipe_type.command("edit", example="scale recipe-type edit detect-points:1.0 changes.json")
@click.argument("name")
@document_argument
@format_option
@pass_scale
def edit_recipe_type(scale: Scale, name: str, document: str, output: str) -> None:
    """Change a recipe type by the fields of the JSON in FILE; a changed definition is a new revision. - is stdin."""
    changed = scale.recipe_types.edit(scale.recipe_types.find(name)["id"], read_document(document))
    show_facts("recipe-type", changed, _versioned("recipe type"), output)


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


@workspace.command("create", example="scale workspace create results.json")
@document_argument
@dry_run_option
@format_option
@pass_scale
def create_workspace(scale: Scale, document: str, dry_run: bool, output: str) -> None:
    """Make a workspace of the JSON in FILE; - is standard input."""
    wanted = read_valid(document, scale.workspaces.validate, dry_run)
    if wanted is not None:
        show_facts("workspace", scale.workspaces.create(wanted), NAMED_WORKSPACE, output)


@workspace.command("edit", example="scale workspace edit results changes.json")
@click.argument("name")
@document_argument
@format_option
@pass_scale
def edit_workspace(scale: Scale, name: str, document: str, output: str) -> None:
    """Change a workspace by the fields of the JSON in FILE; all others stay as they are. - is standard input."""
    changed = scale.workspaces.edit(scale.workspaces.find(name)["id"], read_document(document))
    show_facts("workspace", changed, NAMED_WORKSPACE, output)


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
@click.option("--limit", default=30, show_default=True, help="How many at most; 0 for all.")
@format_option
@pass_scale
def list_files(scale: Scale, name: str | None, limit: int, output: str) -> None:
    """List files."""
    columns = [
        ("id", lambda row: row["id"]),
        ("name", lambda row: row["file_name"]),
        ("type", lambda row: row["media_type"]),
        ("size", lambda row: size(row["file_size"])),
        ("created", lambda row: f"{ago(row['created'])} ago"),
    ]
    show_rows("file", scale.files.list(file_name=name, limit=limit or None), columns, output)


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


def _versioned(title: str) -> list[Column]:
    return [(title, lambda row: row["id"]), ("name", name_of)]
