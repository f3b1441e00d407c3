"""Executions whose files lie in remote workspaces: fetched, stored, ingested, and what goes wrong with them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scale_core.domain.execution import ExecutionSpec, IngestItem, Input, InputFile, WorkspaceAccess
from scale_worker.executor.cancel import KILLED
from tests.docker_images import busybox_image
from tests.remote_servers import ENVIRONMENT, PASSWORD, SECRETS, FtpServer, S3Server, ftp_server, s3_server
from tests.worker.executions import Bench, file_output

S3, FTP = 11, 12
CONTENT = b"a file of a remote workspace"
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[FtpServer]:
    with ftp_server(tmp_path / "ftp") as server:
        yield server


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, ENVIRONMENT)


@pytest.fixture
def access(s3: S3Server, ftp: FtpServer, tmp_path: Path) -> tuple[WorkspaceAccess, ...]:
    """Of a workspace in a bucket and of one on an FTP server."""
    bucket = WorkspaceAccess(S3, "bucket", s3.config(prefix=tmp_path.name))
    return bucket, WorkspaceAccess(FTP, "ftp", ftp.config())


@pytest.fixture
def stored(s3: S3Server, ftp: FtpServer, tmp_path: Path) -> tuple[InputFile, ...]:
    """The same file in both."""
    s3.client().put_object(Bucket="scale", Key=f"{tmp_path.name}/in/a b.txt", Body=CONTENT)
    (ftp.root / "in").mkdir()
    (ftp.root / "in" / "a b.txt").write_bytes(CONTENT)
    return tuple(InputFile(number, number, "in/a b.txt", "a b.txt", len(CONTENT), CHECKSUM) for number in (S3, FTP))


def spec(bench: Bench, access: tuple[WorkspaceAccess, ...], arguments: str, **more: Any) -> ExecutionSpec:
    return bench.spec(arguments, workspaces=access, **more)


def test_inputs_are_fetched_and_outputs_stored(
    bench: Bench, access: tuple[WorkspaceAccess, ...], stored: tuple[InputFile, ...], s3: S3Server, ftp: FtpServer
) -> None:
    inputs = (Input("one", "file", files=stored[:1]), Input("both", "files", files=stored))
    outcome = bench.run(
        spec(
            bench,
            access,
            '\'cat "$1" > one.txt; ls "$2" > two.txt; cat "$2"/* >> two.txt; '
            "echo ARTIFACT:one:one.txt; echo ARTIFACT:two:two.txt' sh ${one} ${both}",
            inputs=inputs,
            outputs=(file_output("one", workspace_id=FTP), file_output("two", workspace_id=S3)),
        )
    )
    assert (outcome.succeeded, outcome.message) == (True, "")
    assert [(file.workspace_id, file.file_path) for file in outcome.files] == [
        (FTP, "out/7/one.txt"),
        (S3, "out/7/two.txt"),
    ]
    assert ftp.files()["out/7/one.txt"] == CONTENT
    names = b"1_a b.txt\na b.txt\n"
    assert s3.files()[f"{bench.root.name}/out/7/two.txt"] == names + 2 * CONTENT
    assert not (bench.directory / "input").exists(), "copies go with the execution"


@pytest.mark.docker
def test_a_container_sees_copies_too(
    bench: Bench, access: tuple[WorkspaceAccess, ...], stored: tuple[InputFile, ...], ftp: FtpServer
) -> None:
    command = (
        '\'cd $SCALE_OUTPUT_DIR; cat "$1"/* > all; touch "$1"/new || echo read-only >> all; echo ARTIFACT:all:all\''
        " sh ${both}"
    )
    outcome = bench.run(
        spec(
            bench,
            access,
            command,
            docker_image=busybox_image(),
            inputs=(Input("both", "files", files=stored),),
            outputs=(file_output("all", workspace_id=FTP),),
        )
    )
    assert (outcome.succeeded, outcome.message) == (True, "")
    assert ftp.files()["out/7/all"] == 2 * CONTENT + b"read-only\n"


def test_what_the_catalogue_says_is_checked(
    bench: Bench, access: tuple[WorkspaceAccess, ...], stored: tuple[InputFile, ...]
) -> None:
    for changed, error, says in (
        ({"file_size": 3}, "remote-storage", "not 3: it was changed"),
        ({"checksum": "0" * 64}, "remote-storage", "it was changed"),
        ({"file_path": "in/absent"}, "missing-file", "'in/absent' does not exist in workspace"),
        ({"file_path": "../x"}, "remote-storage", "not a path relative to the workspace"),
    ):
        for file in stored:
            inputs = (Input("one", "file", files=(replace(file, **changed),)),)
            outcome = bench.run(spec(bench, access, "true", inputs=inputs))
            assert (outcome.succeeded, outcome.error) == (False, error)
            assert says in outcome.message


def test_a_server_that_is_gone_is_an_error_of_the_system(
    bench: Bench, access: tuple[WorkspaceAccess, ...], stored: tuple[InputFile, ...], ftp: FtpServer
) -> None:
    ftp.stop()
    outcome = bench.run(spec(bench, access, "true", inputs=(Input("one", "file", files=stored[1:]),)))
    assert (outcome.succeeded, outcome.error) == (False, "remote-storage")
    assert f"the FTP server 127.0.0.1:{ftp.port}: Connection refused" in outcome.message
    command = "'echo x > a; echo ARTIFACT:one:a'"
    outcome = bench.run(spec(bench, access, command, outputs=(file_output("one", workspace_id=FTP),)))
    assert (outcome.succeeded, outcome.error, outcome.files) == (False, "remote-storage", ())
    ftp.start()
    outcome = bench.run(spec(bench, access, command, outputs=(file_output("one", workspace_id=FTP),)))
    assert outcome.succeeded


def test_secrets_stay_with_the_executor(
    tmp_path: Path, access: tuple[WorkspaceAccess, ...], stored: tuple[InputFile, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    bench = Bench(tmp_path, ENVIRONMENT)
    described = spec(
        bench, access, '\'env; tr "\\0" " " < /proc/self/cmdline\'', inputs=(Input("one", "file", files=stored[:1]),)
    )
    outcome = bench.run(described)
    assert outcome.succeeded
    shown = described.to_json() + outcome.to_json() + repr(bench.settings)
    assert not [secret for secret in SECRETS.values() if secret != SECRETS["SCALE_SECRET_USER"] and secret in shown]
    assert "SCALE_SECRET_" not in outcome.stdout


def test_a_secret_that_the_node_does_not_have(
    tmp_path: Path, access: tuple[WorkspaceAccess, ...], stored: tuple[InputFile, ...]
) -> None:
    outcome = Bench(tmp_path).run(
        spec(Bench(tmp_path), access, "true", inputs=(Input("one", "file", files=stored[1:]),))
    )
    assert (outcome.succeeded, outcome.error) == (False, "remote-storage")
    assert (
        "workspace 'ftp' for input 'one': username: the environment variable SCALE_SECRET_USER is not set"
        in outcome.message
    )
    assert PASSWORD not in outcome.message


def test_a_kill_ends_a_copy(bench: Bench, access: tuple[WorkspaceAccess, ...], ftp: FtpServer, s3: S3Server) -> None:
    """However large the file: the copy is looked at with every piece of it."""
    with (ftp.root / "huge").open("wb") as file:
        file.truncate(8 * 1024**3)
    cancel = bench.cancellation()
    huge = InputFile(1, FTP, "huge", "huge", 8 * 1024**3)
    ended: list[Any] = []
    described = spec(bench, access, "true", inputs=(Input("one", "file", files=(huge,)),))
    thread = threading.Thread(target=lambda: ended.append(bench.run(described, cancel)))
    thread.start()
    while not list((bench.root / "execution-1").glob("input/one/.scale-tmp-*")):
        assert thread.is_alive()
        time.sleep(0.01)
    cancel.request(KILLED)
    thread.join(60)
    (outcome,) = ended
    assert (outcome.succeeded, outcome.message) == (False, "killed by request of the framework")
    assert not (bench.root / "execution-1" / "input").exists()


@pytest.mark.parametrize("workspace_id", [S3, FTP])
def test_ingest(
    bench: Bench, access: tuple[WorkspaceAccess, ...], s3: S3Server, ftp: FtpServer, workspace_id: int
) -> None:
    """Again and again; a file of another content is not overwritten, a duplicate not stored."""
    strike = bench.root / "strike"
    strike.mkdir()

    def ingest(ingest_id: int, content: bytes, **more: Any) -> Any:
        if not (strike / "ingesting" / str(ingest_id)).exists():
            (strike / "a.txt").write_bytes(content)
        item = IngestItem(ingest_id, f"localhost:{strike}", "a.txt", workspace_id, "raw/a.txt", **more)
        return bench.run(spec(bench, access, action="ingest", ingests=(item,), arguments=""))

    def there() -> bytes:
        return ftp.files()["raw/a.txt"] if workspace_id == FTP else s3.files()[f"{bench.root.name}/raw/a.txt"]

    for _ in range(2):
        outcome = ingest(1, CONTENT)
        assert [(each.result, each.checksum) for each in outcome.ingests] == [("stored", CHECKSUM)]
        assert there() == CONTENT
    other = ingest(2, b"other")
    assert (other.error, other.ingests[0].result) == ("remote-storage", "error")
    assert "other content" in other.ingests[0].error
    assert ingest(3, CONTENT, known_checksums=(CHECKSUM,)).ingests[0].result == "duplicate"
    assert there() == CONTENT
    assert (strike / "duplicate" / "a.txt").read_bytes() == CONTENT
