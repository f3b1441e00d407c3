"""Scale on one machine: embedded PostgreSQL, Redis and Mesos where none is configured, and every Procfile line."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from scale_core.errors import NOBODY_COULD_SIGN_IN, ConfigurationError, ScaleError
from scale_core.settings import CHECKOUT, Settings
from scale_server import ports, postgres, redis
from scale_server.files import read_env, write_env
from scale_server.supervisor import Supervisor, read_procfile

READY_S = 180.0
ADMIN = (sys.executable, "-m", "scale_core.admin")
PORT_NAMES = ("flower", "devcluster", "devcluster-agent")


class AlreadyRunning(ConfigurationError):
    """Another server holds SCALE_HOME."""


@contextmanager
def lock(home: Path) -> Iterator[None]:
    """Hold SCALE_HOME for one server. Raises ConfigurationError naming the process that holds it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        stream = (home / "server.lock").open("a+")
    except OSError as error:
        raise ConfigurationError(
            f"{home} cannot be written ({error.strerror}): set SCALE_HOME to a directory of your own"
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise AlreadyRunning(
                f"Scale is already running in {home}, pid {stream.read().strip()}; "
                "stop it, or set SCALE_HOME and SCALE_PORT to run a second one"
            ) from None
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


@dataclass
class Services:
    """PostgreSQL and Redis: those that the settings name, else embedded ones of SCALE_HOME."""

    settings: Settings
    given: Mapping[str, str]
    say: Callable[[str], None]
    _started: list[Callable[[Path], None]] = field(default_factory=list)

    def start(self) -> dict[str, str]:
        """SCALE_DATABASE_URL and SCALE_BROKER_URL."""
        found = {name: self.given.get(name, "") for name in ("SCALE_DATABASE_URL", "SCALE_BROKER_URL")}
        if not found["SCALE_DATABASE_URL"]:
            self._started.append(postgres.stop)
            found["SCALE_DATABASE_URL"] = postgres.start(self.settings.home)
            self.say(f"PostgreSQL with PostGIS listens on port {ports.recall(self.settings.home, 'postgres')}")
        if not found["SCALE_BROKER_URL"]:
            self._started.append(redis.stop)
            found["SCALE_BROKER_URL"] = redis.start(self.settings.home)
            self.say(f"Redis listens on port {ports.recall(self.settings.home, 'redis')}")
        return found

    def tend(self) -> None:
        """Start again what has died. The address stays the same: running processes know no other."""
        home = self.settings.home
        if postgres.stop in self._started and not postgres.is_running(home):
            self.say("PostgreSQL is gone; starting it again")
            postgres.start(home)
        if redis.stop in self._started and not redis.pid_of(home):
            self.say("Redis is gone; starting it again")
            redis.start(home)

    def stop(self) -> None:
        while self._started:
            self._started.pop()(self.settings.home)


def environment(settings: Settings, given: Mapping[str, str], services: Mapping[str, str]) -> dict[str, str]:
    """What Scale's processes need to find each other: the SCALE_* variables, PATH and PYTHONPATH."""
    chosen = ports.remembered(settings.home, PORT_NAMES)
    master = settings.mesos_master or f"{ports.HOST}:{chosen['devcluster']}"
    return {
        **{name: value for name, value in given.items() if name.startswith("SCALE_")},
        **services,
        "SCALE_HOME": str(settings.home),
        "SCALE_HOST": settings.host,
        "SCALE_PORT": str(settings.port),
        "PROMETHEUS_MULTIPROC_DIR": str(settings.home / "figures"),
        "SCALE_FLOWER_PORT": str(settings.flower_port or chosen["flower"]),
        "SCALE_MESOS_MASTER": master,
        "SCALE_DEVCLUSTER_PORT": str(chosen["devcluster"]),
        "SCALE_DEVCLUSTER_AGENT_PORT": str(chosen["devcluster-agent"]),
        "SCALE_API_WORKERS": str(settings.gunicorn_workers),
        "SCALE_WORKER_CONCURRENCY": str(settings.worker_concurrency),
        "SCALE_LOG_LEVEL": settings.log_level,
        "SCALE_LOG_FORMAT": settings.log_format,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), given.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), given.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
    }


def print_env(settings: Settings) -> int:
    """`--env`: print the environment of the server, or of the services, that runs in SCALE_HOME."""
    path = settings.home / ".env"
    if not path.exists():
        raise ConfigurationError(
            f"nothing was started in {settings.home}: run script/server, with --only-services or without"
        )
    sys.stdout.write(path.read_text())
    return 0


def migrate(env: Mapping[str, str], say: Callable[[str], None], check: bool = False) -> None:
    """Bring the database to the newest schema and put in what Scale itself needs. Raises ScaleError.

    With `check`, ConfigurationError unless other machines are let in only when people have to sign in, and somebody
    can.
    """
    started = time.monotonic()
    command = [sys.executable, "-m", "scale_core.upgrade", *(["--check"] if check else [])]
    result = subprocess.run(command, check=False, cwd=CHECKOUT, env=dict(env), text=True, capture_output=True)
    if result.returncode == NOBODY_COULD_SIGN_IN:
        raise ConfigurationError(result.stderr.strip().splitlines()[-1])
    if result.returncode:
        said = f"{result.stdout}{result.stderr}".strip()
        raise ScaleError(f"{shlex.join(command[1:])} fails with exit code {result.returncode}:\n{said}")
    say(f"database is up to date ({time.monotonic() - started:.1f} s)")


