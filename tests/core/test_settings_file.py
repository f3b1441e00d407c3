"""Settings that systemd gives to processes, for whoever types a command on their machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scale_core import settings_file
from scale_core.settings import CHECKOUT

EXAMPLE = CHECKOUT / "deploy" / "scale.env.example"


def test_it_is_read_as_systemd_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "scale.env"
    path.write_text(
        "# SCALE_PORT=1\n; SCALE_PORT=2\n\nSCALE_MESOS_ROLE=*\n"
        "SCALE_EXECUTOR_COMMAND=exec /opt/scale/deploy/run executor\n"
        "SCALE_BROKER_URL='redis://:pa$$@store/0'\n  SCALE_HOST=\"127.0.0.1\"  \nSCALE_OIDC_SCOPE=\nPATH=/nowhere\n"
    )
    assert settings_file.read(path) == {
        "SCALE_MESOS_ROLE": "*",
        "SCALE_EXECUTOR_COMMAND": "exec /opt/scale/deploy/run executor",
        "SCALE_BROKER_URL": "redis://:pa$$@store/0",
        "SCALE_HOST": "127.0.0.1",
        "SCALE_OIDC_SCOPE": "",
    }


def test_an_environment_with_a_database_is_complete() -> None:
    given = {"SCALE_DATABASE_URL": "postgresql://elsewhere/scale"}
    assert settings_file.for_commands(given, EXAMPLE) == given
    found = settings_file.for_commands({"SCALE_PORT": "9000", "LANG": "C"}, EXAMPLE)
    assert (found["SCALE_PORT"], found["LANG"]) == ("9000", "C")
    assert found["SCALE_DATABASE_URL"].startswith("postgresql://")
    assert settings_file.for_commands({"LANG": "C"}, EXAMPLE.with_name("none")) == {"LANG": "C"}


def test_a_shell_takes_the_settings_as_they_are() -> None:
    """A shell that reads the file itself would start the executor."""
    given = {
        "PATH": "/usr/bin:/bin",
        "SCALE_DATABASE_URL": "postgresql://scale:it's$HOME@store/scale",
        "SCALE_EXECUTOR_COMMAND": "exec false",
    }
    script = 'settings=$("$1" --env); unset SCALE_DATABASE_URL; eval "$settings"; echo "$SCALE_DATABASE_URL"'
    command = ["sh", "-ec", script, "sh", str(CHECKOUT / "deploy" / "run")]
    told = subprocess.run(command, env=given, check=True, capture_output=True, text=True)
    assert told.stdout.splitlines() == [given["SCALE_DATABASE_URL"]]
