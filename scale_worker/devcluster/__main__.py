"""A single-machine stand-in for Apache Mesos: `python -m scale_worker.devcluster --port 5050 --work-dir DIR`.

One master and one agent in one process, speaking the v1 scheduler and executor APIs as Mesos 1.11 does. It is a
development and single-machine convenience without high availability. It differs from Mesos where that helps here:
free resources are offered every 0.1 s (--allocation-interval; a real master takes 1 s), tasks are not confined to
their resources, and Docker tasks and URIs are refused (executors start their own containers).

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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from scale_core import logs
from scale_core.errors import ConfigurationError, ScaleError
from scale_worker.devcluster import agent_http, calls, master_http
from scale_worker.devcluster.agent import Agent
from scale_worker.devcluster.calls import Handler
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
    agent_port: int
    work_dir: Path
    hostname: str
    total: Resources
    allocation_interval_s: float
    retry_s: float


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; resources default to the machine's own."""
    parser = argparse.ArgumentParser(prog="devcluster", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=5050, help="of the master")
    parser.add_argument("--agent-port", type=int, help="of the agent (default: the one after --port)")
    parser.add_argument("--work-dir", type=Path, required=True, help="for sandboxes and state")
    parser.add_argument("--hostname", default=own_name(), help="of the agent in offers")
    parser.add_argument("--cpus", type=float, default=0.0, help="0: as many as the machine has")
    parser.add_argument("--mem", type=float, default=0.0, help="MiB; 0: three quarters of the machine's")
    parser.add_argument("--disk", type=float, default=0.0, help="MiB; 0: what is free where the work directory is")
    parser.add_argument("--allocation-interval", type=float, default=0.1, help="seconds between rounds of offers")
    parser.add_argument("--update-retry", type=float, default=10.0, help="seconds until an update is first repeated")
    given = parser.parse_args(arguments)
    work_dir = given.work_dir.resolve()
    work_dir.mkdir(parents=True, exist_ok=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpus = given.cpus or float(os.cpu_count() or 1)
    mem = given.mem or float(memory * 3 // 4 // MIB)
    disk = given.disk or float(shutil.disk_usage(work_dir).free // MIB)
    return Options(
        port=given.port,
        agent_port=given.agent_port or given.port + 1,
        work_dir=work_dir,
        hostname=given.hostname,
        total=Resources.of(cpus, mem, disk, PORTS),
        allocation_interval_s=given.allocation_interval,
        retry_s=given.update_retry,
    )


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


async def serve(options: Options, sockets: tuple[socket.socket, socket.socket], journal: Journal) -> None:
    """Run the cluster until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    master = Master(HOST, options.port, journal, options.allocation_interval_s)
    agent = Agent(
        master, journal, options.work_dir, options.hostname, options.agent_port, options.total, options.retry_s
    )
    handlers = (master_http.handler(master), agent_http.handler(agent, master))
    servers = [await _listen(handler, listener) for handler, listener in zip(handlers, sockets, strict=True)]
    ticks = asyncio.create_task(master.run())
    logger.info("Master on %s:%d, agent %s on port %d", HOST, options.port, agent.id, options.agent_port)
    await stopping.wait()
    logger.info("Shutting executors down")
    await agent.stop(STOP_GRACE_S)
    ticks.cancel()
    master.close()
    for server in servers:
        await server.shutdown(timeout=0.5)


async def _listen(handler: Handler, listener: socket.socket) -> web.Server:
    server = calls.server(handler)
    await asyncio.get_running_loop().create_server(server, sock=listener)
    return server


def main(arguments: Sequence[str] | None = None) -> int:
    logs.configure("devcluster")
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        sockets = (bind(options.port), bind(options.agent_port))
        journal = Journal(options.work_dir / "state.jsonl")
    except ScaleError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1
    asyncio.run(serve(options, sockets, journal))
    journal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
