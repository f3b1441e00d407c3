"""A PostgreSQL as Scale has it after its first start: made once in a run of the tests, copied by whoever needs one.

Making it (initdb, PostGIS, every migration, the borders of countries) takes some fifty times longer than a copy. That
it can be made, from nothing and step by step, is for test_migrations.py and for the journeys of newcomers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psycopg2

from faults.system import System
from scale_core.settings import CHECKOUT
from scale_server import postgres

PLACE = "SCALE_TEST_PREPARED"  # the directory of this run, for all of its processes
# Only for when the power is cut. What a server has written before it is killed is the kernel's, which writes it later.
# Not synchronous_commit: without it a kill loses what was committed.
UNSAFE = ("fsync", "full_page_writes")


def begin() -> None:
    """A run of the tests begins."""
    os.environ[PLACE] = tempfile.mkdtemp(prefix="scale-prepared-")


def end() -> None:
    """And is over: nothing is left of it."""
    place = Path(os.environ.pop(PLACE))
    postgres.destroy(place)
    shutil.rmtree(place)


def give(home: Path) -> None:
    """Give `home` a cluster, stopped, unless it has one already; outside of tests Scale makes its own."""
    if PLACE not in os.environ or (home / "postgres").exists():
        return
    place = Path(os.environ[PLACE])
    _make(place)
    home.mkdir(parents=True, exist_ok=True)
    source = (place / "postgres").resolve()
    target = tempfile.mkdtemp(prefix="postgres-", dir=source.parent)  # where its account can get to
    subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", target], check=True)
    shutil.copy(place / "postgres.password", home)
    (home / "postgres").symlink_to(target)


def system(before: Mapping[str, str] | None = None, **environment: str) -> System:
    """A System of the faults, not started yet, with such a cluster."""
    made = System(before, **environment)
    give(made.home)
    return made


def _make(place: Path) -> None:
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (place / "ready").exists():
            return
        url = postgres.start(place)
        env = {**os.environ, "SCALE_HOME": str(place), "SCALE_DATABASE_URL": url}
        subprocess.run([sys.executable, "-m", "scale_core.upgrade"], cwd=CHECKOUT, env=env, check=True)
        _make_quick(url)
        postgres.stop(place)
        (place / "ready").touch()


def _make_quick(url: str) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for name in UNSAFE:
                cursor.execute(f"ALTER SYSTEM SET {name} = off")
    finally:
        connection.close()
