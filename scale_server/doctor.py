"""What is wrong with this Scale, looked at from one of its machines, and what to do about it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import docker
import psycopg2
import redis
import requests
from alembic.config import Config
from alembic.script import ScriptDirectory
from docker.errors import DockerException

from scale_core import settings_file
from scale_core.errors import ConfigurationError, ScaleError
from scale_core.settings import CHECKOUT, Settings
from scale_core.timestamps import utcnow
from scale_server import postgres
from scale_server.files import read_env

TIMEOUT_S = 5
CLOCK_S = 2.0
LITTLE, TOO_LITTLE = 5 * 2**30, 2**30  # bytes free
OK, DOUBTFUL, WRONG = "ok", "doubtful", "wrong"


@dataclass(frozen=True)
class Finding:
    """`state` is ok, doubtful or wrong; `remedy` says what to do unless it is ok."""

    what: str
    state: str
    text: str
    remedy: str = ""


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The settings of the server that runs in SCALE_HOME, under those that are given; else those of the machine."""
    home = Path(given.get("SCALE_HOME") or CHECKOUT / "var")
    return settings_file.for_commands({**read_env(home), **given})


def examine(given: Mapping[str, str]) -> Iterator[Finding]:
    """Look at one thing after the other; none keeps the others from being looked at."""
    try:
        settings = Settings.from_environ(environment(given))
    except ScaleError as error:
        yield Finding("settings", WRONG, str(error), "docs/configuration.md lists every setting and what it takes")
        return
    yield Finding("settings", OK, f"SCALE_HOME is {settings.home}")
    for look in (_database, _broker, _mesos, _docker, _disk, _directories, _api):
        yield from look(settings)


def require_database(settings: Settings) -> None:
    """Raise ConfigurationError, with what to do, when the configured database cannot be Scale's."""
    for found in _database(settings):
        if found.state == WRONG and found.what != "schema":  # which is about to be migrated
            raise ConfigurationError(f"{found.what}: {found.text}; {found.remedy}")


def _database(settings: Settings) -> Iterator[Finding]:
    if not settings.database_url:
        remedy = "start script/server, which brings one, or set SCALE_DATABASE_URL"
        yield Finding("database", WRONG, "none is configured and none runs in SCALE_HOME", remedy)
        return
    url = settings.database_url.replace("+psycopg2", "", 1)
    try:
        connection = psycopg2.connect(url, connect_timeout=TIMEOUT_S)
    except psycopg2.Error as error:
        line = str(error).strip().splitlines()[0]
        remedy = "start PostgreSQL, or correct SCALE_DATABASE_URL (host, port, user, password, pg_hba.conf)"
        yield Finding("database", WRONG, line, remedy)
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            version = int(cursor.fetchone()[0]) // 10000  # type: ignore[index]
            if version < postgres.OLDEST:
                remedy = f"upgrade to PostgreSQL {postgres.OLDEST} or newer"
                yield Finding("database", WRONG, f"PostgreSQL {version} is too old", remedy)
            else:
                yield Finding("database", OK, f"PostgreSQL {version} answers")
            yield _postgis(cursor)
            yield from _trigrams(cursor)
            yield _schema(cursor)
            yield _clock(cursor)
    finally:
        connection.close()


def _postgis(cursor: psycopg2.extensions.cursor) -> Finding:
    cursor.execute("SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'postgis'")
    row = cursor.fetchone()
    if row is None:
        return Finding("PostGIS", WRONG, "not on the database's machine", "install postgresql-NN-postgis-3 there")
    if row[0] is None:
        text, remedy = "there, but not in this database", "as superuser: CREATE EXTENSION postgis"
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        may_make_it = cursor.fetchone() == (True,)  # then the first migration does
        return Finding("PostGIS", DOUBTFUL if may_make_it else WRONG, text, remedy)
    return Finding("PostGIS", OK, row[0])


def _trigrams(cursor: psycopg2.extensions.cursor) -> Iterator[Finding]:
    """Names are found by a part of them with pg_trgm, which some distributions pack apart; a migration makes it."""
    cursor.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'")
    if cursor.fetchone() is None:
        yield Finding("pg_trgm", WRONG, "not on the database's machine", "install postgresql-contrib there")


def _schema(cursor: psycopg2.extensions.cursor) -> Finding:
    head = ScriptDirectory.from_config(Config(CHECKOUT / "alembic.ini")).get_current_head()
    cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
    if not cursor.fetchone()[0]:  # type: ignore[index]
        return Finding("schema", WRONG, "the database is empty", "deploy/run migrate (script/server does it by itself)")
    cursor.execute("SELECT version_num FROM alembic_version")
    row = cursor.fetchone()
    if row is None or row[0] != head:
        text = f"the database is at {row and row[0]}, this Scale at {head}"
        return Finding("schema", WRONG, text, "deploy/run migrate, or run the version of Scale that fits")
    return Finding("schema", OK, f"at {head}")


def _clock(cursor: psycopg2.extensions.cursor) -> Finding:
    cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8 - %s", (utcnow().timestamp(),))
    off = float(cursor.fetchone()[0])  # type: ignore[index]
    if abs(off) > CLOCK_S:
        text = f"this machine is {abs(off):.1f} s {'behind' if off > 0 else 'before'} the database's"
        return Finding("clock", DOUBTFUL, text, "let all machines keep time by NTP (chrony or systemd-timesyncd)")
    return Finding("clock", OK, "as the database's")


