"""``scale job``"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from scale_cli import data
from scale_cli.app import Failed, Group, Wrong, pass_scale, read_document, run_options
from scale_cli.output import ago, duration, format_option, name_of, say, seconds_between, show_facts, show_rows, waiting
from scale_client import Scale
from scale_client.models import JobDetails

FOLLOW_S = 1.0
STATUSES = ("PENDING", "BLOCKED", "QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELED")
CATEGORIES = ("SYSTEM", "DATA", "ALGORITHM")


@click.group("job", cls=Group)
def job() -> None:
    """Jobs: what runs, what ran, what waits."""


@job.command("list", example="scale job list --status FAILED --since P1D --type landsat-parse")
@click.option("--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only jobs in this state.")
@click.option("--type", "job_type", metavar="NAME", help="Only jobs of this type.")
@click.option("--error", type=click.Choice(CATEGORIES, case_sensitive=False), help="Only such failures.")
@click.option("--since", metavar="TIME", help="ISO 8601: a time, or a duration such as PT3H back from now.")
@click.option("--order", default="-last_modified", show_default=True, help="Field; a minus turns it round.")
@click.option("--limit", default=30, show_default=True, help="How many at most; 0 for all.")
@format_option
@pass_scale
def list_jobs(scale: Scale, output: str, limit: int, **wanted: Any) -> None:
    """List jobs, the newest changes first."""
    jobs = scale.jobs.list(
        status=wanted["status"],
        job_type=wanted["job_type"],
        error_category=wanted["error"],
        started=wanted["since"],
        order=wanted["order"],
        limit=limit or None,
    )
    columns = [
        ("id", lambda row: row["id"]),
        ("type", lambda row: name_of(row["job_type"])),
        ("status", lambda row: row["status"]),
        ("changed", lambda row: f"{ago(row['last_modified'])} ago"),
        ("tries", lambda row: row["num_exes"]),
        ("reason", lambda row: row["reason"] or (row["error"] or {}).get("name")),
    ]
    show_rows("job", jobs, columns, output)


@job.command("show", example="scale job show 17")
@click.argument("job_id", type=int)
@format_option
@pass_scale
def show_job(scale: Scale, job_id: int, output: str) -> None:
    """One job: its state and why, its inputs, what it produced."""
    show_facts("job", scale.jobs.get(job_id), FACTS, output)


@job.command("logs", example="scale job logs 17 --follow")
@click.argument("job_id", type=int)
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option("--stderr", "stream", flag_value="stderr", help="What it wrote to standard error.")
@click.option("--stdout", "stream", flag_value="stdout", default=True, help="What it wrote to standard output.")
@click.option("--execution", type=int, help="Of an earlier attempt: the id of its execution.")
@pass_scale
def show_logs(scale: Scale, job_id: int, follow: bool, stream: str, execution: int | None) -> None:
    """What the newest attempt wrote. Exit code 1 if --follow saw it fail."""
    if not follow:
        click.echo(_log(scale, execution or _newest(scale, job_id), stream)[0], nl=False)
        return
    _end(_follow(scale, job_id, stream, execution))


@job.command("cancel", example="scale job cancel 17 18")
@click.argument("job_ids", type=int, nargs=-1, required=True)
@pass_scale
def cancel_jobs(scale: Scale, job_ids: Sequence[int]) -> None:
    """Cancel jobs; those that run are stopped."""
    for job_id in job_ids:
        scale.jobs.cancel(job_id)
        click.echo(f"job/{job_id} canceled")


@job.command("prioritise", example="scale job prioritise 17 18 --priority 50")
@click.argument("job_ids", type=int, nargs=-1, required=True)
@click.option("--priority", type=int, required=True, help="Lower is sooner.")
@pass_scale
def prioritise_jobs(scale: Scale, job_ids: Sequence[int], priority: int) -> None:
    """Give jobs that have not ended another priority."""
    changed = scale.jobs.prioritise(job_ids, priority)
    for job_id in changed:
        click.echo(f"job/{job_id} has the priority {priority}")
    if ended := [job_id for job_id in job_ids if job_id not in changed]:
        raise Failed(f"ended, and left as they are: {', '.join(map(str, ended))}")


@job.command("requeue", example="scale job requeue --type landsat-parse --error SYSTEM --since P1D")
@click.argument("job_ids", type=int, nargs=-1)
@click.option("--status", type=click.Choice(("FAILED", "CANCELED"), case_sensitive=False), help="Only these.")
@click.option("--type", "job_types", metavar="NAME", multiple=True, help="Only of this type; may be repeated.")
@click.option("--error", "errors", type=click.Choice(CATEGORIES, case_sensitive=False), multiple=True)
@click.option("--since", metavar="TIME", help="ISO 8601: a time, or a duration such as PT3H back from now.")
@click.option("--priority", type=int, help="Their new priority; lower is sooner.")
@pass_scale
def requeue_jobs(scale: Scale, job_ids: Sequence[int], job_types: Sequence[str], **wanted: Any) -> None:
    """Put failed or canceled jobs back on the queue, by id or all that match."""
    if not (job_ids or job_types or wanted["errors"] or wanted["since"] or wanted["status"]):
        raise Wrong("say which: ids, or --type, --status, --error, --since")
    count = scale.jobs.requeue(
        job_ids=job_ids,
        status=wanted["status"],
        job_types=job_types,
        error_categories=wanted["errors"],
        started=wanted["since"],
        priority=wanted["priority"],
    )
    click.echo(f"{count} job{'' if count == 1 else 's'} requeued")


@job.command("run", example="scale job run point-detector -i elevation=ridge.tif -w results --wait")
@click.argument("job_type", metavar="TYPE")
@run_options
@click.option("--follow", is_flag=True, help="Wait, and show what it writes.")
@format_option
@pass_scale
def run_job(
    scale: Scale,
    job_type: str,
    inputs: Sequence[str],
    workspace: str | None,
    document: str | None,
    wait: bool,
    follow: bool,
    timeout: float | None,
    output: str,
) -> None:
    """Queue a job of TYPE (a name, name:version or id)."""
    kind = scale.job_types.find(job_type)
    what = read_document(document) if document else data.of_job(scale, kind["interface"], inputs, workspace)
    queued = scale.jobs.run(kind["id"], what)
    say(f"job {queued['id']} is queued")
    if follow:
        _end(_follow(scale, queued["id"], "stdout", None))
    if wait:
        with waiting(f"job {queued['id']}") as tell:
            queued = scale.jobs.wait(queued["id"], timeout, lambda job: tell(f"job {job['id']} is {job['status']}"))
    show_facts("job", queued, FACTS, output)
    if wait:
        _end(queued)


def _newest(scale: Scale, job_id: int) -> int:
    executions = scale.jobs.get(job_id)["job_exes"]
    if not executions:
        raise Wrong(f"job {job_id} has not run yet")
    return max(execution["id"] for execution in executions)


def _log(scale: Scale, execution_id: int, stream: str) -> tuple[str, bool]:
    logs = scale.executions.logs(execution_id)
    return (logs["stderr"] if stream == "stderr" else logs["stdout"]), logs["is_finished"]


def _follow(scale: Scale, job_id: int, stream: str, execution: int | None) -> JobDetails:
    """Until the job has ended; each attempt from its beginning."""
    while execution is None:
        seen = scale.jobs.get(job_id)
        if seen["job_exes"]:
            execution = _newest(scale, job_id)
        elif seen["status"] in ("FAILED", "CANCELED", "COMPLETED"):
            return seen
        else:
            time.sleep(FOLLOW_S)
    shown = ""
    while True:
        text, is_finished = _log(scale, execution, stream)
        click.echo(fresh(shown, text), nl=False)
        shown = text
        if is_finished:
            seen = scale.jobs.get(job_id)
            if seen["status"] in ("FAILED", "CANCELED", "COMPLETED"):
                return seen
            if (newest := _newest(scale, job_id)) != execution:
                say(f"attempt {seen['num_exes']} begins")
                execution, shown = newest, ""
        time.sleep(FOLLOW_S)


def fresh(shown: str, text: str) -> str:
    """What of `text` was not shown yet. Of very long logs the middle is left out, and moves on."""
    if text.startswith(shown):
        return text[len(shown) :]
    tail = shown[-200:]
    at = text.rfind(tail)
    return text[at + len(tail) :] if at >= 0 else text


def _end(ended: JobDetails) -> None:
    if ended["status"] != "COMPLETED":
        error, executions = ended["error"], ended["job_exes"]
        said = max(executions, key=lambda execution: execution["id"])["message"] if executions else ""
        why = ended["reason"] or said or (error["title"] or error["name"] if error else "")
        raise Failed(f"job {ended['id']} is {ended['status']}{f': {why}' if why else ''}")


def _took(row: Any) -> str:
    return duration(seconds_between(row["started"], row["ended"])) if row["started"] and row["ended"] else ""


FACTS = [
    ("job", lambda row: row["id"]),
    ("type", lambda row: name_of(row["job_type"])),
    ("status", lambda row: row["status"]),
    ("why", lambda row: row["waiting"]["reason"] if row["waiting"] else row["reason"]),
    ("error", lambda row: row["error"] and f"{row['error']['name']} ({row['error']['category']})"),
    ("attempt", lambda row: f"{row['retry']['attempt']} of {row['retry']['max_tries']}"),
    ("decision", lambda row: row["retry"]["decision"]),
    ("next try", lambda row: row["retry"]["next"]),
    ("priority", lambda row: row["priority"]),
    ("queued", lambda row: row["queued"]),
    ("started", lambda row: row["started"]),
    ("took", _took),
    ("inputs", lambda row: ", ".join(f"{item['file_name']} ({item['id']})" for item in row["input_files"])),
    ("products", lambda row: ", ".join(f"{item['file_name']} ({item['id']})" for item in row["products"])),
    ("executions", lambda row: ", ".join(f"{item['id']} {item['status']}" for item in row["job_exes"])),
]
