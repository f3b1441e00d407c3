"""results_manifest.json, which an algorithm leaves in its output directory: versions 1.0 and 1.1 read as 1.1."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import datetime
from typing import Any, NoReturn

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from scale_core import timestamps
from scale_core.documents.problems import problems_of
from scale_core.errors import Invalid, Problem

FILE_NAME = "results_manifest.json"
MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100
MAX_LISTS = 500_000  # positions of footprints, above all: each takes 130 bytes of memory
_OLD_FIELDS = {"path", "paths"}


def parse(content: bytes | str) -> dict[str, Any]:
    """The manifest in a file's content, normalised (see `load`). Raises Invalid."""
    if len(content) > MAX_BYTES:
        raise Invalid(problems=[Problem("", f"is larger than {MAX_BYTES // 1024**2} MiB")])
    return load(strict_json(content))


def load(document: Any) -> dict[str, Any]:
    """A manifest of version 1.0 or 1.1 as 1.1, every field present:

    version, output_data [{name, file: {path, geo_metadata} | files: [...]}], parse_results [{filename, data_types,
    geo_metadata, new_workspace_path, gis_data_path}], info and errors. geo_metadata is None or {data_started,
    data_ended, geo_json}; times are ISO 8601 in UTC. Raises Invalid with a problem for each wrong field.
    """
    if not isinstance(document, dict):
        raise Invalid(problems=[Problem("", "must be a JSON object")])
    version = _version(document)
    if version not in _SCHEMAS:
        known = " and ".join(sorted(_SCHEMAS))
        raise Invalid(problems=[Problem("version", f"{version!r} is not known; {known} are")])
    try:
        manifest: dict[str, Any] = _SCHEMAS[version].load(document)
    except ValidationError as error:
        raise Invalid(problems=problems_of(error.messages)) from None
    _refuse_repeated("output_data", [output["name"] for output in manifest["output_data"]])
    _refuse_repeated("parse_results", [result["filename"] for result in manifest["parse_results"]])
    return manifest


def empty() -> dict[str, Any]:
    """The manifest of an algorithm that wrote none."""
    return load({})


def strict_json(content: bytes | str) -> Any:
    """JSON from an untrusted file: no NaN or Infinity, bounded nesting and size, only text that a database can hold.

    Raises Invalid.
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        if text.count("[") > MAX_LISTS:
            raise Invalid(problems=[Problem("", f"has more than {MAX_LISTS} lists: simplify its footprints")])
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise Invalid(problems=[Problem("", f"is not UTF-8 text: {error.reason} at byte {error.start}")]) from None
    except RecursionError:
        raise Invalid(problems=[Problem("", f"is nested deeper than {MAX_DEPTH} levels")]) from None
    except ValueError as error:
        raise Invalid(problems=[Problem("", f"is not JSON: {error}")]) from None
    _check_tree(document)
    return document


def _check_tree(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise Invalid(problems=[Problem("", f"is nested deeper than {MAX_DEPTH} levels")])


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [*node, *node.values()]
    if isinstance(node, list):
        return node
    if isinstance(node, str) and ("\0" in node or not _is_unicode(node)):
        raise Invalid(problems=[Problem("", f"contains text that cannot be stored: {node[:100]!a}")])
    return []


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _version(document: dict[str, Any]) -> Any:
    """Without a version the latest is meant, unless a 1.0 list of files gives the older one away."""
    version = document.get("version")
    if version is not None:
        return version if isinstance(version, str) else repr(version)
    files = document.get("files")
    old = isinstance(files, list) and all(isinstance(f, dict) and _OLD_FIELDS & f.keys() for f in files)
    return "1.0" if old else "1.1"


def _refuse_repeated(field: str, names: list[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise Invalid(problems=[Problem(field, f"{name!r} is there more than once") for name in repeated])


class _Time(fields.String):
    """An ISO 8601 time, in UTC if it names no time zone, as older algorithms write it."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            naive = datetime.fromisoformat(text.strip()).tzinfo is None
        except ValueError:
            naive = False
        try:
            return timestamps.isoformat(timestamps.parse_datetime(f"{text.strip()}+00:00" if naive else text))
        except Invalid as error:
            raise ValidationError(str(error)) from None


class _Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


class _GeoMetadata(_Lenient):
    data_started = _Time(allow_none=True, load_default=None)
    data_ended = _Time(allow_none=True, load_default=None)
    geo_json = fields.Dict(keys=fields.String(), allow_none=True, load_default=None)


class _File(_Lenient):
    path = fields.String(required=True, validate=validate.Length(min=1))
    geo_metadata = fields.Nested(_GeoMetadata, allow_none=True, load_default=None)


class _Output(_Lenient):
    name = fields.String(required=True)
    file = fields.Nested(_File)
    files = fields.List(fields.Nested(_File))

    @validates_schema
    def _one_of_both(self, data: dict[str, Any], **_: Any) -> None:
        if ("file" in data) == ("files" in data):
            raise ValidationError("needs either file or files")


class _OldOutput(_Lenient):
    name = fields.String(required=True)
    path = fields.String(validate=validate.Length(min=1))
    paths = fields.List(fields.String(validate=validate.Length(min=1)))

    @validates_schema
    def _one_of_both(self, data: dict[str, Any], **_: Any) -> None:
        if ("path" in data) == ("paths" in data):
            raise ValidationError("needs either path or paths")

    @post_load
    def _as_latest(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "path" in data:
            return {"name": data["name"], "file": {"path": data["path"], "geo_metadata": None}}
        return {"name": data["name"], "files": [{"path": path, "geo_metadata": None} for path in data["paths"]]}


class _ParseResult(_Lenient):
    """Both versions: the documentation names data_started and data_ended beside and within geo_metadata."""

    filename = fields.String(required=True, validate=validate.Length(min=1))
    new_workspace_path = fields.String(allow_none=True, load_default=None)
    data_types = fields.List(fields.String(), allow_none=True, load_default=list)
    gis_data_path = fields.String(allow_none=True, load_default=None)
    geo_metadata = fields.Nested(_GeoMetadata, allow_none=True, load_default=None)
    data_started = _Time(allow_none=True, load_default=None)
    data_ended = _Time(allow_none=True, load_default=None)

    @post_load
    def _gather(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        geo = data["geo_metadata"] or {}
        merged = {
            "data_started": geo.get("data_started") or data.pop("data_started"),
            "data_ended": geo.get("data_ended") or data.pop("data_ended"),
            "geo_json": geo.get("geo_json"),
        }
        return {
            "filename": data["filename"],
            "data_types": data["data_types"] or [],
            "geo_metadata": merged if any(merged.values()) else None,
            "new_workspace_path": data["new_workspace_path"] or None,
            "gis_data_path": data["gis_data_path"] or None,
        }


class _Manifest(Schema):
    class Meta:
        unknown = RAISE

    version = fields.String(allow_none=True)
    parse_results = fields.List(fields.Nested(_ParseResult), load_default=list)
    info = fields.Raw(load_default=dict, allow_none=True)
    errors = fields.Raw(load_default=dict, allow_none=True)


class ManifestSchema(_Manifest):
    output_data = fields.List(fields.Nested(_Output), load_default=list)

    @post_load
    def _set_version(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**data, "version": "1.1"}


class _Manifest10(_Manifest):
    files = fields.List(fields.Nested(_OldOutput), load_default=list)

    @post_load
    def _as_latest(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        outputs = data.pop("files")
        return {**data, "output_data": outputs, "version": "1.1"}


_SCHEMAS: dict[str, Schema] = {"1.0": _Manifest10(), "1.1": ManifestSchema()}
