"""A private PostgreSQL cluster with PostGIS for one SCALE_HOME.

PostgreSQL refuses to run as root; started by root, it runs as the account ``postgres`` of the system. The cluster
lies in ``SCALE_HOME/postgres``. Where that account cannot get there (a parent directory such as /root is closed to
it), the cluster lies under /var/lib/scale instead, and ``SCALE_HOME/postgres`` is a link to it.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2
import psycopg2.errors
from psycopg2 import sql

from scale_core.errors import ConfigurationError, ScaleError
from scale_server import ports
from scale_server.files import tail, write_private

ACCOUNT = "postgres"  # who runs the server when root starts it
FALLBACK = Path("/var/lib/scale")
INSTALLED = Path("/usr/lib/postgresql")
OLDEST = 13
LEAST_MIB = 512  # an empty cluster with its first write-ahead log, and room to begin
USER = DATABASE = "scale"
START_S = 60  # recovery after a crash may take its time
PATIENCE_S = 5.0  # running processes know the address: take the same port again if at all possible
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
CONFIGURATION = {
    "listen_addresses": f"'{ports.HOST}'",
    "unix_socket_directories": "''",
    "password_encryption": "'scram-sha-256'",
    "shared_buffers": "'256MB'",
    "max_connections": "200",
    "jit": "off",  # compiling a query costs more than any of ours takes
    "fsync": "on",
    "log_line_prefix": "'%m [%p] %q%a '",
    "log_timezone": "'UTC'",
    "timezone": "'UTC'",
}


def start(home: Path) -> str:
    """Start the cluster of `home` unless it runs already, creating it first if need be; returns its postgresql:// URL.

    The database ``scale`` has PostGIS. Raises ConfigurationError when PostgreSQL or PostGIS is not installed,
    ScaleError with the end of the log when the server does not come up.
    """
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    data = _data_directory(home)
    if not (data / "PG_VERSION").exists():
        _create(home, data)
    deadline = time.monotonic() + START_S
    while True:
        if not _postmaster(data):
            _launch(home, data)
        try:
            _ensure_database(home)
            return url(home)
        except psycopg2.OperationalError as error:
            # It was on its way out, or is still recovering from a crash.
            if time.monotonic() > deadline:
                raise ScaleError(f"the embedded PostgreSQL cannot be used: {str(error).strip()}") from error
            time.sleep(0.1)


def stop(home: Path, mode: str = "fast", timeout_s: float = 60.0) -> None:
    """Stop the cluster of `home` if it runs. `mode` is pg_ctl's: smart, fast or immediate (as a crash would)."""
    # Not by pg_ctl: in a container whose first process collects nobody, it waits for ever for a zombie.
    data = home.resolve() / "postgres"
    pid = _postmaster(data)
    deadline = time.monotonic() + timeout_s
    if pid:
        os.kill(pid, STOP_SIGNALS[mode])
    while pid and _postmaster(data) == pid:
        if time.monotonic() > deadline:
            raise ScaleError(f"PostgreSQL (pid {pid}) does not stop; see {data / 'server.log'}")
        time.sleep(0.02)


def destroy(home: Path) -> None:
    """Stop the cluster of `home` and delete all of its data, wherever it lies."""
    stop(home, "immediate")
    path = home.resolve() / "postgres"
    shutil.rmtree(path.resolve(), ignore_errors=True)
    if path.is_symlink():
        path.unlink()


def is_running(home: Path) -> bool:
    return bool(pid_of(home))


def pid_of(home: Path) -> int:
    """The postmaster of the cluster of `home`; 0 when none runs."""
    return _postmaster(home.resolve() / "postgres")


def url(home: Path, database: str = DATABASE) -> str:
    """Where the cluster of `home` listens (or would); empty when it was never started."""
    port, password = ports.recall(home, "postgres"), _password_file(home)
    return f"postgresql://{USER}:{password.read_text()}@{ports.HOST}:{port}/{database}" if password.exists() else ""


def programs(version: str = "") -> Path:
    """The directory of initdb and pg_ctl: of that major version, else of the newest with PostGIS, else of the newest.

    Raises ConfigurationError when there is none, or none that is new enough.
    """
    found = {int(path.parent.name): path for path in INSTALLED.glob("[0-9]*/bin")}
    with_postgis = [v for v in found if Path(f"/usr/share/postgresql/{v}/extension/postgis.control").exists()]
    if version.isdecimal() and int(version) in found:
        return found[int(version)]
    if found and not version:
        newest = max(with_postgis or found)
        if newest < OLDEST:
            raise ConfigurationError(
                f"PostgreSQL {newest} is too old: install PostgreSQL {OLDEST} or newer with PostGIS (Debian 12: "
                "postgresql-15-postgis-3), or set SCALE_DATABASE_URL"
            )
        return found[newest]
    if on_path := shutil.which("pg_ctl"):
        return Path(on_path).resolve().parent
    raise ConfigurationError(
        f"PostgreSQL {version} with PostGIS is not installed: install it (Debian 12: postgresql-15-postgis-3), "
        "or set SCALE_DATABASE_URL"
    )


