"""What a body contains without effect: fields that only Scale sets, and fields that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema

from scale_core.errors import Warning_


def ignored_fields(body: type[Schema], answer: type[Schema], raw: object, path: str = "") -> list[Warning_]:
    """A warning for each field of `raw` that `body` does not take; those that `answer` shows are read-only."""
    if not isinstance(raw, Mapping):
        return []
    taken = {field.data_key or name for name, field in body().load_fields.items()}
    shown = set(answer().dump_fields)
    where = f"{path}." if path else ""
    return [
        Warning_("read-only", f"{where}{name} cannot be set and is ignored")
        if name in shown
        else Warning_("unknown-field", f"{where}{name} is not known and is ignored")
        for name in sorted(map(str, set(raw) - taken))
        if not (name in shown and raw[name] in _DERIVED.get(name, ()))
    ]


# exports carry these: the value that Scale would come to anyway is no surprise
_DERIVED: Mapping[str, tuple[Any, ...]] = {"is_system": (False,), "uses_docker": (True, False)}
