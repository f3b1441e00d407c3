"""What is fed with made-up bytes: whatever comes from users and their algorithms and is read before it is trusted.

Each takes bytes and returns; Invalid is an answer, any other exception a finding.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from scale_core.documents import (
    clock_rule,
    error_interface,
    geometry,
    job_data,
    job_interface,
    recipe_definition,
    results_manifest,
    strike_configuration,
    trigger_rule,
    workspace_configuration,
)
from scale_core.domain import command
from scale_core.errors import Invalid

Target = Callable[[bytes], None]

NORMALIZED: dict[str, Callable[[object], Any]] = {
    "error_mapping": error_interface.normalize,
    "interface": job_interface.normalize,
    "recipe_definition": recipe_definition.normalize,
    "strike": strike_configuration.normalize,
    "trigger_rule": trigger_rule.normalize,
    "workspace": workspace_configuration.normalize,
}
PARSED: dict[str, Callable[[object], Any]] = {
    "clock_rule": clock_rule.parse,
    "geometry": geometry.footprint,
    "interface": job_interface.parse,
    "job_data": job_data.parse,
    "recipe_data": job_data.parse_recipe,
    "recipe_definition": recipe_definition.parse,
    "strike": strike_configuration.parse,
    "trigger_rule": trigger_rule.parse,
}


def manifests(data: bytes) -> None:
    """results_manifest.json as an algorithm left it, with the footprints in it."""
    with suppress(Invalid):
        manifest = results_manifest.parse(data)
        outputs = [file for each in manifest["output_data"] for file in (each.get("files") or [each.get("file")])]
        for found in [*outputs, *manifest["parse_results"]]:
            if found and found.get("geo_metadata"):
                geometry.footprint(found["geo_metadata"]["geo_json"])


def documents(data: bytes) -> None:
    """The same JSON as every document: what is taken is in its final form, and readable."""
    try:
        raw = results_manifest.strict_json(data)
    except Invalid:
        return
    for name, normalize in NORMALIZED.items():
        with suppress(Invalid):
            once = normalize(raw)
            assert normalize(json.loads(json.dumps(once))) == once, name
    for parse in PARSED.values():
        with suppress(Invalid):
            parse(raw)


def expressions(data: bytes) -> None:
    """An expression of a Strike and, after the first newline, a name that it is held against."""
    expression, _, name = data.decode("utf-8", "replace").partition("\n")
    rule = {"filename_regex": expression, "data_types": [], "workspace_path": "x", "workspace_name": "w"}
    document = {"version": "1.0", "mount": "h:/x", "transfer_suffix": "_tmp", "files_to_ingest": [rule]}
    with suppress(Invalid):
        strike_configuration.parse(document).rule_for(name)


def commands(data: bytes) -> None:
    """A template of arguments and, after the first newline, a value: it stays in its argument, whatever it contains."""
    template, _, value = data.decode("utf-8", "replace").partition("\n")
    with suppress(Invalid):
        command.placeholders(template)
        plain = command.render("run", template, {"x": "V", "job_output_dir": "D"})
        filled = command.render("run", template, {"x": value, "job_output_dir": "D"})
        assert len(plain) == len(filled), (plain, filled)


TARGETS: dict[str, Target] = {each.__name__: each for each in (manifests, documents, expressions, commands)}

_RING = [[0, 0], [1, 0], [1, 1], [0, 0]]
_GEO = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [_RING]}, "properties": {}}
_FILE = {"path": "a.txt", "geo_metadata": {"data_started": "2026-01-01T00:00:00Z", "geo_json": _GEO}}
_RULE = {"filename_regex": ".*", "data_types": ["a"], "workspace_path": "x", "workspace_name": "w"}
_INPUT = {"name": "in", "type": "file", "required": True, "media_types": ["text/plain"]}
_JOB = {
    "name": "one", "job_type": {"name": "t", "version": "1"},
    "recipe_inputs": [{"recipe_input": "in", "job_input": "in"}],
    "dependencies": [{"name": "two", "connections": [{"output": "o", "input": "in"}]}],
}  # fmt: skip
_DOCUMENTS: list[dict[str, Any]] = [
    {"version": "1.0", "mount": "h:/x", "transfer_suffix": "_tmp", "files_to_ingest": [_RULE]},
    {"version": "1.0", "command": "c", "command_arguments": "${in}", "input_data": [_INPUT], "output_data": []},
    {
        "version": "1.0",
        "input_data": [_INPUT],
        "jobs": [_JOB, {"name": "two", "job_type": {"name": "t", "version": "1"}}],
    },
    {"version": "1.0", "input_data": [{"name": "in", "file_id": 1}], "output_data": [{"name": "o", "workspace_id": 1}]},
    {"version": "1.0", "condition": {"media_type": "a/b"}, "data": {"input_data_name": "in", "workspace_name": "w"}},
    {"version": "1.0", "broker": {"type": "s3", "bucket": "abc", "endpoint_url": "https://x:1", "prefix": "a"}},
    {"version": "1.0", "broker": {"type": "ftp", "host": "x", "path": "/a", "tls": True}},
    {"version": "1.0", "exit_codes": {"1": "unknown"}},
    {"version": "1.0", "name": "n", "event_type": "E", "schedule": "PT1H"},
    _GEO,
]
SEEDS: dict[str, list[bytes]] = {
    "manifests": [
        json.dumps({"version": "1.1", "output_data": [{"name": "o", "file": _FILE}, {"name": "p", "files": [_FILE]}],
                    "parse_results": [{"filename": "a", "geo_metadata": _FILE["geo_metadata"]}]}).encode(),
        b'{"version": "1.0", "files": [{"name": "o", "path": "a"}]}',
    ],
    "documents": [json.dumps(each).encode() for each in _DOCUMENTS],
    "expressions": [b"^(a+)+$\naaaa", b"\\d{4}-(?P<x>.*)[.]txt\n2026-x.txt", b"(?i)\\p{L}+\n\xc3\xbc"],
    "commands": [b"-a ${x} '${job_output_dir}' \"b c\"\nvalue", b"${-f :x}\n'\"$(x)"],
}  # fmt: skip
