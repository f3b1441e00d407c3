"""Steady work while things break: jobs, recipes whose second job reads what the first made, and files that arrive."""

from __future__ import annotations

import random
import shlex
import threading
import time
from pathlib import Path
from typing import Any

import psycopg2

from faults.system import System

PAUSE_S = 0.12
MAX_TRIES = 30  # while a disk is full each try fails by Scale's own errors; none of the load's jobs fails by itself
MOST_OPEN = 40  # jobs; a cluster that stands still is not buried
DECK = ("quick",) * 7 + ("long",) * 2 + ("recipe",) * 2 + ("file",) * 3

# Holds a lock for as long as anything of it lives, so that two runs of one job at a time are seen by themselves.
SCRIPT = """#!/bin/sh
# load.sh DIRECTORY SECONDS [INPUT]
exec 9>>"$1/lock.$SCALE_JOB_ID"
if ! flock -n 9; then
    read -r now _ </proc/uptime
    printf '{"kind": "doubled", "at": %s, "process": "job", "pid": %s, "job_id": %s}\\n' \\
        "$now" "$$" "$SCALE_JOB_ID" >>"$1/history/job-0.jsonl"
fi
sleep "$2"
if [ -n "$3" ]; then cat "$3" >made.txt; else echo "$SCALE_JOB_ID" >made.txt; fi
echo ARTIFACT:made:made.txt
"""


