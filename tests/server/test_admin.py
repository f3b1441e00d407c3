"""The first administrator, and that Scale does not let other machines in before there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scale_core.db.account import Account
from scale_core.db.session import make_engine, make_sessions
from scale_core.domain.access import Role
from scale_server import postgres
from tests import prepared
from tests.conftest import sqlalchemy_url
from tests.server.test_launcher import EMBEDDED, server

PASSWORD = "correct horse battery"
PROCFILE = "api: echo the API would run; sleep 60\n"


def create_admin(home: Path, name: str, password: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name not in EMBEDDED}
    return subprocess.run(
        [sys.executable, "-m", "scale_server", "create-admin", name],
        check=False, env={**environ, "SCALE_HOME": str(home)}, input=f"{password}\n", text=True, capture_output=True,
        timeout=120,
    )  # fmt: skip


def test_other_machines_are_let_in_only_when_somebody_can_sign_in(home: Path, tmp_path: Path) -> None:
    prepared.give(home)
    procfile = tmp_path / "Procfile"
    procfile.write_text(PROCFILE)
    arguments = ("--procfile", str(procfile))
    _, complaint = server(home, *arguments, SCALE_HOST="0.0.0.0", SCALE_PORT="0").communicate(timeout=120)
    assert complaint.count("\n") == 1
    assert "nobody has an account yet" in complaint
    assert "script/server create-admin NAME" in complaint

    weak = create_admin(home, "root", "short")
    assert (weak.returncode, weak.stderr.strip()) == (1, "password: must have 12 to 1000 characters")
    made = create_admin(home, "root", PASSWORD)
    assert (made.returncode, made.stderr) == (0, "")
    assert "root is an administrator" in made.stdout

    process = server(home, *arguments, SCALE_HOST="0.0.0.0", SCALE_PORT="0")
    assert process.stdout
    assert any("the API would run" in line for line in process.stdout)
    again = create_admin(home, "ROOT", "another horse battery")
    assert again.returncode == 0, again.stderr
    engine = make_engine(sqlalchemy_url(postgres.start(home)))
    with make_sessions(engine)() as session:
        (account,) = session.query(Account).all()
        assert (account.name, account.role) == ("root", Role.ADMIN)
    engine.dispose()
    process.terminate()
    process.communicate(timeout=60)
