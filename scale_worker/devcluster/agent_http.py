"""HTTP of the agent: the executor API, its state, and the files of its sandboxes."""

from __future__ import annotations

from aiohttp import web

from scale_worker.devcluster import agent_state, calls, files, master_http
from scale_worker.devcluster.agent import Agent
from scale_worker.devcluster.calls import Handler
from scale_worker.devcluster.master import Master


def handler(agent: Agent, master: Master) -> Handler:
    """The agent's HTTP handler."""

    async def executor(request: web.BaseRequest) -> web.StreamResponse:
        call = await calls.read_call(request, "executor", calls.EXECUTOR)
        run = agent.run_of(call)
        if call["type"] == "SUBSCRIBE":
            calls.check_accept(request)
            return await agent.subscribe(run, call["subscribe"]).serve(request)
        if call["type"] == "UPDATE":
            agent.update(run, call["update"]["status"])
        elif call["type"] == "MESSAGE":
            agent.message_from(run, call["message"]["data"])
        return calls.accepted()

    async def state(request: web.BaseRequest) -> web.StreamResponse:
        return calls.json(agent_state.state(agent, master))

    sandboxes = files.Sandboxes(agent.directory)
    routes: dict[str, tuple[str, Handler]] = {
        "/version": ("GET", master_http.version),
        "/health": ("GET", master_http.health),
        "/files/read": ("GET", sandboxes.read),
        "/files/download": ("GET", sandboxes.download),
        "/files/browse": ("GET", sandboxes.browse),
    }
    relative: dict[str, tuple[str, Handler]] = {
        "/api/v1/executor": ("POST", executor),
        "/state": ("GET", state),
        "/health": ("GET", master_http.health),
    }
    for path, route in relative.items():
        routes[path] = routes[f"/slave(1){path}"] = route
    return calls.routed(routes)
