"""The `scale` command in a shell, against everything."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

from scale_core.settings import CHECKOUT
from tests.journeys.scale_process import Scale


def run(scale: Scale, line: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SCALE_")},
        "SCALE_URL": scale.address,
        "SCALE_HOME": str(scale.home),
        **more,
    }
    return subprocess.run(
        [sys.executable, "-m", "scale_cli", *shlex.split(line)],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_job_is_run_and_followed_to_its_end(scale: Scale) -> None:
    document = {
        "name": "by-command",
        "version": "1.0",
        "cpus_required": 0.1,
        "mem_required": 32,
        "interface": {
            "version": "1.0",
            "command": "/bin/sh",
            "command_arguments": "-c 'echo first; echo wrong >&2; sleep 1; echo last; exit ${code}'",
            "input_data": [{"name": "code", "type": "property"}],
        },
    }
    path = scale.home / "by-command.json"
    path.write_text(json.dumps(document))
    assert run(scale, f"job-type create {path} -o name").stdout.startswith("job-type/")
    done = run(scale, "job run by-command -i code=0 --wait -o json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "COMPLETED")
    followed = run(scale, "job run by-command -i code=3 --follow")
    assert (followed.returncode, followed.stdout) == (1, "first\nlast\n")
    assert "FAILED: exited with status 3" in followed.stderr
    (failed,) = json.loads(run(scale, "job list --type by-command --status FAILED -o json").stdout)
    assert run(scale, f"job logs {failed['id']} --stderr").stdout == "wrong\n"
    assert run(scale, f"job requeue {failed['id']}").stdout == "1 job requeued\n"
    again = run(scale, f"job logs {failed['id']} --follow")
    assert again.returncode == 1
    assert scale.get(f"/jobs/{failed['id']}/")["num_exes"] == 2


def test_the_doctor_finds_nothing_wrong_here_and_says_what_is_wrong_elsewhere(scale: Scale) -> None:
    well = run(scale, "doctor -o json", SCALE_PORT=scale.address.rstrip("/").rpartition(":")[2])
    findings = {finding["what"]: finding for finding in json.loads(well.stdout)}
    assert {what for what, finding in findings.items() if finding["state"] == "wrong"} == set(), well.stdout
    assert set(findings) >= {"database", "PostGIS", "schema", "clock", "broker", "Mesos", "disk", "API", "scheduler"}
    assert well.returncode == 0
    ill = run(
        scale,
        "doctor -o json",
        SCALE_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        SCALE_BROKER_URL="redis://127.0.0.1:1",
        SCALE_MESOS_MASTER="127.0.0.1:1",
        SCALE_PORT="1",
        SCALE_MOUNTS="far:/away=/no/such/directory",
    )
    assert ill.returncode == 3
    wrong = {finding["what"] for finding in json.loads(ill.stdout) if finding["state"] == "wrong"}
    assert wrong >= {"database", "broker", "Mesos", "API", "permissions"}
    assert all(finding["remedy"] for finding in json.loads(ill.stdout) if finding["state"] != "ok")
    typo = run(scale, "doctor", SCALE_PORT="many")
    assert (typo.returncode, "SCALE_PORT" in typo.stdout) == (3, True)