def _version(data: Path) -> str:
    """The major version that made the cluster: no other can serve it."""
    try:
        return (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return ""


def _data_directory(home: Path) -> Path:
    """Where the cluster lies, made if missing. The choice is made once: a link remembers it."""
    path = home / "postgres"
    if path.is_symlink() and not path.exists():
        raise ScaleError(
            f"{path} links to {path.readlink()}, which does not exist; remove the link to begin with an empty database"
        )
    if path.exists():
        return path.resolve()
    if os.geteuid() or _can_enter(home):
        path.mkdir(mode=0o700)
        _give_away(path)
        return path
    FALLBACK.mkdir(parents=True, exist_ok=True, mode=0o755)
    elsewhere = Path(tempfile.mkdtemp(prefix="postgres-", dir=FALLBACK))
    _give_away(elsewhere)
    path.symlink_to(elsewhere)
    return elsewhere


def _can_enter(home: Path) -> bool:
    return (
        subprocess.run(_as_account(["test", "-x", str(home)]), check=False, cwd="/", capture_output=True).returncode
        == 0
    )


def _give_away(path: Path) -> None:
    if not os.geteuid():
        account = _account()
        os.chown(path, account.pw_uid, account.pw_gid)


def _create(home: Path, data: Path) -> None:
    free = shutil.disk_usage(data).free // 2**20
    if free < LEAST_MIB:
        raise ConfigurationError(
            f"only {free} MiB are free at {data}, and PostgreSQL needs {LEAST_MIB} to begin: make room, or set "
            "SCALE_HOME to a directory on a larger disk"
        )
    password = _password_file(home)
    if not password.exists():
        write_private(password, secrets.token_hex(16))
    # initdb may run as another account, which cannot read our private file: lend it a copy.
    with tempfile.NamedTemporaryFile("w", prefix="scale-") as copy:
        copy.write(password.read_text() + "\n")
        copy.flush()
        _give_away(Path(copy.name))
        result = _run(
            data, "initdb", "-D", str(data), "-U", USER, "--auth=scram-sha-256", f"--pwfile={copy.name}",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions",
        )  # fmt: skip
    if result.returncode:
        for item in data.glob("*"):
            shutil.rmtree(item) if item.is_dir() else item.unlink()
        raise ScaleError(f"PostgreSQL's initdb fails: {result.stderr.strip() or result.stdout.strip()}")


def _launch(home: Path, data: Path) -> None:
    log = data / "server.log"
    for _ in range(3):  # another program may take the port between our look and the bind
        _forget_foreign_pid(data)
        port = ports.remembered(home, ["postgres"], PATIENCE_S)["postgres"]
        settings = {**CONFIGURATION, "port": str(port)}
        _write_configuration(data, settings)
        log.unlink(missing_ok=True)
        result = _run(data, "pg_ctl", "start", "-D", str(data), "-l", str(log), "-w", "-t", str(START_S), "-s")
        if result.returncode == 0:
            return
        time.sleep(1)  # after a kill -9, the last backends may hold the shared memory for a moment
    raise ScaleError(f"PostgreSQL does not start; the end of {log} says:\n{tail(log)}\n{result.stderr.strip()}")


def _write_configuration(data: Path, settings: dict[str, str]) -> None:
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    path = data / "scale.conf"
    path.write_text(
        f"# Written by Scale at each start; own settings belong in postgresql.auto.conf (ALTER SYSTEM).\n{lines}"
    )
    _give_away(path)
    main = data / "postgresql.conf"
    text = main.read_text()
    if "include 'scale.conf'" not in text:
        main.write_text(text + "\ninclude 'scale.conf'\n")


def _ensure_database(home: Path) -> None:
    with_postgis = "SELECT 1 FROM pg_extension WHERE extname = 'postgis'"
    try:
        ready = _execute(url(home), with_postgis)
    except psycopg2.OperationalError as error:
        if f'database "{DATABASE}" does not exist' not in str(error):
            raise
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE))
        _execute(url(home, "postgres"), create)
        ready = []
    if not ready:
        try:
            _execute(url(home), "CREATE EXTENSION IF NOT EXISTS postgis")
        except (psycopg2.errors.FeatureNotSupported, psycopg2.errors.UndefinedFile) as error:
            raise ConfigurationError(
                f"PostGIS is not installed for the PostgreSQL in {programs()} ({str(error).splitlines()[0]}): install "
                "its package (Debian 12: postgresql-15-postgis-3), or set SCALE_DATABASE_URL"
            ) from error


def _execute(address: str, statement: str | sql.Composable) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(address, connect_timeout=10)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _postmaster(data: Path) -> int:
    """The process that serves `data`, or 0. The number that a killed one left behind does not count, whoever has it."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, IndexError):
        return 0
    return pid if status != "Z" and str(data.resolve()).encode() in arguments else 0


def _forget_foreign_pid(data: Path) -> None:
    """Remove a stale postmaster.pid: PostgreSQL refuses to start when another program got the number meanwhile."""
    if not _postmaster(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _password_file(home: Path) -> Path:
    return home / "postgres.password"


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL does not run as root and there is no account {ACCOUNT!r} to run it as: "
            f"create it, start Scale as another user, or set SCALE_DATABASE_URL"
        ) from None


def _as_account(command: list[str]) -> list[str]:
    return command if os.geteuid() else ["runuser", "-u", _account().pw_name, "--", *command]


def _run(data: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs. Output goes to files: a server left behind would hold a pipe open for ever."""
    command = _as_account([str(programs(_version(data)) / program), *arguments])
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        result = subprocess.run(
            command, check=False, cwd="/", stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, result.returncode, out.read(), err.read())
