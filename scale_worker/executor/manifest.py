"""What a job says it produced: results_manifest.json and ARTIFACT lines, checked against its interface."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from scale_core.documents import results_manifest
from scale_core.documents.geometry import footprint
from scale_core.domain.execution import ExecutionSpec, Output
from scale_core.errors import Invalid
from scale_worker.executor.failures import INVALID_MANIFEST, MISSING_OUTPUT, Failed

MAX_GIS_BYTES = 4 * 1024 * 1024
_MAX_LINE = 64 * 1024
_ARTIFACT = re.compile(r"ARTIFACT:([^:]*):(.*)")


@dataclass(frozen=True)
class Product:
    """A file that the job produced: regular, under the output directory, `relative` to it."""

    output: Output
    path: Path
    relative: str
    geo_metadata: dict[str, Any] | None


@dataclass(frozen=True)
class Results:
    """`manifest` is None when the job left neither a manifest nor ARTIFACT lines."""

    manifest: dict[str, Any] | None
    products: list[Product]
    parse_results: list[dict[str, Any]]
    ignored: list[str]  # names of outputs that the interface does not have


def collect(spec: ExecutionSpec, output: Path, seen_output: str, logs: tuple[Path, ...]) -> Results:
    """Everything the job produced. Raises Failed: a wrong manifest, a missing output."""
    directory = _Directory(output, seen_output)
    content = directory.read(
        output / results_manifest.FILE_NAME, results_manifest.MAX_BYTES, results_manifest.FILE_NAME
    )
    artifacts = _artifacts(logs)
    if content is None and not artifacts:
        _require_outputs(spec, {})
        return Results(None, [], [], [])
    try:
        manifest = results_manifest.empty() if content is None else results_manifest.parse(content)
    except Invalid as error:
        raise Failed(INVALID_MANIFEST, f"{results_manifest.FILE_NAME} is invalid: {error}") from None
    _add_artifacts(spec, manifest, artifacts)
    found = {entry["name"]: entry for entry in manifest["output_data"]}
    _require_outputs(spec, found)
    products = [
        _product(declared, file, directory)
        for declared in spec.outputs
        if declared.name in found
        for file in _files(found[declared.name])
    ]
    parse_results = [_with_gis_data(result, directory) for result in manifest["parse_results"]]
    _check_footprints(products, parse_results)
    declared_names = {declared.name for declared in spec.outputs}
    return Results(manifest, products, parse_results, [name for name in found if name not in declared_names])


class _Directory:
    """The output directory of a job that has ended: on this machine, and as the job saw it."""

    def __init__(self, path: Path, seen: str) -> None:
        self.root = path.resolve()
        self._seen = seen

    def locate(self, path: str, what: str) -> Path:
        """The real path of a file that the job named as it saw it. Raises Failed unless it is a regular file under the
        directory, all of whose names are there."""
        pure = PurePosixPath(path)
        if pure.is_absolute() and pure.is_relative_to(self._seen):
            pure = pure.relative_to(self._seen)
        try:
            real = (self.root / pure).resolve()
            inside = not pure.is_absolute() and real.is_relative_to(self.root)
            found = real.stat() if inside else None
        except FileNotFoundError:
            raise Failed(INVALID_MANIFEST, f"{what}: the file {path!r} does not exist") from None
        except (OSError, ValueError, RuntimeError) as error:
            raise Failed(INVALID_MANIFEST, f"{what}: {path!r} is not the path of a file: {error}") from None
        if found is None:
            raise Failed(INVALID_MANIFEST, f"{what}: {path!r} is outside of the output directory {self._seen}")
        if not stat.S_ISREG(found.st_mode):
            raise Failed(INVALID_MANIFEST, f"{what}: {path!r} is not a regular file")
        self._refuse_foreign(found, f"{what}: {path!r}")
        return real

    def read(self, path: Path, limit: int, what: str) -> bytes | None:
        """A small regular file's content, None when there is none. It may be a pipe or a link: the job made it."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failed(INVALID_MANIFEST, f"{what} cannot be read: {error.strerror}") from None
        with open(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Failed(INVALID_MANIFEST, f"{what} is not a regular file")
            if found.st_size > limit:
                raise Failed(INVALID_MANIFEST, f"{what} is larger than {limit // 1024**2} MiB")
            self._refuse_foreign(found, what)
            return file.read(limit + 1)

    def _refuse_foreign(self, found: os.stat_result, what: str) -> None:
        """A hard link makes a file of elsewhere look like one of the job's own."""
        if found.st_nlink > 1 and self._names[found.st_dev, found.st_ino] < found.st_nlink:
            reason = "is a hard link to a file outside of the output directory: copy the file instead"
            raise Failed(INVALID_MANIFEST, f"{what} {reason}")

    @cached_property
    def _names(self) -> Counter[tuple[int, int]]:
        """How many names each file has here. Looked at once, and only when a file has several."""
        names: Counter[tuple[int, int]] = Counter()
        for parent, directories, files in os.walk(self.root):
            directories[:] = [name for name in directories if not os.path.islink(os.path.join(parent, name))]
            for name in files:
                with suppress(OSError):
                    found = os.lstat(os.path.join(parent, name))
                    names[found.st_dev, found.st_ino] += 1
        return names


def _product(declared: Output, file: dict[str, Any], directory: _Directory) -> Product:
    path = directory.locate(file["path"], f"output {declared.name!r}")
    return Product(declared, path, str(path.relative_to(directory.root)), file["geo_metadata"])


def _check_footprints(products: Iterable[Product], parse_results: Iterable[Mapping[str, Any]]) -> None:
    """Refused here, before anything is stored, since with a footprint that is wrong nothing will be catalogued."""
    named = [(f"output_data[{product.output.name}]", product.geo_metadata) for product in products]
    named += [(f"parse_results[{result['filename']}]", result["geo_metadata"]) for result in parse_results]
    for where, geo in named:
        if geo and geo["geo_json"]:
            try:
                footprint(geo["geo_json"], f"{where}.geo_json")
            except Invalid as error:
                raise Failed(INVALID_MANIFEST, f"{results_manifest.FILE_NAME} is invalid: {error}") from None


def _files(entry: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["file"]] if "file" in entry else entry["files"]


def _require_outputs(spec: ExecutionSpec, found: dict[str, Any]) -> None:
    for declared in spec.outputs:
        entry = found.get(declared.name)
        if entry is None or entry.get("files") == []:
            if declared.required:
                raise Failed(MISSING_OUTPUT, f"the required output {declared.name!r} was not produced")
        elif declared.type not in entry:
            other = "files" if declared.type == "file" else "file"
            raise Failed(MISSING_OUTPUT, f"output {declared.name!r} must be given as {declared.type}, not as {other}")


def _artifacts(logs: tuple[Path, ...]) -> dict[str, list[str]]:
    artifacts: dict[str, list[str]] = {}
    for log in logs:
        for line in _lines(log):
            match = _ARTIFACT.fullmatch(line)
            if match:
                artifacts.setdefault(match[1], []).append(match[2])
    return artifacts


def _lines(log: Path) -> Iterator[str]:
    """Lines that may be artifacts; of lines too long to be one only pieces are ever in memory."""
    if not log.stat().st_size:
        return
    with open(log, "rb") as file:
        at_start = True
        while line := file.readline(_MAX_LINE):
            complete = line.endswith(b"\n") or len(line) < _MAX_LINE
            if at_start and complete and line.startswith(b"ARTIFACT:"):
                yield os.fsdecode(line.rstrip(b"\r\n"))
            at_start = line.endswith(b"\n")


def _add_artifacts(spec: ExecutionSpec, manifest: dict[str, Any], artifacts: dict[str, list[str]]) -> None:
    """Lines become entries; where the manifest has the name, it takes precedence."""
    types = {declared.name: declared.type for declared in spec.outputs}
    named = {entry["name"] for entry in manifest["output_data"]}
    for name, paths in artifacts.items():
        if name not in named:
            files = [{"path": path, "geo_metadata": None} for path in paths]
            single = types.get(name) != "files" and len(files) == 1
            manifest["output_data"].append(
                {"name": name, "file": files[0]} if single else {"name": name, "files": files}
            )


def _with_gis_data(result: dict[str, Any], directory: _Directory) -> dict[str, Any]:
    """The content of the GIS file as the parse result's geo_json, unless the manifest gives one itself."""
    geo = result["geo_metadata"] or {"data_started": None, "data_ended": None, "geo_json": None}
    if not result["gis_data_path"] or geo["geo_json"]:
        return result
    what = f"gis_data_path of {result['filename']!r}"
    path = directory.locate(result["gis_data_path"], what)
    try:
        geo_json = results_manifest.strict_json(directory.read(path, MAX_GIS_BYTES, what) or b"")
    except Invalid as error:
        raise Failed(INVALID_MANIFEST, f"{what} is invalid: {error}") from None
    if not isinstance(geo_json, dict):
        raise Failed(INVALID_MANIFEST, f"{what} is not a GeoJSON object")
    return {**result, "geo_metadata": {**geo, "geo_json": geo_json}}
