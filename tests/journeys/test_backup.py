"""docs/backup.md: the database is dumped while jobs run, lost, restored; Mesos has lived on meanwhile."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from scale_core.settings import CHECKOUT
from scale_server import postgres
from tests.devcluster_process import Cluster, devcluster
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
UNTIL = (
    'while [ ! -e "$0" ]; do /bin/sleep 0.05; done; '
    'basename "$0" > "$SCALE_OUTPUT_DIR/made.txt"; echo ARTIFACT:made:made.txt'
)
TEXT = {"name": "gate", "type": "property"}
MADE = {"name": "made", "type": "file", "media_type": "text/plain"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    postgres.destroy(tmp_path / "home")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Beside Scale, as a real Mesos is: it outlives Scale's processes and its database."""
    with devcluster(tmp_path / "cluster", cpus=2) as running:
        yield running


def documented(program: str) -> str:
    (line,) = re.findall(rf"^{program} .*$", (CHECKOUT / "docs" / "backup.md").read_text(), re.MULTILINE)
    return str(line)


def run(command: str, home: Path, directory: Path) -> str:
    env = {
        **os.environ,
        "PATH": f"{postgres.programs()}:{os.environ['PATH']}",
        "SCALE_DATABASE_URL": postgres.url(home),
    }
    result = subprocess.run(command, shell=True, cwd=directory, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def processes_with(gate: Path) -> list[int]:
    return [each.pid for each in psutil.process_iter(["cmdline"]) if str(gate) in (each.info["cmdline"] or ())]


def queue(scale: Scale, job_type: dict[str, Any], workspace: int, gate: Path) -> int:
    inputs = [{"name": "gate", "value": str(gate)}]
    return scale.queue(job_type, input_data=inputs, output_data=[{"name": "made", "workspace_id": workspace}])


def test_nothing_is_lost_by_a_restore(home: Path, cluster: Cluster, tmp_path: Path) -> None:
    gates = {name: tmp_path / f"gate-{name}" for name in ("before", "runs", "waits", "ends", "later", "again")}
    with scale_process.scale(home, SCALE_MESOS_MASTER=cluster.master) as scale:
        workspace, _ = scale.make_workspace("results")
        fields = {"inputs": [TEXT], "outputs": [MADE], "timeout": 3600}
        kind = scale.make_job_type("gated", "/bin/sh -c", f"'{UNTIL}' ${{gate}}", **fields)
        large = scale.make_job_type("large", "/bin/sh -c", f"'{UNTIL}' ${{gate}}", cpus_required=1.85, **fields)
        gates["before"].touch()
        jobs = {"before": queue(scale, kind, workspace, gates["before"])}
        scale.until(jobs["before"], "COMPLETED")
        jobs |= {name: queue(scale, kind, workspace, gates[name]) for name in ("runs", "ends")}
        for name in ("runs", "ends"):
            scale.until(jobs[name], "RUNNING")
            wait_for("its process", lambda name=name: processes_with(gates[name]))
        jobs["waits"] = queue(scale, large, workspace, gates["waits"])
        executions = {name: scale.job(job)["job_exes"][0]["id"] for name, job in jobs.items() if name != "waits"}

        run(documented("pg_dump"), home, tmp_path)

        gates["ends"].touch()
        scale.until(jobs["ends"], "COMPLETED")
        later = queue(scale, kind, workspace, gates["later"])
        scale.until(later, "RUNNING")
        stranger = wait_for("its process", lambda: processes_with(gates["later"]))
        highest = scale.job(later)["job_exes"][0]["id"]
        ((stranger_task,),) = scale.run_sql(f"SELECT task_id FROM job_exe WHERE id = {highest}")

    survivor = processes_with(gates["runs"])
    assert survivor, "Mesos and its tasks are left alone"
    postgres.destroy(home)
    postgres.start(home)
    run(documented("pg_restore"), home, tmp_path)
    told = run(f"{CHECKOUT}/{documented('deploy/run')}", home, tmp_path)
    assert {int(each) for each in re.findall(r"^job_exe/(\d+) of job/", told, re.MULTILINE)} == {
        executions[name] for name in ("runs", "ends")
    }

    with scale_process.scale(home, SCALE_MESOS_MASTER=cluster.master) as scale:
        assert scale.job(jobs["before"])["status"] == "COMPLETED"
        assert scale.request("GET", f"jobs/{later}/").status_code == 404
        wait_for("the stranger to be killed", lambda: not set(processes_with(gates["later"])) & set(stranger))

        listed = re.findall(r"task (\S+) on \S+ belongs to no execution that is known", scale.log("scheduler"))
        assert set(listed) == {stranger_task}, "a task that was told of twice may be listed twice"

        assert scale.job(jobs["runs"])["status"] == "RUNNING"
        assert processes_with(gates["runs"]) == survivor, "adopted, not started again"
        gates["runs"].touch()
        found = scale.until(jobs["runs"], "COMPLETED")
        assert [each["id"] for each in found["job_exes"]] == [executions["runs"]]

        gates["waits"].touch()
        for name in ("waits", "ends"):
            scale.until(jobs[name], "COMPLETED", patience_s=180.0)

        # what is queued now must not meet the files of executions that the dump does not know
        gates["again"].touch()
        jobs["again"] = queue(scale, kind, workspace, gates["again"])
        ended = scale.until(jobs["again"], "COMPLETED")
        assert min(jobs["again"], ended["job_exes"][0]["id"]) > highest

        products = {each["job"]["id"]: each["id"] for each in scale.results("products/")}
        made = {name: scale.content(products.pop(job)).decode().strip() for name, job in jobs.items()}
        assert made == {name: gates[name].name for name in jobs}
        assert products == {}
