"""The nouns that are mostly looked up: job types, recipe types, workspaces, the queue, files."""

from __future__ import annotations

from pathlib import Path

import click

from scale_cli.app import Group, Wrong, document_argument, pass_scale, read_document
from scale_cli.output import ago, format_option, name_of, print_json, say, show_facts, show_rows, size
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


@job_type.command("create", example="scale job-type create thumbnailer.json")
@document_argument
@click.option("--dry-run", is_flag=True, help="Only say what is wrong with it or doubtful.")
@format_option
@pass_scale
def create_job_type(scale: Scale, document: str, dry_run: bool, output: str) -> None:
    """Make a job type of the JSON in FILE; - is standard input."""
    wanted = read_document(document)
    for warning in scale.job_types.validate(wanted)["warnings"]:
        say(f"warning: {warning['details']}")
    if dry_run:
        say("nothing was created")
        return
    made = scale.job_types.create(wanted)
    show_facts("job-type", made, [("job type", lambda row: row["id"]), ("name", name_of)], output)


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


@workspace.command("create", example="scale workspace create results.json")
@document_argument
@format_option
@pass_scale
def create_workspace(scale: Scale, document: str, output: str) -> None:
    """Make a workspace of the JSON in FILE; - is standard input."""
    made = scale.workspaces.create(read_document(document))
    show_facts("workspace", made, [("workspace", lambda row: row["id"]), ("name", lambda row: row["name"])], output)


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
