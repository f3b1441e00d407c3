"""Job data and recipe data from ``-i name=value``, as the interface of what is run wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scale_cli.app import Wrong
from scale_client import Scale


def of_job(scale: Scale, interface: Mapping[str, Any], given: Sequence[str], workspace: str | None) -> dict[str, Any]:
    """Job data 1.0. All outputs go to the one workspace."""
    outputs = interface.get("output_data") or []
    if outputs and workspace is None:
        raise Wrong("it has outputs: say with --workspace where they go")
    workspace_id = scale.workspaces.find(workspace)["id"] if outputs and workspace else None
    return {
        "version": "1.0",
        "input_data": _inputs(scale, interface.get("input_data") or [], given),
        "output_data": [{"name": output["name"], "workspace_id": workspace_id} for output in outputs],
    }


def of_recipe(
    scale: Scale, definition: Mapping[str, Any], given: Sequence[str], workspace: str | None
) -> dict[str, Any]:
    """Recipe data 1.0."""
    data: dict[str, Any] = {
        "version": "1.0",
        "input_data": _inputs(scale, definition.get("input_data") or [], given),
    }
    if workspace is not None:
        data["workspace_id"] = scale.workspaces.find(workspace)["id"]
    return data


def _inputs(scale: Scale, wanted: Sequence[Mapping[str, Any]], given: Sequence[str]) -> list[dict[str, Any]]:
    kinds = {item["name"]: item["type"] for item in wanted}
    made = []
    for text in given:
        name, is_pair, value = text.partition("=")
        if not is_pair:
            raise Wrong(f"-i {text}: write it as NAME=VALUE")
        if name not in kinds:
            known = ", ".join(kinds) or "none"
            raise Wrong(f"-i {text}: there is no input {name}; it has {known}")
        made.append({"name": name, **_value(scale, kinds[name], value)})
    return made


def _value(scale: Scale, kind: str, value: str) -> dict[str, Any]:
    if kind == "property":
        return {"value": value}
    ids = [_file_id(scale, part) for part in value.split(",") if part]
    if kind == "files":
        return {"file_ids": ids}
    if len(ids) != 1:
        raise Wrong(f"{value}: one file is wanted")
    return {"file_id": ids[0]}


def _file_id(scale: Scale, text: str) -> int:
    if text.isdigit():
        return int(text)
    found = list(scale.files.list(file_name=text, limit=2))
    if not found:
        raise Wrong(f"there is no file {text}")
    if len(found) > 1:
        raise Wrong(f"several files are called {text}; give the id of one")
    return found[0]["id"]
