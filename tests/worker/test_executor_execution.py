"""Executions of plain commands: real processes, real files."""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from scale_core.domain.execution import Input, InputFile, Outcome, Output, StoredFile, WorkspaceAccess
from scale_worker.executor.cancel import KILLED
from tests.patience import wait_for
from tests.worker.executions import WORKSPACE, Bench, file_output, prop


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def manifest(**content: Any) -> str:
    """A shell command that writes this manifest."""
    return f"cat > results_manifest.json <<'END'\n{json.dumps(content)}\nEND\n"


def until_written(path: Path) -> None:
    wait_for(f"{path} to be written", lambda: path.exists() and path.read_bytes())


def exited(outcome: Outcome) -> tuple[bool, str | None, int | None]:
    return outcome.succeeded, outcome.error, outcome.job.exit_code


def test_a_command_that_does_nothing(bench: Bench) -> None:
    outcome = bench.run(bench.spec("", command="true"))
    assert exited(outcome) == (True, None, 0)
    for phase in (outcome.pre, outcome.job, outcome.post):
        assert phase.exit_code == 0
        assert phase.started is not None
        assert phase.completed is not None
        assert phase.started <= phase.completed
    assert (outcome.task_id, outcome.job_exe_id) == ("scale.7.abc", 7)
    assert outcome.results_manifest is None
    assert outcome.used["mem_peak"] > 0
    assert sorted(os.listdir(bench.directory)) == ["stderr", "stdout"]


def test_environment_arguments_and_logs(bench: Bench) -> None:
    spec = bench.spec(
        "'pwd; env; echo err >&2; echo $0 \"$@\"' '${a}' ${-x :b} ${c}", inputs=(prop("a", "1 2"), prop("b", "q"))
    )
    outcome = bench.run(spec)
    lines = outcome.stdout.splitlines()
    assert lines[0] == str(bench.directory / "output")
    assert "SCALE_JOB_ID=5" in lines
    assert "SCALE_JOB_EXE_ID=7" in lines
    assert f"SCALE_OUTPUT_DIR={bench.directory}/output" in lines
    assert not [line for line in lines if line.startswith("PYTEST")], "the environment is a clean one"
    assert lines[-1] == "1 2 -x q"
    assert outcome.stderr == "err\n"
    assert outcome.command_arguments.endswith(" '1 2' -x q")
    assert (bench.directory / "stdout").read_text() == outcome.stdout


@pytest.mark.parametrize(
    "value", ["a b", 'it\'s "x"', "$(touch pwned)", "`touch pwned`; touch pwned", "a\nb", "*", "ünï ☃", ""]
)
def test_values_are_never_looked_at_by_a_shell(bench: Bench, value: str) -> None:
    spec = bench.spec("%s ${p} ${job_output_dir}/x", command="printf '%s|'", inputs=(prop("p", value),))
    outcome = bench.run(spec)
    assert outcome.stdout == f"%s|{value}|{bench.directory}/output/x|"
    assert not list(bench.root.rglob("pwned"))


def test_inputs(bench: Bench) -> None:
    one = bench.put("a/it's one $(x).txt", b"1")
    inputs = (
        Input("one file", "file", files=(one,)),
        Input(
            "many", "files", files=(bench.put("b/same", b"2"), bench.put("c/same", b"3"), bench.put("c/1_same", b"4"))
        ),
    )
    outcome = bench.run(
        bench.spec(
            '\'cat "$0"; cd "$1"; for f in *; do echo; echo $f; cat $f; done\' ${one file} ${many}', inputs=inputs
        )
    )
    assert exited(outcome) == (True, None, 0), outcome.message
    assert outcome.stdout.split() == ["1", "1_1_same", "4", "1_same", "3", "same", "2"]
    assert bench.stored() == {"a/it's one $(x).txt": b"1", "b/same": b"2", "c/same": b"3", "c/1_same": b"4"}


