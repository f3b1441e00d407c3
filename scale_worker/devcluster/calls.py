"""The front door of both call APIs: what an HTTP request must look like before its call is looked at."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

Call = dict[str, Any]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class CallError(Exception):
    """A call is refused with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


# Required fields of the protobuf messages: a nested dict must hold its own, a list holds such a dict for each of its
# elements, and a name that ends in ? may be absent.
_ID: dict[str, Any] = {"value": None}
_RESOURCE: dict[str, Any] = {"name": None, "type": None, "scalar?": {"value": None}}
_VARIABLE: dict[str, Any] = {"name": None}
_COMMAND: dict[str, Any] = {"environment?": {"variables?": [_VARIABLE]}, "uris?": [{"value": None}]}
_EXECUTOR: dict[str, Any] = {"executor_id": _ID, "command?": _COMMAND, "resources?": [_RESOURCE]}
_TASK: dict[str, Any] = {
    "name": None,
    "task_id": _ID,
    "agent_id": _ID,
    "resources?": [_RESOURCE],
    "executor?": _EXECUTOR,
    "command?": _COMMAND,
}
_STATUS: dict[str, Any] = {"task_id": _ID, "state": None}

SCHEDULER: dict[str, dict[str, Any]] = {
    "SUBSCRIBE": {"subscribe": {"framework_info": {"user": None, "name": None, "id?": _ID}}},
    "ACCEPT": {
        "accept": {"offer_ids?": [_ID], "operations?": [{"type?": None, "launch?": {"task_infos?": [_TASK]}}]},
    },
    "DECLINE": {"decline": {"offer_ids?": [_ID]}},
    "REVIVE": {},
    "SUPPRESS": {},
    "KILL": {"kill": {"task_id": _ID, "agent_id?": _ID}},
    "SHUTDOWN": {"shutdown": {"executor_id": _ID, "agent_id": _ID}},
    "ACKNOWLEDGE": {"acknowledge": {"agent_id": _ID, "task_id": _ID, "uuid": None}},
    "RECONCILE": {"reconcile": {"tasks?": [{"task_id": _ID, "agent_id?": _ID}]}},
    "MESSAGE": {"message": {"agent_id": _ID, "executor_id": _ID, "data": None}},
    "REQUEST": {"request": {}},
    "TEARDOWN": {},
    "UPDATE_FRAMEWORK": {"update_framework": {"framework_info": {"user": None, "name": None}}},
    "RECONCILE_OPERATIONS": {"reconcile_operations": {"operations?": [{"operation_id": _ID}]}},
}
EXECUTOR: dict[str, dict[str, Any]] = {
    "SUBSCRIBE": {
        "subscribe": {"unacknowledged_tasks?": [_TASK], "unacknowledged_updates?": [{"status": _STATUS}]},
    },
    "UPDATE": {"update": {"status": _STATUS}},
    "MESSAGE": {"message": {"data": None}},
    "HEARTBEAT": {},
}


async def read_call(request: web.BaseRequest, package: str, schema: Mapping[str, Mapping[str, Any]]) -> Call:
    """The call of a POST, with every field that `schema` asks for. Raises CallError."""
    body = await request.read()
    if "Content-Type" not in request.headers:
        raise CallError(400, "Expecting 'Content-Type' to be present")
    if request.content_type != "application/json":
        raise CallError(415, "Expecting 'Content-Type' of application/json or application/x-protobuf")
    call = _parse(body)
    kind = str(call.get("type"))
    if kind not in schema:
        raise CallError(400, f"Failed to validate {package}::Call: Expecting 'type' to be present")
    part = next((name for name in schema[kind] if name not in call), None)
    missing = list(_missing(call, schema[kind], ""))
    if part:
        raise CallError(400, f"Failed to validate {package}::Call: Expecting '{part}' to be present")
    if missing:
        raise CallError(
            400, f"Failed to convert JSON into Call protobuf: Missing required fields: {', '.join(missing)}"
        )
    return call


def _parse(body: bytes) -> Call:
    try:
        call = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        near = body.decode(errors="replace")[error.pos :]
        raise CallError(
            400, f"Failed to parse body into JSON: syntax error at line {error.lineno} near: {near}"
        ) from None
    if not isinstance(call, dict):
        raise CallError(400, "Failed to convert JSON into Call protobuf: Expecting a JSON object")
    return call


def _missing(value: Any, schema: Mapping[str, Any], path: str) -> list[str]:
    """Paths of required fields that `value` lacks, in the order of the schema."""
    if not isinstance(value, dict):
        raise CallError(400, f"Failed to convert JSON into Call protobuf: Expecting a JSON object for {path[:-1]!r}")
    found: list[str] = []
    for name, inner in schema.items():
        key = name.removesuffix("?")
        if value.get(key) is None:
            if key == name:
                found.append(path + key)
        elif isinstance(inner, dict):
            found += _missing(value[key], inner, f"{path}{key}.")
        elif isinstance(inner, list):
            if not isinstance(value[key], list):
                raise CallError(
                    400, f"Failed to convert JSON into Call protobuf: Expecting an array for {path + key!r}"
                )
            for number, element in enumerate(value[key]):
                found += _missing(element, inner[0], f"{path}{key}[{number}].")
    return found


def check_uuid(text: Any, package: str) -> None:
    """Raises CallError when `text` is not the base64 of 16 bytes."""
    try:
        valid = len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, TypeError, ValueError):
        valid = False
    if not valid:
        raise CallError(400, f"Failed to validate {package}::Call: Not a valid UUID")


def check_accept(request: web.BaseRequest) -> None:
    """Raises CallError when the client would not take JSON."""
    accepted = request.headers.get("Accept", "*/*")
    if not any(media in accepted for media in ("application/json", "application/*", "*/*")):
        raise CallError(406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'")


def text(status: int, message: str) -> web.Response:
    return web.Response(status=status, text=message)


def json(document: Any) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")


def accepted() -> web.Response:
    return web.Response(status=202)


def routed(routes: Mapping[str, tuple[str, Handler]]) -> Handler:
    """One handler for a table of path → (method, handler)."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        route = routes.get(request.path)
        if route is None:
            return text(404, "404 Not Found.")
        method, handler = route
        if request.method != method and not (request.method == "HEAD" and method == "GET"):
            message = f"405 Method Not Allowed. Expecting one of {{ '{method}' }}, but received '{request.method}'."
            return web.Response(status=405, text=message, headers={"Allow": method})
        try:
            return await handler(request)
        except CallError as error:
            return text(error.status, str(error))

    return handle


def server(handler: Handler) -> web.Server:
    """An HTTP server that, as libprocess, closes no idle connection, limits no body and notices who hangs up."""

    def build(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = task.get_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY)

    return web.Server(
        handler,
        request_factory=build,
        handler_cancellation=True,
        keepalive_timeout=_KEEPALIVE_S,
        access_log=None,
    )


_MAX_BODY = 1024**3
_KEEPALIVE_S = 30 * 86400.0
