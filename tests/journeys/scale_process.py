"""A whole Scale for tests: `python -m scale_server` in a home of its own, its REST API and its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import requests

from scale_core.settings import CHECKOUT
from scale_server import ports, postgres
from scale_server.supervisor import read_procfile
from tests import prepared
from tests.patience import PATIENCE_S, wait_for

# what the command line of each process contains
MARKS = {
    "api": "gunicorn",
    "worker": "scale_worker.celery_app worker",
    "beat": "scale_worker.celery_bare beat",
    "scheduler": "scale_worker.mesos",
    "devcluster": "scale_worker.devcluster",
    "executor": "scale_worker.executor",
}


@dataclass
class Scale:
    """A running server. `get`, `post`, `patch` speak JSON with its REST API; a refusal fails the test."""

    home: Path
    address: str
    process: subprocess.Popen[bytes]
    session: requests.Session = field(default_factory=requests.Session)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.address + path, timeout=30, **options)

    def get(self, path: str, **query: Any) -> Any:
        return self._json(self.request("GET", path, params=query))

    def post(self, path: str, body: Any) -> Any:
        return self._json(self.request("POST", path, json=body))

    def patch(self, path: str, body: Any) -> Any:
        return self._json(self.request("PATCH", path, json=body))

    def results(self, path: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(path, page_size=1000, **query)["results"]
        return found

    @staticmethod
    def _json(response: requests.Response) -> Any:
        assert response.ok, f"{response.request.method} {response.url}: {response.status_code} {response.text[:2000]}"
        return response.json()

    # ------------------------------------------------------------------------------------------------------ processes

    def pids(self, name: str) -> list[int]:
        """Processes of that Procfile line (or "executor") that belong to this server."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            line = " ".join(process.info["cmdline"] or ())
            if MARKS[name] in line and self._owns(process.info["environ"] or {}):
                found.append(process.pid)
        return sorted(found)

    def _owns(self, environ: dict[str, str]) -> bool:
        """An executor gets its environment from its agent, as on a real cluster: there only its sandbox tells."""
        sandbox = environ.get("MESOS_DIRECTORY", "")
        return environ.get("SCALE_TEST_HOME") == str(self.home) or Path(sandbox).is_relative_to(self.home)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal every process of that name, as soon as there is one; SIGKILL as a crash would."""
        for pid in wait_for(f"a process {name}", lambda: self.pids(name)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def log(self, name: str) -> str:
        return (self.home / "logs" / f"{name}.log").read_text(errors="replace")

    def refused(self, path: str, body: Any, method: str = "POST") -> str:
        """The text of the 400 that this must be answered with."""
        response = self.request(method, path, json=body)
        assert response.status_code == 400, f"{response.status_code} {response.text}"
        return response.text

    def run_sql(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database says, where the REST API has no way to ask. The server need not be well."""
        connection = psycopg2.connect(postgres.url(self.home), connect_timeout=10)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    # ----------------------------------------------------------------------------------------------------------- jobs

    def make_workspace(self, name: str) -> tuple[int, Path]:
        """(id, directory)"""
        root = self.home / "workspaces" / name
        root.mkdir(parents=True, exist_ok=True)
        config = {"version": "1.0", "broker": {"type": "host", "host_path": str(root)}}
        return self.post("workspaces/", {"name": name, "json_config": config})["id"], root

    def make_job_type(self, name: str, command: str, arguments: str = "", **fields: Any) -> dict[str, Any]:
        """A small job type; `inputs` and `outputs` are the interface's lists."""
        interface = {
            "version": "1.0",
            "command": command,
            "command_arguments": arguments,
            "input_data": fields.pop("inputs", []),
            "output_data": fields.pop("outputs", []),
        }
        small = {"cpus_required": 0.1, "mem_required": 32, "disk_out_const_required": 1}
        given = {"name": name, "version": "1.0", "interface": interface, **small, **fields}
        made: dict[str, Any] = self.post("job-types/", given)
        return made

    def make_strike(self, name: str, rules: list[dict[str, Any]], suffix: str = "_tmp") -> tuple[int, Path]:
        """(id, directory); `rules` are the configuration's files_to_ingest."""
        directory = self.home / "incoming" / name
        directory.mkdir(parents=True)
        body = {"name": name, "configuration": strike_configuration(directory, rules, suffix)}
        return self.post("strike/create/", body)["strike_id"], directory

    def make_recipe_type(self, name: str, **definition: Any) -> int:
        """`definition`: input_data and jobs; returns its id."""
        body = {"name": name, "version": "1.0", "definition": {"version": "1.0", **definition}}
        return int(self.post("recipe-types/", body)["id"])

    def ingest_file(self, strike_directory: Path, file_name: str, content: bytes) -> dict[str, Any]:
        """Let a file arrive at once under its final name; the source file that it becomes."""
        hidden = strike_directory.parent / f"{strike_directory.name}.arriving"
        hidden.write_bytes(content)
        hidden.rename(strike_directory / file_name)
        ingest = self.ingest_until(file_name, "INGESTED")
        source: dict[str, Any] = ingest["source_file"]
        return source

    def ingest_until(self, file_name: str, *statuses: str) -> dict[str, Any]:
        """The newest ingest of that name, once it has one of the statuses."""

        def look() -> dict[str, Any] | None:
            known = self.results("ingests/", file_name=file_name)
            newest = max(known, key=lambda found: found["id"], default=None)
            return newest if newest and newest["status"] in statuses else None

        try:
            return wait_for(f"the ingest of {file_name!r} to be {' or '.join(statuses)}", look)
        except AssertionError as error:
            known = self.results("ingests/", file_name=file_name)
            raise AssertionError(f"{error}; there are {[(i['status'], i['reason']) for i in known]}") from None

    def content(self, file_id: int) -> bytes:
        response = self.request("GET", f"files/{file_id}/content/")
        assert response.ok, response.text
        return response.content

    def queue(self, job_type: dict[str, Any], **data: Any) -> int:
        """Queue a job; returns its id."""
        body = {"job_type_id": job_type["id"], "job_data": {"version": "1.0", **data}}
        return int(self.post("queue/new-job/", body)["id"])

    def job(self, job_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"jobs/{job_id}/")
        return found

    def until(self, job_id: int, *statuses: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """The job, once it has one of the statuses."""

        def look() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in statuses else None

        try:
            return wait_for(f"job {job_id} to be {' or '.join(statuses)}", look, patience_s)
        except AssertionError as error:
            job = self.job(job_id)
            raise AssertionError(f"{error}; it is {job['status']} ({job.get('waiting')}): {job['job_exes']}") from None

    def logs(self, job: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"job-executions/{job['job_exes'][0]['id']}/logs/")
        return found


def strike_configuration(directory: Path, rules: list[dict[str, Any]], suffix: str = "_tmp") -> dict[str, Any]:
    return {"version": "1.0", "mount": f"localhost:{directory}", "transfer_suffix": suffix, "files_to_ingest": rules}


@contextmanager
def scale(home: Path, checkout: Path = CHECKOUT, from_nothing: bool = False, **environment: str) -> Iterator[Scale]:
    """A server of its own until the end of the block; stopped in order, and nothing may be left over.

    It has no Flower, on which nothing depends. `from_nothing`: with everything, and it makes its own database, as for a
    newcomer. `checkout` may be of another version: its packages are looked for there alone.
    """
    home.mkdir(parents=True, exist_ok=True)
    procfile = checkout / "Procfile"
    if not from_nothing:
        procfile = home / "Procfile"
        commands = read_procfile(checkout / "Procfile", without=["flower"])
        procfile.write_text("".join(f"{name}: {command}\n" for name, command in commands.items()))
        if "SCALE_DATABASE_URL" not in environment:
            prepared.give(home)
    port = ports.free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SCALE_")},
        "SCALE_HOME": str(home),
        "SCALE_TEST_HOME": str(home),
        "SCALE_PORT": str(port),
        "SCALE_API_WORKERS": "1",
        "PYTHONPATH": str(checkout),
        **environment,
    }
    with (home / "server.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "scale_server", "--procfile", str(procfile)],
            cwd=checkout, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    running = Scale(home, f"http://127.0.0.1:{port}/", process)
    running.session.trust_env = False
    try:
        wait_for("Scale to be ready", lambda: _is_ready(running), 120.0)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        left = {name: running.pids(name) for name in MARKS}
        assert not any(left.values()), f"processes were left behind: {left}"
    assert process.returncode == 0


def _is_ready(running: Scale) -> bool:
    assert running.process.poll() is None, (running.home / "server.out").read_text()[-3000:]
    try:
        status = running.request("GET", "status/")
    except requests.ConnectionError:
        return False
    return status.ok and status.json()["scheduler"]["is_online"] and bool(running.get("nodes/")["count"])