@pytest.mark.parametrize(
    ("file", "error"),
    [
        (InputFile(1, WORKSPACE, "absent", "absent"), "missing-file"),
        (InputFile(1, WORKSPACE, "directory", "directory"), "missing-file"),
        (InputFile(1, WORKSPACE, "../outside", "outside"), "filesystem-io"),
        (InputFile(1, WORKSPACE, "link", "link"), "filesystem-io"),
        (InputFile(1, 2, "x", "x"), "filesystem-io"),
        (InputFile(1, 3, "x", "x"), "nfs"),
        (InputFile(1, 4, "x", "x"), "missing-workspace"),
    ],
)
def test_inputs_that_cannot_be_had(bench: Bench, file: InputFile, error: str) -> None:
    (bench.workspace / "directory").mkdir()
    (bench.workspace / "link").symlink_to("/etc/passwd")
    workspaces = (
        *bench.spec().workspaces,
        WorkspaceAccess(2, "away", {"type": "host", "host_path": str(bench.root / "not mounted")}),
        WorkspaceAccess(3, "unmapped", {"type": "nfs", "mount": "nas:/data"}),
    )
    spec = bench.spec("'touch ran' ${in}", inputs=(Input("in", "file", files=(file,)),), workspaces=workspaces)
    outcome = bench.run(spec)
    assert exited(outcome) == (False, error, None)
    assert outcome.pre.exit_code == 1
    assert "'in'" in outcome.message
    assert outcome.job.started is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/no/such/command", "'/no/such/command' does not exist"),
        ("no-such-command -x", "'no-such-command' does not exist"),
        ("/etc/passwd", "'/etc/passwd' may not be executed"),
        ("", "neither a command nor a Docker image"),
        ("'unbalanced", "cannot be built"),
    ],
)
def test_commands_that_cannot_be_started(bench: Bench, command: str, words: str) -> None:
    outcome = bench.run(bench.spec("", command=command))
    assert exited(outcome) == (False, "task-launch", None)
    assert words in outcome.message


def test_nul_in_a_value(bench: Bench) -> None:
    outcome = bench.run(bench.spec("${p}", command="echo", inputs=(prop("p", "a\0b"),)))
    assert exited(outcome) == (False, "task-launch", None)
    assert "\0" not in outcome.message


def test_unknown_action(bench: Bench) -> None:
    assert exited(bench.run(bench.spec(action="dance"))) == (False, "task-launch", None)


def test_exit_codes(bench: Bench) -> None:
    outcome = bench.run(bench.spec("'echo before; exit 3'"))
    assert exited(outcome) == (False, None, 3)
    assert outcome.message == "exited with status 3"
    assert outcome.stdout == "before\n"
    assert outcome.post.started is None
    outcome = bench.run(bench.spec("'kill -SEGV $$'"))
    assert exited(outcome) == (False, None, 128 + signal.SIGSEGV)
    assert "SIGSEGV" in outcome.message


def processes_with(text: str) -> str:
    return subprocess.run(["pgrep", "-f", text], capture_output=True, text=True, check=False).stdout


def test_nothing_of_a_job_stays_behind(bench: Bench) -> None:
    marker = f"60.{os.getpid()}1"
    assert exited(bench.run(bench.spec(f"'sleep {marker} & exit 0'"))) == (True, None, 0)
    assert processes_with(f"sleep {marker}") == ""


@pytest.mark.parametrize("trap", ["", 'trap "" TERM;'])
def test_timeout(bench: Bench, trap: str) -> None:
    marker = f"60.{os.getpid()}2"
    outcome = bench.run(bench.spec(f"'{trap} echo begun; sleep {marker} & wait; wait'", timeout_s=1))
    assert (outcome.succeeded, outcome.error) == (False, "timeout")
    assert "timeout of 1 s" in outcome.message
    assert outcome.stdout == "begun\n"
    assert outcome.job.completed is not None
    assert processes_with(f"sleep {marker}") == ""


@pytest.mark.parametrize("trap", ["", 'trap "" TERM;'])
def test_kill(bench: Bench, trap: str) -> None:
    cancel, outcomes = bench.cancellation(), []
    marker = f"60.{os.getpid()}3"
    spec = bench.spec(f"'{trap} sleep {marker} & echo begun; wait; wait'")
    thread = threading.Thread(target=lambda: outcomes.append(bench.run(spec, cancel)))
    thread.start()
    until_written(bench.root / "execution-1" / "stdout")
    cancel.request(KILLED)
    thread.join(timeout=20)
    assert cancel.reason == KILLED
    assert exited(outcomes[0])[:2] == (False, None)
    assert "killed" in outcomes[0].message
    assert outcomes[0].stdout == "begun\n"
    assert processes_with(f"sleep {marker}") == ""


def test_killed_before_it_began(bench: Bench) -> None:
    cancel = bench.cancellation()
    cancel.request(KILLED)
    outcome = bench.run(bench.spec("'touch ran'"), cancel)
    assert exited(outcome) == (False, None, None)
    assert outcome.job.started is None


def test_long_logs_are_whole_in_the_sandbox_and_cut_in_the_outcome(bench: Bench) -> None:
    outcome = bench.run(
        bench.spec(
            "'i=0; while [ $i -lt 30000 ]; do echo \"line $i ${dots}\"; i=$((i+1)); done'",
            inputs=(prop("dots", "." * 40),),
        )
    )
    whole = (bench.directory / "stdout").read_text()
    assert len(whole.splitlines()) == 30000
    assert len(outcome.stdout.encode()) <= 1024 * 1024
    assert outcome.stdout.startswith("line 0 ")
    assert outcome.stdout.rstrip().endswith("line 29999 ........................................")
    assert "bytes are left out here" in outcome.stdout


