"""A single-machine stand-in for Apache Mesos: `python -m scale_worker.devcluster --port 5050 --work-dir DIR`.

One master and one agent (or several: --agents) in one process, speaking the v1 scheduler and executor APIs as Mesos
1.11 does. It is a development and single-machine convenience without high availability. It differs from Mesos where
that helps here: free resources are offered every 0.1 s (--allocation-interval; a real master takes 1 s), tasks are not
confined to their resources, and Docker tasks and URIs are refused (executors start their own containers). For tests,
faults can be ordered of it: see operator_http.py.

Stopped by SIGTERM or SIGINT it shuts executors down; killed, it finds them again at its next start.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scale_core import logs
from scale_core.errors import ConfigurationError, ScaleError
from scale_worker.devcluster import calls, master_http, operator_http
from scale_worker.devcluster.agent import Agent
from scale_worker.devcluster.framework import role_problem
from scale_worker.devcluster.hosting import AgentHost, Hosts
from scale_worker.devcluster.journal import Journal
from scale_worker.devcluster.master import Master
from scale_worker.devcluster.resources import Resources

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
PORTS = ((31000, 32000),)
STOP_GRACE_S = 4.0  # executors have this long to end their tasks
MIB = 1024 * 1024


@dataclass(frozen=True)
class Options:
    port: int
    agent_ports: tuple[int, ...]
    work_dir: Path
    hostname: str
    total: Resources
    allocation_interval_s: float
    retry_s: float
    credentials: Mapping[str, str]  # none: nobody is asked
    environment: Mapping[str, str]  # of executors


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; resources default to the machine's own."""
    parser = argparse.ArgumentParser(prog="devcluster", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=5050, help="of the master")
    parser.add_argument("--agent-port", type=int, help="of the agent (default: the one after --port)")
    parser.add_argument("--agents", type=int, default=1, help="how many, each with all resources; on successive ports")
    parser.add_argument("--work-dir", type=Path, required=True, help="for sandboxes and state")
    parser.add_argument("--hostname", default=own_name(), help="of the agent in offers")
    parser.add_argument("--cpus", type=float, default=0.0, help="0: as many as the machine has")
    parser.add_argument("--mem", type=float, default=0.0, help="MiB; 0: three quarters of the machine's")
    parser.add_argument("--disk", type=float, default=0.0, help="MiB; 0: what is free where the work directory is")
    parser.add_argument("--allocation-interval", type=float, default=0.1, help="seconds between rounds of offers")
    parser.add_argument("--update-retry", type=float, default=10.0, help="seconds until an update is first repeated")
    parser.add_argument("--credentials", type=Path, help="file of a principal, a space and its secret in each line")
    parser.add_argument(
        "--pass-environment", action="append", default=[], metavar="PREFIX",
        help="executors inherit variables that begin so; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--reserved", action="append", default=[], metavar="ROLE:cpus=N,mem=N,disk=N",
        help="of each agent's resources, for frameworks of that role alone; may be given several times",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    if given.agents < 1:
        parser.error("--agents: give at least 1")
    work_dir = given.work_dir.resolve()
    work_dir.mkdir(parents=True, exist_ok=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpus = given.cpus or float(os.cpu_count() or 1)
    mem = given.mem or float(memory * 3 // 4 // MIB)
    disk = given.disk or float(shutil.disk_usage(work_dir).free // MIB)
    first_agent = given.agent_port or given.port + 1
    return Options(
        port=given.port,
        agent_ports=tuple(range(first_agent, first_agent + given.agents)),
        work_dir=work_dir,
        hostname=given.hostname,
        total=_reserve(Resources.of(cpus, mem, disk, PORTS), given.reserved),
        allocation_interval_s=given.allocation_interval,
        retry_s=given.update_retry,
        credentials=_credentials(given.credentials) if given.credentials else {},
        environment=_environment(tuple(given.pass_environment)),
    )


def _environment(prefixes: tuple[str, ...]) -> dict[str, str]:
    """By name and not by value, which everybody could read on the command line."""
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


def _credentials(path: Path) -> dict[str, str]:
    """Raises ConfigurationError."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--credentials: {error}") from None
    pairs = [line.split(" ", 1) for line in lines if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ConfigurationError(f"--credentials: each line of {path} must be a principal, a space and its secret")
    return {pair[0]: pair[1] for pair in pairs}


def _reserve(total: Resources, reserved: Sequence[str]) -> Resources:
    """Raises ConfigurationError."""
    for text in reserved:
        role, _, amounts = text.rpartition(":")
        named = dict(part.partition("=")[::2] for part in amounts.split(","))
        problem = role_problem({"role": role}) if role not in {"", "*"} else "it names no role"
        try:
            if problem or not named.keys() <= {"cpus", "mem", "disk"}:
                raise ValueError(problem or f"there is cpus, mem and disk, not {', '.join(named)}")
            cpus, mem, disk = (float(named.get(name, 0)) for name in ("cpus", "mem", "disk"))
            total = total.reserve(role, Resources.of(cpus, mem, disk))
        except ValueError as error:
            raise ConfigurationError(f"--reserved {text}: {error}; give ROLE:cpus=N,mem=N,disk=N") from None
    return total


def own_name() -> str:
    """The machine's name, if it leads to where we listen; Debian gives it 127.0.1.1, where nobody would find us."""
    name = socket.gethostname()
    with suppress(OSError):
        if HOST in {info[4][0] for info in socket.getaddrinfo(name, None, socket.AF_INET)}:
            return name
    return "localhost"


def bind(port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"port {port} of {HOST} cannot be used: {error.strerror}") from None
    return listener


async def serve(options: Options, sockets: Sequence[socket.socket], journals: Sequence[Journal]) -> None:
    """Run the cluster until SIGTERM or SIGINT. The first socket is the master's, and so is the first journal."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    master = Master(HOST, options.port, journals[0], options.allocation_interval_s)
    hosts = Hosts(master, bind)
    for index, (journal, port) in enumerate(zip(journals, options.agent_ports, strict=True)):
        hosts.all.append(AgentHost(master, journal, port, _agent_builder(options, index, master, journal)))
    handler = operator_http.handler(master, hosts, master_http.handler(master))
    if options.credentials:
        handler = operator_http.authenticated(options.credentials, handler)
    server = calls.server(handler)
    await loop.create_server(server, sock=sockets[0])
    for host, listener in zip(hosts.all, sockets[1:], strict=True):
        await host.listen(listener)
        logger.info("Master on %s:%d, agent %s on port %d", HOST, options.port, host.id, host.port)
    ticks = asyncio.create_task(master.run())
    await stopping.wait()
    logger.info("Shutting executors down")
    await asyncio.gather(*(host.agent.stop(STOP_GRACE_S) for host in hosts.all))
    ticks.cancel()
    master.close()
    await server.shutdown(timeout=0.5)
    for host in hosts.all:
        await host.close()


def _agent_builder(options: Options, number: int, master: Master, journal: Journal) -> Callable[[], Agent]:
    directory = agent_directory(options.work_dir, number)
    port = options.agent_ports[number]
    return lambda: Agent(
        master, journal, directory, options.hostname, port, options.total, options.retry_s, options.environment
    )


def agent_directory(work_dir: Path, number: int) -> Path:
    """The first agent shares the master's work directory, further ones have their own below it."""
    directory = work_dir / "agents" / str(number + 1) if number else work_dir
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def main(arguments: Sequence[str] | None = None) -> int:
    logs.configure("devcluster")
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        sockets = [bind(port) for port in (options.port, *options.agent_ports)]
        directories = [agent_directory(options.work_dir, number) for number in range(len(options.agent_ports))]
        journals = [Journal(directory / "state.jsonl") for directory in directories]
    except ScaleError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1
    asyncio.run(serve(options, sockets, journals))
    for journal in journals:
        journal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