def _broker(settings: Settings) -> Iterator[Finding]:
    if not settings.broker_url:
        remedy = "start script/server, which brings one, or set SCALE_BROKER_URL"
        yield Finding("broker", WRONG, "none is configured and none runs in SCALE_HOME", remedy)
        return
    try:
        client = redis.Redis.from_url(settings.broker_url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S)
        client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        remedy = "start Redis, or correct SCALE_BROKER_URL; jobs are not lost meanwhile"
        yield Finding("broker", WRONG, str(error), remedy)
        return
    yield Finding("broker", OK, "Redis answers")


def _mesos(settings: Settings) -> Iterator[Finding]:
    if not settings.mesos_master:
        yield Finding("Mesos", WRONG, "no master is configured", "set SCALE_MESOS_MASTER, or start script/server")
        return
    is_zookeeper = settings.mesos_master.startswith("zk://")
    hosts = urlsplit(settings.mesos_master).netloc if is_zookeeper else settings.mesos_master
    dead = []
    for host in hosts.rpartition("@")[2].split(","):
        name, _, port = host.strip().rpartition(":")
        try:
            socket.create_connection((name or host, int(port) if port.isdigit() else 5050), TIMEOUT_S).close()
        except OSError as error:
            dead.append(f"{host} ({error.strerror or error})")
    kind = "ZooKeeper" if is_zookeeper else "a master"
    if dead:
        remedy = "start it, or correct SCALE_MESOS_MASTER; jobs wait meanwhile, what runs goes on"
        yield Finding("Mesos", WRONG, f"{kind} does not answer: {', '.join(dead)}", remedy)
    else:
        yield Finding("Mesos", OK, f"{kind} answers at {hosts.rpartition('@')[2]}")


def _docker(settings: Settings) -> Iterator[Finding]:
    try:
        client = docker.from_env(timeout=TIMEOUT_S)
        version = client.version()["Version"]
        client.close()
    except (DockerException, requests.RequestException, OSError) as error:
        remedy = "only nodes need one: start dockerd there, and let the agent's user into the group docker"
        yield Finding("Docker", DOUBTFUL, f"no engine answers here: {error}"[:200], remedy)
        return
    yield Finding("Docker", OK, f"engine {version}")


def _disk(settings: Settings) -> Iterator[Finding]:
    for what, path in {
        "SCALE_HOME": settings.home,
        **{f"mount of {a}": Path(b) for a, b in settings.mounts.items()},
    }.items():
        try:
            free = shutil.disk_usage(path if path.exists() else path.parent).free
        except OSError as error:
            yield Finding("disk", WRONG, f"{what}, {path}: {error.strerror}", "mount it, or correct the setting")
            continue
        text = f"{free / 2**30:.1f} GiB free at {what}, {path}"
        state = WRONG if free < TOO_LITTLE else DOUBTFUL if free < LITTLE else OK
        yield Finding("disk", state, text, "" if state == OK else "make room, or give it a larger file system")


def _directories(settings: Settings) -> Iterator[Finding]:
    """Whether Scale's account can use them: whoever asks, or for root the one that SCALE_HOME belongs to."""
    account = _account(settings.home)
    for what, path in (
        ("SCALE_HOME", settings.home),
        *((name, Path(local)) for name, local in settings.mounts.items()),
    ):
        if not path.exists():
            if what != "SCALE_HOME":
                yield Finding(
                    "permissions", WRONG, f"{path} ({what}) is not there", "mount it, or correct SCALE_MOUNTS"
                )
        elif not _may_use(path, account):
            remedy = f"let {account.pw_name} read and write it"
            yield Finding("permissions", WRONG, f"{path} ({what}) cannot be written by {account.pw_name}", remedy)
        else:
            yield Finding("permissions", OK, f"{path} can be written by {account.pw_name}")


def _account(home: Path) -> pwd.struct_passwd:
    uid = os.geteuid()
    if uid == 0 and home.exists():
        uid = home.stat().st_uid
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return pwd.struct_passwd((f"user {uid}", "", uid, uid, "", "/", ""))


def _may_use(path: Path, account: pwd.struct_passwd) -> bool:
    if account.pw_uid == os.geteuid():
        return os.access(path, os.R_OK | os.W_OK | os.X_OK)
    question = ["test", "-r", str(path), "-a", "-w", str(path), "-a", "-x", str(path)]
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    asked = subprocess.run(question, check=False, user=account.pw_uid, group=account.pw_gid, extra_groups=groups)
    return asked.returncode == 0


def _api(settings: Settings) -> Iterator[Finding]:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
    address = f"http://{host}:{settings.port}"
    try:
        session = requests.Session()
        session.trust_env = False
        answer = session.get(f"{address}/status/", timeout=TIMEOUT_S)
        if answer.status_code in (401, 403):
            yield Finding("API", OK, f"answers at {address}; more than that it tells only who signs in")
            return
        state = answer.json()
        scheduler, master = state["scheduler"], state["master"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        yield Finding("API", WRONG, f"nobody answers at {address}", "start it: script/server, or the api process")
        return
    yield Finding("API", OK, f"answers at {address}")
    if not scheduler["is_online"]:
        remedy = "start the scheduler process; its log says why it ended"
        yield Finding("scheduler", WRONG, "no offer handler is running", remedy)
    elif not master["is_online"]:
        yield Finding(
            "scheduler", WRONG, "it has no Mesos master", "look at SCALE_MESOS_MASTER and the scheduler's log"
        )
    elif scheduler["is_paused"]:
        yield Finding("scheduler", DOUBTFUL, "it is paused: nothing starts", "scale resume")
    else:
        yield Finding("scheduler", OK, f"leads at {scheduler['hostname']}")
