"""Results that are links, or footprints far too large, on a real executor, which stays small."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scale_core.domain.execution import Outcome
from tests.worker.executions import file_output, prop
from tests.worker.test_executor_process import Executor

MAX_EXECUTOR_MIB = 200


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[Executor]:
    executor = Executor(tmp_path)
    try:
        yield executor
        peak = Path(f"/proc/{executor.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        assert int(peak) / 1024 < MAX_EXECUTOR_MIB
    finally:
        executor.close()


def run(executor: Executor, script: str, **more: Any) -> Outcome:
    return executor.run(executor.bench.spec("${script}", inputs=(prop("script", script),), **more))[1]


def manifest(path: str) -> str:
    document = {"version": "1.1", "output_data": [{"name": "result", "file": {"path": path}}]}
    return f"printf '%s' '{json.dumps(document)}' > results_manifest.json"


def test_a_directory_full_of_links(executor: Executor) -> None:
    """Links among the job's own files are fine, also thousands of them; one from elsewhere is not, nor is it read."""
    program = "import os; [(os.link('x', f'h{n}'), os.symlink('x', f's{n}')) for n in range(3000)]"
    own = f'echo x > x; {sys.executable} -c "{program}"; mkdir d; ln -s .. d/up; '
    outcome = run(executor, own + manifest("d/up/h2999"), outputs=(file_output(),), task_id="own")
    assert outcome.succeeded, outcome.message
    assert list(executor.bench.stored().values()) == [b"x\n"]
    secret = executor.bench.root / "secret"
    secret.write_text("secret")
    outcome = run(executor, f"{own} ln {secret} y; {manifest('y')}", outputs=(file_output(),), task_id="other")
    assert (outcome.error, outcome.files) == ("invalid-results-manifest", ())
    assert "'y' is a hard link to a file outside of the output directory" in outcome.message
    secret.write_text('{"info": {"secret": 1}}')
    outcome = run(executor, f"ln {secret} results_manifest.json", task_id="manifest")
    assert (outcome.error, outcome.results_manifest) == ("invalid-results-manifest", None)


@pytest.mark.parametrize(
    ("where", "words"), [("geo_metadata", "lists: simplify its footprints"), ("gis_data_path", "larger than 4 MiB")]
)
def test_a_geometry_of_a_million_vertices(executor: Executor, where: str, words: str) -> None:
    """Of so few digits that it is no larger than a manifest may be."""
    program = f"""
ring = ",".join(["[1,2],[12,34]"] * 500_000)
geo_json = '{{"type":"Polygon","coordinates":[[' + ring + ']]}}'
inline = '"geo_metadata":{{"geo_json":' + geo_json + '}}' if {where!r} == "geo_metadata" else '"gis_data_path":"g.json"'
open("g.json", "w").write(geo_json)
open("results_manifest.json", "w").write('{{"version":"1.1","parse_results":[{{"filename":"x",' + inline + '}}]}}')
"""
    outcome = executor.run(
        executor.bench.spec("-c ${program}", command=sys.executable, inputs=(prop("program", program),), mem=1024.0)
    )[1]
    assert (outcome.succeeded, outcome.error) == (False, "invalid-results-manifest"), outcome
    assert words in outcome.message
