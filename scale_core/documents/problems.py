"""marshmallow's nested messages as a flat list of problems, each with the path of its field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scale_core.errors import Problem

_NO_FIELD = "_schema"


def problems_of(messages: Any, path: str = "") -> list[Problem]:
    """ValidationError.messages as problems: ``output_data[0].file.path``, what is wrong with it."""
    return list(_walk(messages, path))


def _walk(messages: Any, path: str) -> Iterator[Problem]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _walk(inner, _join(path, key))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _walk(inner, path)
    else:
        yield Problem(path, str(messages))


def _join(path: str, key: object) -> str:
    if key == _NO_FIELD:
        return path
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)
