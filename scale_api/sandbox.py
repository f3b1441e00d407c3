"""Files of running executions, through the files API of their Mesos agent."""

from __future__ import annotations

import logging
from typing import Any

import requests

log = logging.getLogger(__name__)

TIMEOUT_S = (1.0, 3.0)  # to connect, between two bytes
CHUNK_BYTES = 64 * 1024  # an agent never sends more at once
TAIL_BYTES = 4 * CHUNK_BYTES


def agent_url(node: Any) -> str:
    """The root URL of the agent on a node; an IPv6 address wants brackets."""
    host = f"[{node.hostname}]" if ":" in node.hostname else node.hostname
    return f"http://{host}:{node.port}"


def read_tail(node: Any, path: str) -> str:
    """The last TAIL_BYTES of a file on the node; empty when the node does not answer or has no such file."""
    url = f"{agent_url(node)}/files/read"
    try:
        with requests.Session() as http:
            http.trust_env = False  # agents are in the cluster, never behind a proxy
            size = _read(http, url, path, -1)["offset"]
            offset = max(0, int(size) - TAIL_BYTES)
            pieces = []
            while offset < size and (piece := str(_read(http, url, path, offset)["data"])):
                pieces.append(piece)
                offset += CHUNK_BYTES
            return "".join(pieces)
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        log.info("no live log of %s from %s: %s", path, url, error)
        return ""


def _read(http: requests.Session, url: str, path: str, offset: int) -> dict[str, Any]:
    parameters: dict[str, str | int] = {"path": path, "offset": offset, "length": CHUNK_BYTES}
    response = http.get(url, params=parameters, timeout=TIMEOUT_S, allow_redirects=False)
    response.raise_for_status()
    data: dict[str, Any] = response.json()
    return data
