"""Executions with very many files, and with very large ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scale_core.domain.execution import Input, InputFile, StatusData, WorkspaceAccess
from scale_core.settings import CHECKOUT
from tests.remote_servers import ENVIRONMENT, ftp_server, s3_server
from tests.worker.executions import Bench, file_output

COUNT = 10_000
MIB = 1024**2
PRODUCE = """
import json
names = [f"{number % 7}/file {number:05d}.txt" for number in range(10000)]
for directory in range(7):
    __import__("os").mkdir(str(directory))
for number, name in enumerate(names):
    with open(name, "w") as file:
        file.write(str(number))
files = [{"path": name} for name in names]
with open("results_manifest.json", "w") as file:
    json.dump({"version": "1.1", "output_data": [{"name": "many", "files": files}], "parse_results": []}, file)
"""


def test_ten_thousand_outputs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    (tmp_path / "produce.py").write_text(PRODUCE)
    outcome = bench.run(
        bench.spec(f"'{sys.executable} {tmp_path}/produce.py'", outputs=(file_output("many", type="files"),))
    )
    assert (outcome.succeeded, outcome.message) == (True, "")
    names = [f"{number % 7}/file_{number:05d}.txt" for number in range(COUNT)]
    assert [file.file_path for file in outcome.files] == [f"out/7/{name}" for name in names], "in the manifest's order"
    assert bench.stored() == {f"out/7/{name}": str(number).encode() for number, name in enumerate(names)}
    assert StatusData.decode(StatusData(outcome=outcome).encode()).outcome == outcome


def test_hundreds_of_files_of_remote_workspaces(tmp_path: Path) -> None:
    """Several at a time, each connection used by one thread only."""
    bench = Bench(tmp_path, ENVIRONMENT)
    with s3_server() as s3, ftp_server(tmp_path / "ftp") as ftp:
        names = [f"{number:03d}.txt" for number in range(200)]
        for name in names:
            (ftp.root / name).write_text(f"content of {name}")
        access = WorkspaceAccess(2, "bucket", s3.config()), WorkspaceAccess(3, "ftp", ftp.config())
        inputs = (Input("all", "files", files=tuple(InputFile(1, 3, name, name, 18) for name in names)),)
        command = '\'for name in "$1"/*; do cp "$name" .; echo ARTIFACT:out:$(basename "$name"); done\' sh ${all}'
        outputs = (file_output("out", type="files", workspace_id=2),)
        outcome = bench.run(bench.spec(command, workspaces=access, inputs=inputs, outputs=outputs))
        assert (outcome.succeeded, outcome.message) == (True, "")
        assert s3.files() == {f"out/7/{name}": f"content of {name}".encode() for name in names}
        absent = InputFile(1, 3, "absent", "absent")
        inputs = (Input("all", "files", files=(*inputs[0].files, absent)),)
        outcome = bench.run(bench.spec(command, workspaces=access, inputs=inputs, outputs=outputs))
        assert (outcome.error, outcome.files) == ("missing-file", ())


RUN = """
import json, resource, sys
from pathlib import Path
from scale_core.domain.execution import Input, InputFile, WorkspaceAccess
from tests.worker.executions import WORKSPACE, Bench, file_output

root, broker, size = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
bench = Bench(root, json.loads(sys.argv[4]))
access = WorkspaceAccess(WORKSPACE, "raw", broker)

def peak(size, name):
    command = f"'truncate -s {size} {name}; echo ARTIFACT:large:{name}'"
    spec = bench.spec(command, workspaces=(access,), outputs=(file_output("large"),), output_path="out")
    outcome = bench.run(spec)
    assert outcome.succeeded, outcome.message
    (stored,) = outcome.files
    assert stored.file_size == size
    again = InputFile(1, WORKSPACE, stored.file_path, name, size)
    outcome = bench.run(bench.spec(
        f"'test $(wc -c < \\"$1\\") = {size}' sh ${{it}}",
        workspaces=(access,),
        inputs=(Input("it", "file", files=(again,)),),
    ))
    assert outcome.succeeded, outcome.message
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

print(json.dumps([peak(20 * 1024**2, "small"), peak(size, "large")]))
"""


@pytest.mark.parametrize(("kind", "mib"), [("host", 384), ("ftp", 384), ("s3", 128)])
def test_large_files_are_never_in_memory(tmp_path: Path, kind: str, mib: int) -> None:
    """Stored and staged by a process of its own, whose peak is that of a file of 20 MiB, give or take."""

    def peaks(broker: dict[str, Any]) -> list[float]:
        (tmp_path / "bench").mkdir()
        arguments = [str(tmp_path / "bench"), json.dumps(broker), str(mib * MIB), json.dumps(ENVIRONMENT)]
        ended = subprocess.run(
            [sys.executable, "-c", RUN, *arguments], cwd=CHECKOUT, check=False, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        found: list[float] = json.loads(ended.stdout)
        return found

    if kind == "host":
        (tmp_path / "store").mkdir()
        small, large = peaks({"type": "host", "host_path": str(tmp_path / "store")})
    elif kind == "ftp":
        with ftp_server(tmp_path / "ftp") as ftp:
            small, large = peaks(ftp.config())
    else:
        with s3_server() as s3:
            small, large = peaks(s3.config())
    assert large < small + 32, "MiB"
