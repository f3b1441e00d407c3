"""Faults to order, for tests: `/devcluster/...` on the master's port. A real Mesos has nothing of the kind.

- `GET /devcluster/agents`: id, hostname, port and state (up, down, partitioned, lost) of each agent.
- `POST /devcluster/agents/ID/kill`: the agent's process dies; its offers are rescinded, its executors live on.
- `POST /devcluster/agents/ID/partition`: nothing passes between master and agent, which lives on; nobody is told.
- `POST /devcluster/agents/ID/lose`: the master gives the agent up, away or not: tasks LOST, FAILURE.
- `POST /devcluster/agents/ID/return`: it comes back under its id with what lived on; with `?new_id=1` as a new agent,
  whose machine was cleaned of executors. Answers with the agent as it is now.
- `POST /devcluster/frameworks/cut`: all event streams end.
- `POST /devcluster/partition?seconds=N`: for N seconds no event leaves and no call arrives; then what was sent does.
- `POST /devcluster/master/restart?seconds=N&agents=M`: the master dies, a new one leads after N seconds (503 until
  then), and agents find it M seconds later.
- `POST /devcluster/updates`: the TaskStatus in the body is sent to every framework as it is, whether true or not.
- `GET /devcluster/acknowledgements`: uuids of the latest acknowledgements of tasks that are not known here (any more).

A wrong order is answered with 400, 404 or 409 and a line that says what is wrong.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Coroutine, Mapping
from typing import Any

import orjson
from aiohttp import web

from scale_worker.devcluster import calls
from scale_worker.devcluster.calls import CallError, Handler
from scale_worker.devcluster.hosting import Hosts
from scale_worker.devcluster.master import Master

PREFIX = "/devcluster/"
MAX_S = 3600.0
OPEN_PATHS = frozenset({"/version", "/health"})  # a real master asks nobody who he is there


def handler(master: Master, hosts: Hosts, otherwise: Handler) -> Handler:
    """The handler of the orders; what is none goes on to `otherwise`."""
    under_way: set[asyncio.Task[None]] = set()

    def begin(work: Coroutine[Any, Any, None]) -> web.Response:
        task = asyncio.get_running_loop().create_task(work)
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return calls.accepted()

    async def agent_order(agent_id: str, order: str, request: web.BaseRequest) -> web.StreamResponse:
        host = hosts.find(agent_id)
        if order == "kill":
            await host.kill()
        elif order == "partition":
            host.partition()
        elif order == "lose":
            await host.lose()
        elif order == "return":
            host = await hosts.give_back(agent_id, request.query.get("new_id", "0") not in {"", "0"})
        else:
            raise CallError(404, f"An agent can be told to kill, partition, lose, return; not {order!r}")
        return calls.json(host.describe())

    async def carry_out(request: web.BaseRequest) -> web.StreamResponse:
        match request.path.removeprefix(PREFIX).split("/"):
            case ["agents"] if request.method == "GET":
                return calls.json([host.describe() for host in hosts.all])
            case ["acknowledgements"] if request.method == "GET":
                return calls.json(list(master.strange_acknowledgements))
            case _ if request.method != "POST":
                raise CallError(405, "Faults are ordered by POST")
            case ["agents", agent_id, order]:
                return await agent_order(agent_id, order, request)
            case ["frameworks", "cut"]:
                master.cut_streams()
                return calls.accepted()
            case ["updates"]:
                call = {"type": "UPDATE", "update": {"status": await _status(request)}}
                for framework in master.frameworks.values():
                    framework.send(call)
                return calls.accepted()
            case ["partition"]:
                return begin(master.partition(_seconds(request, "seconds", 5.0)))
            case ["master", "restart"]:
                return begin(hosts.restart_master(_seconds(request, "seconds", 1.0), _seconds(request, "agents", 1.0)))
        raise CallError(404, f"There is no {request.path}")

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if not request.path.startswith(PREFIX):
            return await otherwise(request)
        try:
            return await carry_out(request)
        except CallError as error:
            return calls.text(error.status, str(error))

    return handle


async def _status(request: web.BaseRequest) -> dict[str, Any]:
    """Raises CallError."""
    try:
        status = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise CallError(400, f"The body is no JSON: {error}") from None
    if not isinstance(status, dict) or "task_id" not in status or "state" not in status:
        raise CallError(400, "The body must be a TaskStatus: an object with task_id and state at least")
    return status


def authenticated(credentials: Mapping[str, str], inner: Handler) -> Handler:
    """Refuse whoever does not give one of the principals with its secret by HTTP basic authentication."""
    known = {base64.b64encode(f"{name}:{secret}".encode()).decode() for name, secret in credentials.items()}

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if request.path in OPEN_PATHS or request.path.startswith(PREFIX) or (scheme == "Basic" and given in known):
            return await inner(request)
        realm = {"WWW-Authenticate": 'Basic realm="mesos-master-scheduler"'}
        return web.Response(status=401, text="401 Unauthorized.", headers=realm)

    return handle


def _seconds(request: web.BaseRequest, name: str, default: float) -> float:
    """Raises CallError."""
    given = request.query.get(name, str(default))
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_S:
        raise CallError(400, f"{name}={given}: give a number of seconds from 0 to {MAX_S:g}")
    return seconds