def test_logs_that_are_no_text(bench: Bench) -> None:
    outcome = bench.run(bench.spec(r"'a\377b\000c'", command="printf"))
    assert outcome.stdout == "a\ufffdb\ufffdc"


def test_outputs_of_a_manifest(bench: Bench) -> None:
    geo = {"geo_json": {"type": "Point", "coordinates": [1, 2]}, "data_started": "2015-05-15T10:34:12Z"}
    script = "mkdir 'sub dir'; echo 1 > 'sub dir/r é (1).tif'; echo 2 > b; echo 3 > c.geojson\n" + manifest(
        output_data=[
            {"name": "result", "file": {"path": "sub dir/r é (1).tif", "geo_metadata": geo}},
            {"name": "many", "files": [{"path": f"{bench.root}/execution-1/output/b"}, {"path": "./c.geojson"}]},
            {"name": "surprise", "file": {"path": "b"}},
        ],
        info={"a": 1},
    )
    outputs = (
        file_output(),
        file_output("many", type="files", media_type="x/y"),
        file_output("absent", required=False),
    )
    outcome = bench.run(bench.spec("${script}", inputs=(prop("script", script),), outputs=outputs))
    assert exited(outcome) == (True, None, 0), outcome.message
    assert outcome.files == (
        StoredFile(
            "result", WORKSPACE, "out/7/sub_dir/r_é_1.tif", "r_é_1.tif", 2, "image/tiff", {**geo, "data_ended": None}
        ),
        StoredFile("many", WORKSPACE, "out/7/b", "b", 2, "x/y"),
        StoredFile("many", WORKSPACE, "out/7/c.geojson", "c.geojson", 2, "x/y"),
    )
    assert bench.stored() == {"out/7/sub_dir/r_é_1.tif": b"1\n", "out/7/b": b"2\n", "out/7/c.geojson": b"3\n"}
    assert outcome.results_manifest is not None
    assert outcome.results_manifest["info"] == {"a": 1}
    assert "surprise" in outcome.stderr
    assert outcome.used["disk_out"] > 0


def test_outputs_of_artifact_lines(bench: Bench) -> None:
    script = (
        "touch a b c d; echo ARTIFACT:many:a; echo 'not ARTIFACT:many:d'; echo ARTIFACT:many:b >&2;"
        "echo ARTIFACT:result:c;"
        "printf 'ARTIFACT:other:d\\r\\n';" + manifest(output_data=[{"name": "other", "file": {"path": "a"}}])
    )
    outputs = (file_output(), file_output("many", type="files"), file_output("other"))
    outcome = bench.run(bench.spec("${script}", inputs=(prop("script", script),), outputs=outputs))
    assert exited(outcome) == (True, None, 0), outcome.message
    assert [(file.output, file.file_name) for file in outcome.files] == [
        ("result", "c"),
        ("many", "a"),
        ("many", "b"),
        ("other", "1_a"),
    ]


def test_parse_results(bench: Bench) -> None:
    script = 'echo \'{"type": "Point", "coordinates": [1, 2]}\' > g.geojson\n' + manifest(
        version="1.0",
        parse_results=[{"filename": "in", "data_started": "2015-05-15T10:34:12Z", "gis_data_path": "g.geojson"}],
    )
    outcome = bench.run(bench.spec("${script}", inputs=(prop("script", script),)))
    assert exited(outcome) == (True, None, 0), outcome.message
    assert outcome.parse_results[0]["geo_metadata"] == {
        "data_started": "2015-05-15T10:34:12Z",
        "data_ended": None,
        "geo_json": {"type": "Point", "coordinates": [1, 2]},
    }


def located(geo_json: dict[str, Any]) -> str:
    """An output with this footprint."""
    file = {"path": "r", "geo_metadata": {"geo_json": geo_json}}
    return "touch r;" + manifest(output_data=[{"name": "result", "file": file}])


def parsed(path: str) -> str:
    """An output, and an input whose footprint lies in a file."""
    file = {"path": "r"}
    return "touch r;" + manifest(
        output_data=[{"name": "result", "file": file}], parse_results=[{"filename": "in", "gis_data_path": path}]
    )


