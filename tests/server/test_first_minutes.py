"""Whatever keeps a newcomer's machine from running Scale is told in one sentence that says what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from scale_core.errors import ConfigurationError
from scale_core.settings import CHECKOUT, Settings
from scale_server import doctor, postgres

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk or become another user")
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
SERVER = (sys.executable, "-m", "scale_server")
DEMO = (sys.executable, "-m", "examples.demo")


def run(*command: str, cwd: Path = CHECKOUT, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SCALE_")}
    return subprocess.run(
        command, cwd=cwd, env={**env, **environ}, capture_output=True, text=True, timeout=170, check=False
    )


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one sentence; without a traceback, and not hidden among other lines."""
    assert result.returncode == 1, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line and not line.startswith("Logs: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system of its own with 64 MiB, which the account of PostgreSQL may enter."""
    place = home / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


# ---------------------------------------------------------------------------------------------------------- bootstrap


def a_clone(directory: Path) -> Path:
    """What script/bootstrap looks at, as in a fresh clone."""
    for name in ("script", "requirements"):
        shutil.copytree(CHECKOUT / name, directory / name)
    (directory / "scale_api" / "ui").mkdir(parents=True)
    shutil.copy(CHECKOUT / "scale_api" / "ui" / "package.json", directory / "scale_api" / "ui")
    return directory


@as_root
def test_no_disk_for_an_installation(small_disk: Path) -> None:
    result = run("script/bootstrap", cwd=a_clone(small_disk / "clone"))
    assert complaint(result).startswith("bootstrap: only 6")
    assert "make room, or clone to a larger disk" in result.stderr


@as_root
@pytest.mark.skipif(shutil.which("runuser") is None, reason="runuser is not installed")
def test_neither_root_nor_sudo(home: Path) -> None:
    clone = a_clone(home / "clone")
    programs = home / "programs"
    programs.mkdir()
    for name in (
        "bash",
        "env",
        "dirname",
        "df",
        "awk",
        "id",
        "mktemp",
        "find",
        "sort",
        "xargs",
        "cat",
        "sha256sum",
        "rm",
        "apt-get",
    ):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    shutil.chown(clone, "nobody")
    result = run(
        "runuser", "-u", "nobody", "--", "env", "-i", f"PATH={programs}", "SCALE_DATABASE_URL=postgresql://x/y",
        "bash", "script/bootstrap", cwd=clone,
    )  # fmt: skip
    assert complaint(result) == "bootstrap: building the web UI: neither root nor sudo here; please install nodejs npm"


# ------------------------------------------------------------------------------------------------------------- server


@as_root
def test_no_disk_for_a_database(small_disk: Path) -> None:
    text = complaint(run(*SERVER, "--only-services", SCALE_HOME=str(small_disk / "home")))
    assert "MiB are free at" in text
    assert "set SCALE_HOME" in text


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = complaint(run(*SERVER, "--only-services", SCALE_HOME=str(tmp_path / "file" / "home")))
    assert "cannot be written (Not a directory)" in text
    assert "set SCALE_HOME" in text


def test_an_old_postgresql_is_not_begun_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "12" / "bin").mkdir(parents=True)
    monkeypatch.setattr(postgres, "INSTALLED", tmp_path)
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 12 is too old: install PostgreSQL 13 or newer"):
        postgres.programs()
    (tmp_path / "15" / "bin").mkdir(parents=True)
    assert postgres.programs() == tmp_path / "15" / "bin"
    assert postgres.programs("12") == tmp_path / "12" / "bin", "a cluster that it made can be served by no other"


def test_an_old_postgresql_elsewhere(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.from_environ({"SCALE_DATABASE_URL": database_url})
    doctor.require_database(settings)
    monkeypatch.setattr(postgres, "OLDEST", 99)
    with pytest.raises(ConfigurationError, match=r"is too old; upgrade to PostgreSQL 99 or newer"):
        doctor.require_database(settings)


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://scale:secret@127.0.0.1:{nobody.getsockname()[1]}/scale"
        text = complaint(
            run(*SERVER, SCALE_HOME=str(tmp_path), SCALE_PORT="0", SCALE_DATABASE_URL=url, SCALE_BROKER_URL="redis://x")
        )
    assert "start PostgreSQL, or correct SCALE_DATABASE_URL" in text
    assert "secret" not in text


# --------------------------------------------------------------------------------------------------------------- demo


def test_the_demo_says_what_is_in_its_way(home: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(*DEMO, SCALE_HOME=str(home / "other"), SCALE_PORT=port, **NO_ENGINE)
        assert "No Docker Engine answers: the algorithms run as plain commands." in result.stdout
        text = complaint(result)
        assert text.startswith(f"script/demo failed: port {port} of 127.0.0.1 is taken")
        assert "set SCALE_PORT to a free one" in text

    (home / "something").touch()
    assert "not empty; the demo wants a fresh one" in complaint(run(*DEMO, SCALE_HOME=str(home), **NO_ENGINE))
    assert "SCALE_PORT='x' is not a number" in complaint(run(*DEMO, SCALE_PORT="x", **NO_ENGINE))
    (tmp_path / "file").touch()
    text = complaint(run(*DEMO, SCALE_HOME=str(tmp_path / "file" / "home"), **NO_ENGINE))
    assert "Not a directory" in text
    assert "set SCALE_HOME" in text


@as_root
def test_the_demo_without_a_disk(small_disk: Path) -> None:
    text = complaint(run(*DEMO, SCALE_HOME=str(small_disk / "home"), **NO_ENGINE))
    assert "MiB are free at" in text


def test_a_database_without_postgis(database_url: str) -> None:
    """Whoever may makes the extension by the first migration; to others it is told."""
    admin = psycopg2.connect(database_url)
    admin.autocommit = True
    try:
        with admin.cursor() as cursor:
            cursor.execute("CREATE DATABASE bare")
            cursor.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        bare = database_url.rpartition("/")[0] + "/bare"
        doctor.require_database(Settings.from_environ({"SCALE_DATABASE_URL": bare}))
        plain = f"postgresql://plain:plain@{bare.rpartition('@')[2]}"
        with pytest.raises(ConfigurationError, match=r"PostGIS: there, but not in this database; .*CREATE EXTENSION"):
            doctor.require_database(Settings.from_environ({"SCALE_DATABASE_URL": plain}))
    finally:
        with admin.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS bare")
            cursor.execute("DROP ROLE IF EXISTS plain")
        admin.close()