def create_admin(settings: Settings, given: Mapping[str, str], name: str) -> int:
    """`create-admin NAME`: through the database of the server that runs in SCALE_HOME, or of one started for it.

    The password is asked for on the terminal, or read from standard input. Returns an exit code.
    """
    command = [*ADMIN, "create", name]
    try:
        with lock(settings.home):
            services = Services(settings, given, lambda _: None)
            try:
                env = {**given, **environment(settings, given, services.start())}
                migrate(env, lambda _: None)
                return subprocess.run(command, check=False, cwd=CHECKOUT, env=env).returncode
            finally:
                services.stop()
    except AlreadyRunning:
        running = read_env(settings.home)
        if not running:
            raise ConfigurationError(f"the server of {settings.home} is just starting; try again") from None
        return subprocess.run(command, check=False, cwd=CHECKOUT, env={**given, **running}).returncode


def serve(settings: Settings, given: Mapping[str, str], procfile: Path, only_services: bool) -> int:
    """Run until SIGINT or SIGTERM. Raises ScaleError when something cannot start or does not stay up."""
    printer = Printer()

    def say(message: str) -> None:
        printer.echo("server", message)

    with lock(settings.home):
        if not settings.port:
            settings = replace(settings, port=ports.remembered(settings.home, ["api"])["api"])
        if not only_services and not ports.is_free(settings.port, settings.host):
            raise ConfigurationError(
                f"port {settings.port} of {settings.host} is taken by another program; set SCALE_PORT to a free one"
            )
        services = Services(settings, given, say)
        supervisor: Supervisor | None = None
        with _signals() as stop_requested:
            try:
                env = environment(settings, given, services.start())
                write_env(settings.home, env)
                if only_services:
                    say(f"ready; {settings.home / '.env'} has the environment. Ctrl-C stops")
                    stop_requested.wait()
                    return 0
                if settings.database_url:
                    # here, because half of the launcher's memory would be for this one look
                    from scale_server import doctor

                    doctor.require_database(settings)
                migrate({**given, **env}, say, check=True)
                shutil.rmtree(settings.home / "figures", ignore_errors=True)  # of processes that have ended
                (settings.home / "figures").mkdir()
                commands = read_procfile(procfile, without=["devcluster"] if settings.mesos_master else [])
                supervisor = Supervisor(
                    commands, {**given, **env}, settings.home / "logs", CHECKOUT, printer.echo, tend=services.tend
                )
                printer.width = max(map(len, [*commands, "server"]))
                supervisor.start()
                announce(settings, say, stop_requested)
                stop_requested.on_set(supervisor.request_stop)
                supervisor.run()
                return 0
            except _StopRequested:
                return 0
            finally:
                stop_requested.leave_setup()
                say("stopping")
                if supervisor:
                    supervisor.stop()
                services.stop()
                say("stopped")


def announce(settings: Settings, say: Callable[[str], None], stop_requested: StopRequest) -> None:
    """Say when the API answers, without holding up anybody."""
    host = ports.HOST if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
    address = f"http://{host}:{settings.port}/"

    def wait() -> None:
        deadline = time.monotonic() + READY_S
        while not stop_requested.is_set() and time.monotonic() < deadline:
            if _answers(address + "status/"):
                say(f"Scale is ready: {address}")
                return
            time.sleep(0.2)
        if not stop_requested.is_set():
            say(f"the API does not answer yet; see {settings.home / 'logs' / 'api.log'}")

    threading.Thread(target=wait, daemon=True).start()


class Printer:
    """Lines of many processes on one screen, each behind the name of its process."""

    def __init__(self) -> None:
        self.width = 6
        self._lock = threading.Lock()
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._codes: dict[str, int] = {}

    def echo(self, name: str, line: str) -> None:
        prefix = f"{name:<{self.width}} |"
        with self._lock:
            if self._colours:
                code = self._codes.setdefault(name, 31 + (len(self._codes) + 1) % 6)
                prefix = f"\033[{code}m{prefix}\033[0m"
            try:
                print(prefix, line, flush=True)
            except OSError:  # whoever read us has gone; the log files have it all
                self.echo = lambda name, line: None  # type: ignore[method-assign]


class _StopRequested(BaseException):
    """SIGINT or SIGTERM came while things were being set up."""


class StopRequest(threading.Event):
    """Set by SIGINT and SIGTERM. During set-up they also interrupt whatever is going on."""

    def __init__(self) -> None:
        super().__init__()
        self._in_setup = True
        self._act: Callable[[], None] = lambda: None

    def on_set(self, act: Callable[[], None]) -> None:
        """From now on a signal calls `act` instead of interrupting."""
        self._act, self._in_setup = act, False

    def leave_setup(self) -> None:
        self._in_setup = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        first = not self.is_set()
        self.set()
        self._act()
        if self._in_setup and first:
            raise _StopRequested


@contextmanager
def _signals() -> Iterator[StopRequest]:
    request = StopRequest()
    before = {
        number: signal.signal(number, request.handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=5) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 401  # it answers, but whoever asks has to sign in
    except (urllib.error.URLError, OSError, ValueError):
        return False
