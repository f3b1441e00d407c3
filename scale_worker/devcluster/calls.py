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


# Fields that Mesos or we rely on: a type is what the value must be, a nested dict holds its own fields, a list tells of
# its elements, and a name that ends in ? may be absent. Fields not named here may be anything.
_NUMBER = (int, float)
_ID: dict[str, Any] = {"value": str}
_NUMERIC: dict[str, Any] = {"value": (int, float, str)}  # Mesos takes a double in a string, too
_RANGE: dict[str, Any] = {"begin": int, "end": int}
_RESOURCE: dict[str, Any] = {"name": str, "type": str, "scalar?": _NUMERIC, "ranges?": {"range?": [_RANGE]}}
_VARIABLE: dict[str, Any] = {"name": str}
_COMMAND: dict[str, Any] = {
    "value?": str,
    "user?": str,
    "arguments?": [str],
    "environment?": {"variables?": [_VARIABLE]},
    "uris?": [{"value": str}],
}
_EXECUTOR: dict[str, Any] = {
    "executor_id": _ID,
    "framework_id?": _ID,
    "command?": _COMMAND,
    "resources?": [_RESOURCE],
}
_TASK: dict[str, Any] = {
    "name": str,
    "task_id": _ID,
    "agent_id": _ID,
    "resources?": [_RESOURCE],
    "executor?": _EXECUTOR,
    "command?": _COMMAND,
    "container?": {},
    "data?": str,
}
_STATUS: dict[str, Any] = {"task_id": _ID, "state": str, "source?": str, "uuid?": str, "container_status?": {}}
_FILTERS: dict[str, Any] = {"refuse_seconds?": _NUMBER}
_FRAMEWORK: dict[str, Any] = {
    "user": str,
    "name": str,
    "id?": _ID,
    "failover_timeout?": _NUMBER,
    "roles?": [str],
    "capabilities?": [{}],
}

SCHEDULER: dict[str, dict[str, Any]] = {
    "SUBSCRIBE": {"subscribe": {"framework_info": _FRAMEWORK}},
    "ACCEPT": {
        "accept": {
            "offer_ids?": [_ID],
            "operations?": [{"type?": str, "launch?": {"task_infos?": [_TASK]}}],
            "filters?": _FILTERS,
        },
    },
    "DECLINE": {"decline": {"offer_ids?": [_ID], "filters?": _FILTERS}},
    "REVIVE": {},
    "SUPPRESS": {},
    "KILL": {"kill": {"task_id": _ID, "agent_id?": _ID}},
    "SHUTDOWN": {"shutdown": {"executor_id": _ID, "agent_id": _ID}},
    "ACKNOWLEDGE": {"acknowledge": {"agent_id": _ID, "task_id": _ID, "uuid": str}},
    "RECONCILE": {"reconcile": {"tasks?": [{"task_id": _ID, "agent_id?": _ID}]}},
    "MESSAGE": {"message": {"agent_id": _ID, "executor_id": _ID, "data": str}},
    "REQUEST": {"request": {}},
    "TEARDOWN": {},
    "UPDATE_FRAMEWORK": {"update_framework": {"framework_info": _FRAMEWORK}},
    "RECONCILE_OPERATIONS": {"reconcile_operations": {"operations?": [{"operation_id": _ID}]}},
}
EXECUTOR: dict[str, dict[str, Any]] = {
    "SUBSCRIBE": {
        "subscribe": {"unacknowledged_tasks?": [_TASK], "unacknowledged_updates?": [{"status": _STATUS}]},
    },
    "UPDATE": {"update": {"status": _STATUS}},
    "MESSAGE": {"message": {"data": str}},
    "HEARTBEAT": {},
}
_IDS: dict[str, Any] = {"framework_id?": _ID, "executor_id?": _ID}
_UNREADABLE = "Failed to convert JSON into Call protobuf"


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
    if part:
        raise CallError(400, f"Failed to validate {package}::Call: Expecting '{part}' to be present")
    missing = _missing(call, {**_IDS, **schema[kind]}, "")
    if missing:
        raise CallError(400, f"{_UNREADABLE}: Missing required fields: {', '.join(missing)}")
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
        raise CallError(400, f"{_UNREADABLE}: Expecting a JSON object")
    return call


def _missing(value: Any, schema: Mapping[str, Any], path: str) -> list[str]:
    """Paths of required fields that `value` lacks, in the order of the schema. Raises CallError for a wrong type."""
    if not isinstance(value, dict):
        raise CallError(400, f"{_UNREADABLE}: Not expecting a {type(value).__name__} for field '{path[:-1]}'")
    found: list[str] = []
    for name, inner in schema.items():
        key = name.removesuffix("?")
        if value.get(key) is not None:
            found += _missing_in_field(value[key], inner, path + key)
        elif key == name:
            found.append(path + key)
        else:
            value.pop(key, None)  # null is the same as absent
    return found


def _missing_in_field(value: Any, inner: Any, path: str) -> list[str]:
    if isinstance(inner, dict):
        return _missing(value, inner, path + ".")
    if isinstance(inner, list) and isinstance(value, list):
        found: list[str] = []
        for number, element in enumerate(value):
            found += _missing_in_field(element, inner[0], f"{path}[{number}]")
        return found
    if isinstance(inner, list) or not isinstance(value, inner):
        raise CallError(400, f"{_UNREADABLE}: Not expecting a {type(value).__name__} for field '{path}'")
    return []


def check_uuid(text: Any, package: str) -> None:
    """Raises CallError when `text` is not the base64 of the 16 bytes of a UUID of some version."""
    try:
        raw = base64.b64decode(text, validate=True)
        valid = len(raw) == 16 and 1 <= raw[6] >> 4 <= 5
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