class Load(threading.Thread):
    """Runs until `finish`. What clients were promised: `jobs`, `recipes`, and `files` by name."""

    def __init__(self, system: System, seed: int) -> None:
        super().__init__(name="load", daemon=True)
        self._system, self._dice = system, random.Random(seed)  # noqa: S311 - no secret
        self._finishing = threading.Event()
        self.jobs: list[int] = []
        self.recipes: list[int] = []
        self.files: list[str] = []
        self.probed = 0  # the job of the newest probe
        self.trouble: Exception | None = None
        self._prepare()

    def finish(self) -> None:
        self._finishing.set()
        self.join()

    def probe(self) -> int:
        """A job that is queued now, however long that takes."""
        made = self._system.post("queue/new-job/", self._job("quick"))
        self.jobs.append(made["id"])
        self.probed = int(made["id"])
        return self.probed

    def run(self) -> None:
        deck: list[str] = []
        while not self._finishing.wait(PAUSE_S):
            if not deck:
                deck = list(DECK)
                self._dice.shuffle(deck)
            try:
                if self._is_full():
                    continue
                self._add(deck.pop())
            except Exception as error:  # the campaign shows it
                self.trouble = error
                return

    def _add(self, kind: str) -> None:
        if kind == "file":
            self._drop(f"file-{len(self.files)}.txt")
        elif kind == "recipe":
            body = {"recipe_type_id": self._recipe_type, "recipe_data": self._recipe_data}
            if made := self._system.post("queue/new-recipe/", body, self._finishing.is_set):
                self.recipes.append(made["id"])
        elif made := self._system.post("queue/new-job/", self._job(kind), self._finishing.is_set):
            self.jobs.append(made["id"])

    def _drop(self, name: str) -> None:
        arriving = self._incoming.parent / "arriving"
        arriving.write_text(f"{name}\n" * 100)
        arriving.rename(self._incoming / name)
        self.files.append(name)

    def _is_full(self) -> bool:
        statement = "SELECT count(*) FROM job WHERE status IN ('PENDING', 'QUEUED', 'RUNNING')"
        try:
            return self._system.sql(statement)[0][0] > MOST_OPEN
        except psycopg2.Error:
            return False

    def _job(self, kind: str) -> dict[str, Any]:
        made = [{"name": "made", "workspace_id": self.workspace_id}]
        return {"job_type_id": self._types[kind], "job_data": {"version": "1.0", "output_data": made}}

    # --------------------------------------------------------------------------------------------------------- set-up

    def _prepare(self) -> None:
        home = self._system.home
        script = home / "load.sh"
        script.write_text(SCRIPT)
        self.root, self._incoming = self._system.made, home / "incoming"
        for directory in (self.root, self._incoming, home / "arrived"):
            directory.mkdir(exist_ok=True)
        self.workspace_id = self._make_workspace("made", self.root)
        self._make_workspace("arrived", home / "arrived")
        self._types = {
            "quick": self._make_type("quick", script, 0.1),
            "long": self._make_type("long", script, 2.0),
        }
        self._make_type("second", script, 0.1, reads=True)
        rule = {
            "type": "INGEST",
            "is_active": True,
            "configuration": {
                "version": "1.0",
                "condition": {"media_type": "text/plain", "data_types": ["load"]},
                "data": {"input_data_name": "input", "workspace_name": "made"},
            },
        }
        self.triggered_type = self._make_type("triggered", script, 0.1, reads=True, trigger_rule=rule)
        self._recipe_type = self._make_recipe_type()
        self._recipe_data = {"version": "1.0", "input_data": [], "workspace_id": self.workspace_id}
        wanted = {"filename_regex": ".*txt", "data_types": ["load"], "workspace_path": "/", "workspace_name": "arrived"}
        self._make_strike("load", self._incoming, {**wanted, "workspace_path": "/incoming"})
        if self._system.mount is not None:
            self._make_strike("far", self._system.mount.point, {**wanted, "filename_regex": "near.*"})

    def _make_workspace(self, name: str, root: Path) -> int:
        broker = {"type": "host", "host_path": str(root)}
        body = {"name": name, "json_config": {"version": "1.0", "broker": broker}}
        return int(self._system.post("workspaces/", body)["id"])

    def _make_type(self, name: str, script: Path, seconds: float, reads: bool = False, **fields: Any) -> int:
        arguments = f"{shlex.quote(str(script))} {shlex.quote(str(self._system.home))} {seconds}"
        interface = {
            "version": "1.0",
            "command": "/bin/sh",
            "command_arguments": arguments + (" ${input}" if reads else ""),
            "input_data": [{"name": "input", "type": "file"}] if reads else [],
            "output_data": [{"name": "made", "type": "file", "media_type": "text/x-made"}],
        }
        small = {"max_tries": MAX_TRIES, "cpus_required": 0.25, "mem_required": 16, "disk_out_const_required": 1}
        body = {"name": name, "version": "1.0", "interface": interface, **small, **fields}
        return int(self._system.post("job-types/", body)["id"])

    def _make_recipe_type(self) -> int:
        link = {"name": "first", "connections": [{"output": "made", "input": "input"}]}
        jobs = [
            {"name": "first", "job_type": {"name": "quick", "version": "1.0"}},
            {"name": "second", "job_type": {"name": "second", "version": "1.0"}, "dependencies": [link]},
        ]
        definition = {"version": "1.0", "input_data": [], "jobs": jobs}
        body = {"name": "two", "version": "1.0", "definition": definition}
        return int(self._system.post("recipe-types/", body)["id"])

    def _make_strike(self, name: str, directory: Path, rule: dict[str, Any]) -> None:
        configuration = {
            "version": "1.0",
            "mount": f"localhost:{directory}",
            "transfer_suffix": "_tmp",
            "files_to_ingest": [rule],
        }
        self._system.post("strike/create/", {"name": name, "configuration": configuration})


def open_jobs(system: System) -> dict[int, str]:
    """What has yet to end, but for the Strike, which never does."""
    statement = """
        SELECT j.id, j.status FROM job j JOIN job_type t ON t.id = j.job_type_id
        WHERE j.status IN ('PENDING', 'QUEUED', 'RUNNING') AND NOT t.is_long_running"""
    return dict(system.sql(statement))


def missing_files(system: System, names: list[str]) -> set[str]:
    """Dropped files that have not yet come out of the job that they trigger."""
    statement = """
        SELECT f.file_name FROM scale_file f
        JOIN job j ON (j.data -> 'input_data' -> 0 ->> 'file_id')::bigint = f.id AND j.status = 'COMPLETED'
        WHERE f.file_type = 'SOURCE'"""
    return set(names) - {name for (name,) in system.sql(statement)}


def patiently(look: Any, until: float) -> Any:
    """What `look` says once PostgreSQL answers; None when it does not until then (monotonic seconds)."""
    while time.monotonic() < until:
        try:
            return look()
        except psycopg2.Error:
            time.sleep(0.1)
    return None
