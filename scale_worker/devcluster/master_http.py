"""HTTP of the master: the scheduler API and the operator endpoints that frameworks read."""

from __future__ import annotations

from aiohttp import web

from scale_worker.devcluster import calls, master_state
from scale_worker.devcluster.calls import CallError, Handler
from scale_worker.devcluster.master import Master


def handler(master: Master) -> Handler:
    """The master's HTTP handler."""

    async def scheduler(request: web.BaseRequest) -> web.StreamResponse:
        if not master.is_leading:
            raise CallError(503, "Master has not finished recovery")
        call = await calls.read_call(request, "scheduler", calls.SCHEDULER)
        await master.reachable.wait()
        if call["type"] == "SUBSCRIBE":
            return await _subscribe(master, request, call)
        framework = master.framework_of(call, request.headers.get("Mesos-Stream-Id"))
        master.receive(framework, call)
        return web.Response(status=200) if call["type"] == "UPDATE_FRAMEWORK" else calls.accepted()

    async def state(request: web.BaseRequest) -> web.StreamResponse:
        return calls.json(master_state.state(master))

    async def agents(request: web.BaseRequest) -> web.StreamResponse:
        return calls.json(master_state.agents(master))

    async def summary(request: web.BaseRequest) -> web.StreamResponse:
        return calls.json(master_state.summary(master))

    async def frameworks(request: web.BaseRequest) -> web.StreamResponse:
        return calls.json(master_state.frameworks(master))

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"//{master.host}:{master.port}"})

    routes: dict[str, tuple[str, Handler]] = {
        "/version": ("GET", version),
        "/redirect": ("GET", redirect),
    }
    relative: dict[str, tuple[str, Handler]] = {
        "/api/v1/scheduler": ("POST", scheduler),
        "/state": ("GET", state),
        "/slaves": ("GET", agents),
        "/state-summary": ("GET", summary),
        "/frameworks": ("GET", frameworks),
        "/health": ("GET", health),
        "/redirect": ("GET", redirect),
    }
    for path, route in relative.items():
        routes[path] = routes[f"/master{path}"] = route
    return calls.routed(routes)


async def version(request: web.BaseRequest) -> web.StreamResponse:
    return calls.json(master_state.BUILD)


async def health(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=200)


async def _subscribe(master: Master, request: web.BaseRequest, call: calls.Call) -> web.StreamResponse:
    if "Mesos-Stream-Id" in request.headers:
        raise CallError(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header")
    calls.check_accept(request)
    stream = master.subscribe(call)
    try:
        return await stream.serve(request, {"Mesos-Stream-Id": stream.id})
    finally:
        master.stream_ended(stream)
