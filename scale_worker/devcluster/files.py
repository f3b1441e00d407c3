"""The agent's files API: what lies in sandboxes, by real path or by `/frameworks/…/runs/latest/…`, and nothing else."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
from pathlib import Path
from typing import Any

from aiohttp import web

from scale_worker.devcluster import calls
from scale_worker.devcluster.calls import CallError

MAX_READ = 65536  # bytes; a real agent gives no more in one answer, whatever length says


class Sandboxes:
    """Read access to everything under one agent's directory."""

    def __init__(self, agent_directory: Path) -> None:
        self._root = agent_directory.resolve()

    async def read(self, request: web.BaseRequest) -> web.StreamResponse:
        """`data` and `offset` of a piece of a file; offset -1 or none asks for the size.

        As from a real agent, `data` holds the file's bytes as they are: where a piece begins or ends inside a
        character, or the file is no text, the answer is not valid UTF-8.
        """
        path = self._find(request)
        offset = _number(request, "offset")
        length = _number(request, "length")
        if path.is_dir():
            raise CallError(400, "Cannot read a directory.\n")
        if offset == -1:
            return _answer(request, _piece(b"", path.stat().st_size))
        if offset < -1:
            raise CallError(400, f"Negative offset provided: {offset}.\n")
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(min(length, MAX_READ) if length >= 0 else MAX_READ)
        return _answer(request, _piece(data, offset))

    async def download(self, request: web.BaseRequest) -> web.StreamResponse:
        path = self._find(request)
        if path.is_dir():
            raise CallError(400, "Cannot download a directory.\n")
        headers = {"Content-Disposition": f"attachment; filename={path.name}"}
        response = web.FileResponse(path, headers=headers)
        response.content_type = "application/octet-stream"
        return response

    async def browse(self, request: web.BaseRequest) -> web.StreamResponse:
        path = self._find(request)
        if not path.is_dir():
            raise CallError(404, "")
        asked = request.query["path"].rstrip("/")
        entries = [_entry(f"{asked}/{entry.name}", entry.stat(follow_symlinks=False)) for entry in os.scandir(path)]
        entries.sort(key=lambda entry: str(entry["path"]))
        return _answer(request, json.dumps(entries, separators=(",", ":")).encode())

    def _find(self, request: web.BaseRequest) -> Path:
        """The file that is asked for, links resolved. Raises CallError when it is none of ours."""
        asked = request.query.get("path", "")
        if not asked:
            raise CallError(400, "Expecting 'path=value' in query.\n")
        path = self._root / asked.lstrip("/") if asked.startswith("/frameworks/") else Path(asked)
        try:
            path = path.resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            raise CallError(404, "") from None
        is_special = not (path.is_dir() or path.is_file())  # a FIFO would block the whole cluster
        if is_special or not path.is_absolute() or not path.is_relative_to(self._root) or not os.access(path, os.R_OK):
            raise CallError(404, "")
        return path


def _number(request: web.BaseRequest, name: str) -> int:
    text = request.query.get(name, "-1")
    try:
        return int(text)
    except ValueError:
        raise CallError(400, f"Failed to parse {name}: Failed to convert '{text}' to number.\n") from None


def _piece(data: bytes, offset: int) -> bytes:
    """The JSON document, byte for byte: latin-1 carries any byte through the JSON encoder unchanged."""
    text = json.dumps(data.decode("latin-1"), ensure_ascii=False).encode("latin-1")
    return b'{"data":%b,"offset":%d}' % (text, offset)


def _answer(request: web.BaseRequest, body: bytes) -> web.Response:
    callback = request.query.get("jsonp")
    if callback is None:
        return web.Response(body=body, content_type="application/json")
    if not callback.isidentifier():
        return calls.text(400, "Expecting 'jsonp' to be the name of a function.\n")
    return web.Response(body=b"%b(%b)" % (callback.encode(), body), content_type="text/javascript")


def _entry(path: str, status: os.stat_result) -> dict[str, Any]:
    return {
        "gid": _name_of_group(status.st_gid),
        "mode": stat.filemode(status.st_mode),
        "mtime": float(int(status.st_mtime)),
        "nlink": status.st_nlink,
        "path": path,
        "size": status.st_size,
        "uid": _name_of_user(status.st_uid),
    }


def _name_of_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _name_of_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