def output_at(path: str) -> str:
    return manifest(output_data=[{"name": "result", "file": {"path": path}}])


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("true", "missing-required-output", "'result' was not produced"),
        ("echo '{' > results_manifest.json", "invalid-results-manifest", "not JSON"),
        ("printf '\\377' > results_manifest.json", "invalid-results-manifest", "not UTF-8"),
        ("mkfifo results_manifest.json", "invalid-results-manifest", "not a regular file"),
        ("ln -s /etc/passwd results_manifest.json", "invalid-results-manifest", "cannot be read"),
        ("truncate -s 100M results_manifest.json", "invalid-results-manifest", "larger than 16 MiB"),
        (manifest(version="9"), "invalid-results-manifest", "'9' is not known"),
        (located({"type": "Point", "coordinates": [1, 99]}), "invalid-results-manifest", "the latitude 99 is outside"),
        (located({"type": "Point"}), "invalid-results-manifest", "output_data[result].geo_json.coordinates: is not a"),
        ("ln -s /etc/hostname g;" + parsed("g"), "invalid-results-manifest", "outside of the output directory"),
        (parsed("../g"), "invalid-results-manifest", "outside of the output directory"),
        ("mkfifo g;" + parsed("g"), "invalid-results-manifest", "is not a regular file"),
        ("truncate -s 5M g;" + parsed("g"), "invalid-results-manifest", "is larger than 4 MiB"),
        ("echo '{\"type\": NaN}' > g;" + parsed("g"), "invalid-results-manifest", "NaN is not a JSON number"),
        (
            "echo '{\"type\": 1}' > g;" + parsed("g"),
            "invalid-results-manifest",
            "parse_results[in].geo_json.type: 1 is",
        ),
        (output_at("absent"), "invalid-results-manifest", "'absent' does not exist"),
        (output_at("/etc/passwd"), "invalid-results-manifest", "outside of the output directory"),
        (output_at("../../workspace/x"), "invalid-results-manifest", "outside of the output directory"),
        ("ln -s /etc/passwd x;" + output_at("x"), "invalid-results-manifest", "outside of the output directory"),
        ("ln -s / x;" + output_at("x/etc/passwd"), "invalid-results-manifest", "outside of the output directory"),
        ("ln -s x x;" + output_at("x"), "invalid-results-manifest", "not the path of a file"),
        ("mkfifo x;" + output_at("x"), "invalid-results-manifest", "not a regular file"),
        (output_at("."), "invalid-results-manifest", "not a regular file"),
        (manifest(output_data=[{"name": "result", "files": [{"path": "x"}]}]), "missing-required-output", "as file"),
        (manifest(output_data=[{"name": "other", "file": {"path": "x"}}]), "missing-required-output", "'result'"),
        ("touch a b; echo ARTIFACT:result:a; echo ARTIFACT:result:b", "missing-required-output", "as file"),
        ("echo ARTIFACT:result:../../x", "invalid-results-manifest", "outside"),
        (
            manifest(parse_results=[{"filename": "a", "gis_data_path": "/etc/passwd"}])
            + "touch x; echo ARTIFACT:result:x",
            "invalid-results-manifest",
            "gis_data_path of 'a'",
        ),
        (
            manifest(parse_results=[{"filename": "a", "gis_data_path": "x"}]) + "echo NaN > x; echo ARTIFACT:result:x",
            "invalid-results-manifest",
            "gis_data_path of 'a'",
        ),
    ],
)
def test_bad_results(bench: Bench, script: str, error: str, words: str) -> None:
    (bench.workspace / "x").write_text("not an output")
    outcome = bench.run(bench.spec("${script}", inputs=(prop("script", script),), outputs=(file_output(),)))
    assert exited(outcome) == (False, error, 0)
    assert words in outcome.message
    assert outcome.post.exit_code == 1
    assert outcome.files == ()
    assert list(bench.stored()) == ["x"]


@pytest.mark.parametrize("output", [Output("result", "file"), Output("result", "file", workspace_id=99)])
def test_outputs_need_a_workspace(bench: Bench, output: Output) -> None:
    outcome = bench.run(bench.spec("'touch x; echo ARTIFACT:result:x'", outputs=(output,)))
    assert exited(outcome) == (False, "missing-workspace", 0)


def test_output_workspace_away(bench: Bench) -> None:
    bench.workspace.rmdir()
    outcome = bench.run(bench.spec("'touch x; echo ARTIFACT:result:x'", outputs=(file_output(),)))
    assert exited(outcome) == (False, "filesystem-io", 0)
    assert "not mounted" in outcome.message


def test_the_same_execution_twice_stores_its_outputs_once(bench: Bench) -> None:
    spec = bench.spec("'echo 1 > x; echo ARTIFACT:result:x'", outputs=(file_output(),))
    assert bench.run(spec).files == bench.run(spec).files
    assert bench.stored() == {"out/7/x": b"1\n"}
