"""A simulated Mesos cluster as a process: `python -m bench.cluster --port 5050 --agents 1000 --cpus 16 --task-s 0`.

The devcluster's master over HTTP, with agents that run nothing and report what Scale's executor would.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import signal
import tempfile
import zlib
from pathlib import Path

import orjson

from scale_core import logs
from scale_core.domain.execution import Outcome, Phase
from scale_core.timestamps import utcnow
from scale_worker.devcluster import calls, master_http
from scale_worker.devcluster.__main__ import bind
from scale_worker.devcluster.journal import Journal
from scale_worker.devcluster.launching import Info
from scale_worker.devcluster.master import Master
from scale_worker.devcluster.resources import Resources
from scale_worker.devcluster.simulation import SimulatedCluster

HOST = "127.0.0.1"


def report(task: Info, state: str) -> str:
    """TaskStatus.data of an execution that does nothing and succeeds, as StatusData.encode makes it, only faster."""
    spec = orjson.loads(base64.b64decode(task["data"]))
    document: dict[str, object] = {"directory": f"/sandbox/executions/{spec['job_exe_id']}"}
    if state == "TASK_FINISHED":
        at = utcnow().isoformat()
        phase = Phase(at, at, 0)
        document["outcome"] = Outcome(
            spec["task_id"], spec["job_exe_id"], succeeded=True, pre=phase, job=phase, post=phase,
            used={"cpu_s": 0.01, "mem_peak": 1.0, "disk_out": 0.0},
        )  # fmt: skip
    return base64.b64encode(zlib.compress(orjson.dumps(document), 1)).decode()


async def serve(options: argparse.Namespace, directory: Path) -> None:
    """Run the cluster until SIGTERM."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    listener = bind(options.port)
    master = Master(HOST, options.port, Journal(directory / "state.jsonl"), 0.1)
    total = Resources.of(options.cpus, options.mem, options.disk)
    SimulatedCluster(master, options.agents, total, options.task_s, report)
    server = calls.server(master_http.handler(master))
    await loop.create_server(server, sock=listener)
    ticks = asyncio.create_task(master.run())
    await stopping.wait()
    ticks.cancel()
    master.close()
    await server.shutdown(timeout=0.5)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--cpus", type=float, default=16.0, help="of each agent")
    parser.add_argument("--mem", type=float, default=65536.0, help="MiB of each agent")
    parser.add_argument("--disk", type=float, default=1_000_000.0, help="MiB of each agent")
    parser.add_argument("--task-s", type=float, default=0.0, help="how long a task takes, seconds")
    logs.configure("cluster")
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(serve(parser.parse_args(), Path(directory)))


if __name__ == "__main__":
    main()
