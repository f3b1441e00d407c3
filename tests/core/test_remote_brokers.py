"""Brokers of remote workspaces, beside real servers that go away, refuse, and are written to by others."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scale_core import brokers
from scale_core.brokers import ftp as ftp_module
from scale_core.brokers import s3 as s3_module
from scale_core.brokers.base import TEMPORARY_PREFIX
from scale_core.brokers.ftp import LOCK_PREFIX
from scale_core.errors import BrokerError, FileMissing
from scale_core.settings import CHECKOUT, Settings
from tests.remote_servers import ENVIRONMENT, SECRETS, FtpServer, S3Server, ftp_server, s3_server

Server = S3Server | FtpServer
LARGE = 3 * s3_module.PART + 12345


class Stop(Exception):
    """What a test's progress raises."""


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def ftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    with ftp_server(tmp_path_factory.mktemp("ftp")) as server:
        yield server


@pytest.fixture(params=["s3", "ftp"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "secrets").mkdir()
    environ = {"SCALE_HOME": str(tmp_path), "SCALE_SECRETS_DIR": str(tmp_path / "secrets"), **ENVIRONMENT}
    return Settings.from_environ(environ)


@pytest.fixture
def config(server: Server, tmp_path: Path) -> dict[str, Any]:
    """A workspace of the test's own on the server."""
    if isinstance(server, S3Server):
        return server.config(prefix=tmp_path.name)
    (server.root / tmp_path.name).mkdir()
    return server.config(path=f"/{tmp_path.name}")


@pytest.fixture
def broker(config: dict[str, Any], settings: Settings) -> brokers.Broker:
    return brokers.broker_for(config, settings)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return write(tmp_path / "local file", b"content")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return write(tmp_path / "large", os.urandom(LARGE))


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files(server: Server, tmp_path: Path) -> dict[str, bytes]:
    """What lies in the test's workspace."""
    prefix = f"{tmp_path.name}/"
    return {name[len(prefix) :]: content for name, content in server.files().items() if name.startswith(prefix)}


def test_store_and_read(server: Server, broker: brokers.Broker, local: Path, large: Path, tmp_path: Path) -> None:
    for path, name in (
        (local, "a/b/ein Name mit ü?versionId=1#x.tif"),
        (large, "large"),
        (write(tmp_path / "e", b""), "e"),
    ):
        content = path.read_bytes()
        stored = brokers.Stored(len(content), sha256(content))
        assert broker.store(path, name, checksum=stored.checksum) == stored
        assert broker.store(path, name) == stored, "doing it again is harmless"
        assert broker.measure(name) == stored
        with broker.open(name) as file:
            assert file.read() == content
            assert file.seek(0, os.SEEK_END) == len(content)
            assert file.seek(len(content) // 2) == len(content) // 2
            assert file.read(10) == content[len(content) // 2 :][:10]
        assert files(server, tmp_path)[name] == content
    assert len(files(server, tmp_path)) == 3
    assert not isinstance(server, S3Server) or server.uploads() == []


def test_store_never_overwrites(
    server: Server, broker: brokers.Broker, local: Path, large: Path, tmp_path: Path
) -> None:
    broker.store(write(tmp_path / "1", b"CONTENT"), "taken")
    for path in (local, large):
        with pytest.raises(BrokerError, match="other content"):
            broker.store(path, "taken")
    assert files(server, tmp_path) == {"taken": b"CONTENT"}


@pytest.mark.parametrize("size", [100, LARGE], ids=["small", "large"])
def test_who_gives_the_name_first_wins(
    server: Server, config: dict[str, Any], settings: Settings, tmp_path: Path, size: int
) -> None:
    """Both found the name free; the one who is faster is not overwritten by the other."""
    first, second = (write(tmp_path / name, os.urandom(size)) for name in ("first", "second"))
    stored: list[brokers.Stored] = []

    def overtake() -> None:
        if not stored:
            stored.append(brokers.broker_for(config, settings).store(first, "name"))

    broker = brokers.broker_for(config, settings)
    with pytest.raises(BrokerError, match="other content"):
        broker.store(second, "name", progress=overtake)
    assert files(server, tmp_path) == {"name": first.read_bytes()}
    stored.clear()
    assert broker.store(first, "name", progress=overtake) == stored[0], "the same content is no conflict"
    assert not isinstance(server, S3Server) or server.uploads() == []


def test_the_lock_of_ftp_lets_one_win(ftp: FtpServer, settings: Settings, tmp_path: Path) -> None:
    """All rename at the same moment."""
    (ftp.root / tmp_path.name).mkdir()
    config = ftp.config(path=f"/{tmp_path.name}")
    together = threading.Barrier(4, timeout=60)
    ends: list[object] = []

    def store(path: Path) -> None:
        broker = brokers.broker_for(config, settings)
        broker.measure("warm")  # so that nobody has to log in first
        together.wait()
        try:
            ends.append(broker.store(path, "name"))
        except BrokerError as error:
            ends.append(str(error))

    brokers.broker_for(config, settings).store(write(tmp_path / "warm", b"1"), "warm")
    paths = [write(tmp_path / f"of {number}", os.urandom(100)) for number in range(4)]
    threads = [threading.Thread(target=store, args=[path]) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    (winner,) = [end for end in ends if isinstance(end, brokers.Stored)]
    assert len([end for end in ends if isinstance(end, str) and "other content" in end]) == 3, ends
    assert sha256(files(ftp, tmp_path)["name"]) == winner.checksum
    assert set(files(ftp, tmp_path)) == {"warm", "name"}


def test_store_checks_and_finds_duplicates(
    server: Server, broker: brokers.Broker, local: Path, large: Path, tmp_path: Path
) -> None:
    for path in (local, large):
        digest = sha256(path.read_bytes())
        with pytest.raises(BrokerError, match="SHA-256"):
            broker.store(path, "x", checksum="0" * 64)
        assert broker.store(path, "x", duplicates_of=[digest]).stored is False
    assert files(server, tmp_path) == {}
    assert not isinstance(server, S3Server) or server.uploads() == []


def test_a_copy_that_is_stopped_leaves_nothing(
    server: Server, broker: brokers.Broker, large: Path, tmp_path: Path
) -> None:
    pieces: list[None] = []

    def progress() -> None:
        pieces.append(None)
        if len(pieces) == 2:
            raise Stop

    with pytest.raises(Stop):
        broker.store(large, "x", progress=progress)
    assert files(server, tmp_path) == {}
    broker.store(large, "x")
    pieces.clear()
    with pytest.raises(Stop):
        broker.fetch("x", tmp_path / "fetched", progress=progress)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["large"]
    assert broker.measure("x").size == LARGE, "and the broker is as good as before"


def test_fetch(broker: brokers.Broker, large: Path, tmp_path: Path) -> None:
    digest = sha256(large.read_bytes())
    broker.store(large, "x")
    (tmp_path / "to").mkdir()
    assert broker.fetch("x", tmp_path / "to" / "y", LARGE, digest) == brokers.Stored(LARGE, digest)
    assert (tmp_path / "to" / "y").read_bytes() == large.read_bytes()
    assert (tmp_path / "to" / "y").stat().st_mode & 0o777 == 0o644
    with pytest.raises(BrokerError, match="not 5: it was changed"):
        broker.fetch("x", tmp_path / "to" / "z", 5)
    with pytest.raises(BrokerError, match="SHA-256"):
        broker.fetch("x", tmp_path / "to" / "z", LARGE, "0" * 64)
    with pytest.raises(FileMissing, match="no such file"):
        broker.fetch("absent", tmp_path / "to" / "z")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["y"]


def test_a_download_goes_on_where_it_broke(ftp: FtpServer, settings: Settings, tmp_path: Path, large: Path) -> None:
    """The server is killed in the middle of the file and comes back; no byte is lost, none comes twice."""
    with ftp_server(tmp_path / "ftp") as server:
        broker = brokers.broker_for(server.config(), settings)
        broker.store(large, "x")
        pieces: list[None] = []

        def progress() -> None:
            pieces.append(None)
            if len(pieces) == 3:
                server.stop()
                server.start()

        assert broker.fetch("x", tmp_path / "y", progress=progress).checksum == sha256(large.read_bytes())
        assert len(pieces) > 3


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "a/..", "", ".", "a\0b", "x\r\nDELE taken", "\ud800"]
)
def test_nothing_leaves_the_workspace(
    server: Server, broker: brokers.Broker, local: Path, tmp_path: Path, path: str
) -> None:
    broker.store(local, "taken")
    if "\n" in path and isinstance(server, S3Server):
        return  # any text is a key
    for act in (
        lambda: broker.store(local, path),
        lambda: broker.open(path),
        lambda: broker.move(path, "new"),
        lambda: broker.move("taken", path),
        lambda: broker.delete(path),
    ):
        with pytest.raises(BrokerError):
            act()
    assert files(server, tmp_path) == {"taken": b"content"}


@pytest.mark.parametrize("size", [7, LARGE], ids=["small", "large"])
def test_move(server: Server, broker: brokers.Broker, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    broker.store(write(tmp_path / "1", content), "x")
    broker.move("x", "new/directory/y")
    broker.move("x", "new/directory/y")
    assert files(server, tmp_path) == {"new/directory/y": content}
    broker.store(write(tmp_path / "2", b"2"), "z")
    with pytest.raises(BrokerError, match="other content"):
        broker.move("z", "new/directory/y")
    broker.store(write(tmp_path / "3", content), "same")
    broker.move("same", "new/directory/y")
    with pytest.raises(BrokerError, match="no such file"):
        broker.move("absent", "w")
    assert files(server, tmp_path) == {"new/directory/y": content, "z": b"2"}


def test_delete(server: Server, broker: brokers.Broker, local: Path, tmp_path: Path) -> None:
    broker.store(local, "a/x")
    broker.delete("a/x")
    broker.delete("a/x")
    broker.delete("nowhere/x")
    assert files(server, tmp_path) == {}


STORE = """
import json, sys, time
from pathlib import Path
from scale_core.brokers import broker_for
from scale_core.settings import Settings
config, local = json.loads(sys.argv[1]), Path(sys.argv[2])
def progress():
    print("piece", flush=True)
    sys.stdin.readline()
broker_for(config, Settings.from_environ()).store(local, "dir/name", progress=progress)
"""


def test_killed_in_the_middle_nothing_half_has_the_name(
    server: Server, config: dict[str, Any], broker: brokers.Broker, large: Path, tmp_path: Path
) -> None:

    for pieces in (1, 2, 3):
        process = subprocess.Popen(
            [sys.executable, "-c", STORE, json.dumps(config), str(large)],
            cwd=CHECKOUT,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin
        assert process.stdout
        for _ in range(pieces):
            assert process.stdout.readline() == b"piece\n"
            process.stdin.write(b"\n")
            process.stdin.flush()
        process.kill()
        process.communicate()
        names = {Path(name).name for name in files(server, tmp_path)}
        assert all(name.startswith(TEMPORARY_PREFIX) for name in names), names
    assert broker.store(large, "dir/name").checksum == sha256(large.read_bytes())
    assert files(server, tmp_path)["dir/name"] == large.read_bytes()


def test_parts_of_an_upload_whose_process_died_long_ago_are_removed(
    s3: S3Server, settings: Settings, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = brokers.broker_for(s3.config(), settings)
    s3.client().create_multipart_upload(Bucket="scale", Key="abandoned")
    s3.client().create_multipart_upload(Bucket="scale", Key="abandoned.other")
    monkeypatch.setattr(s3_module, "_ABANDONED", timedelta(days=-1))
    broker.store(large, "abandoned")
    assert [upload["Key"] for upload in s3.uploads()] == ["abandoned.other"]
    s3.client().abort_multipart_upload(Bucket="scale", Key="abandoned.other", UploadId=s3.uploads()[0]["UploadId"])


def test_a_lock_whose_holder_died_is_broken(
    ftp: FtpServer, settings: Settings, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ftp_module, "_LOCK_S", 0.5)
    monkeypatch.setattr(ftp_module, "_LOOK_S", 0.05)
    broker = brokers.broker_for(ftp.config(), settings)
    broker.store(local, "locked/a")
    lock = ftp.root / "locked" / (LOCK_PREFIX + sha256(b"b")[:32])
    lock.mkdir()
    broker.store(local, "locked/b")
    assert {path.name for path in (ftp.root / "locked").iterdir()} == {"a", "b"}


def test_a_server_that_is_gone(server: Server, settings: Settings, local: Path, tmp_path: Path) -> None:
    config = server.config(**({"endpoint_url": "http://127.0.0.1:1"} if isinstance(server, S3Server) else {"port": 1}))
    broker = brokers.broker_for(config, settings)
    for act in (
        lambda: broker.store(local, "x"),
        lambda: broker.fetch("x", tmp_path / "y"),
        lambda: broker.move("x", "y"),
        lambda: broker.delete("x"),
    ):
        with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1") as caught:
            act()
        assert not isinstance(caught.value, FileMissing)


def test_a_server_that_hangs(settings: Settings, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ftp_module, "_TIMEOUT_S", 0.5)
    with ftp_server(tmp_path / "ftp") as server:
        broker = brokers.broker_for(server.config(), settings)
        broker.store(local, "x")
        server.pause()
        with pytest.raises(BrokerError, match="timed out"):
            broker.store(local, "y")
        server.go_on()
        monkeypatch.setattr(ftp_module, "_TIMEOUT_S", 30.0)
        broker.store(local, "y")
        assert {"x", "y"} <= set(server.files())


def test_what_is_not_there(server: Server, settings: Settings, local: Path, tmp_path: Path) -> None:
    """The bucket or the directory itself: that is no file that is missing, but a workspace."""
    config = server.config(**({"bucket": "absent"} if isinstance(server, S3Server) else {"path": "/absent"}))
    broker = brokers.broker_for(config, settings)
    expected = "no such bucket" if isinstance(server, S3Server) else "cannot be entered"
    for act in (lambda: broker.store(local, "x"), lambda: broker.fetch("x", tmp_path / "y")):
        with pytest.raises(BrokerError, match=expected) as caught:
            act()
        assert not isinstance(caught.value, FileMissing)


def test_wrong_credentials_of_ftp(ftp: FtpServer, tmp_path: Path, local: Path) -> None:
    settings = Settings.from_environ({**ENVIRONMENT, "SCALE_SECRET_PASSWORD": "hunter2"})
    with pytest.raises(BrokerError, match="530 Authentication failed") as caught:
        brokers.broker_for(ftp.config(), settings).store(local, "x")
    assert "hunter2" not in str(caught.value)


def test_wrong_credentials_of_s3(tmp_path: Path, local: Path) -> None:
    with s3_server(INITIAL_NO_AUTH_ACTION_COUNT="1") as server:
        settings = Settings.from_environ({**ENVIRONMENT, "SCALE_SECRET_KEY": "hunter2"})
        broker = brokers.broker_for(server.config(), settings)
        for act in (lambda: broker.store(local, "x"), lambda: broker.fetch("x", tmp_path / "y")):
            with pytest.raises(BrokerError, match="access is refused") as caught:
                act()
            assert "hunter2" not in str(caught.value)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by itself; with its key in the same file."""
    path = tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(tmp_path / "public.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    with path.open("a") as file:
        file.write((tmp_path / "public.pem").read_text())
    return path


def test_ftp_with_tls(settings: Settings, large: Path, certificate: Path, tmp_path: Path) -> None:
    options = ("--tls", "--certfile", str(certificate), "--keyfile", str(certificate))
    with ftp_server(tmp_path / "ftp", *options, "--tls-control-required", "--tls-data-required") as server:
        with pytest.raises(BrokerError, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
            brokers.broker_for(server.config(tls=True), settings).store(large, "x")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(certificate.with_name("public.pem")))
            broker = brokers.broker_for(server.config(tls=True), settings)
            stored = broker.store(large, "x")
            assert broker.measure("x") == stored
        with pytest.raises(BrokerError):
            brokers.broker_for(server.config(), settings).store(large, "y")
        assert server.files() == {"x": large.read_bytes()}


def test_secrets_are_read_when_they_are_needed(ftp: FtpServer, settings: Settings, local: Path) -> None:
    directory = Path(settings.secrets_dir)
    config = ftp.config(
        credentials={"username": {"env": "SCALE_SECRET_USER"}, "password": {"file": str(directory / "password")}}
    )
    with pytest.raises(BrokerError, match=r"password: the file .* cannot be read here: No such file"):
        brokers.broker_for(config, settings)
    (directory / "password").write_text(" \n")
    with pytest.raises(BrokerError, match="is empty"):
        brokers.broker_for(config, settings)
    (directory / "password").write_text(SECRETS["SCALE_SECRET_PASSWORD"] + "\n")
    broker = brokers.broker_for(config, settings)
    broker.store(local, "by file")
    assert SECRETS["SCALE_SECRET_PASSWORD"] not in repr(settings)
    assert SECRETS["SCALE_SECRET_PASSWORD"] not in repr(vars(broker)["_credentials"])


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ({"env": "SCALE_SECRET_ABSENT"}, "SCALE_SECRET_ABSENT is not set for this process"),
        ({"env": "PATH"}, "PATH is not set for this process"),
        ({"file": "/etc/passwd"}, "is not below SCALE_SECRETS_DIR"),
        ({"file": "SECRETS/../outside"}, "is not below SCALE_SECRETS_DIR"),
        ({"file": "SECRETS/link"}, "is not below SCALE_SECRETS_DIR"),
    ],
)
def test_no_other_secret_of_the_machine_can_be_named(
    ftp: FtpServer, settings: Settings, tmp_path: Path, reference: dict[str, str], problem: str
) -> None:
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "secrets" / "link").symlink_to(tmp_path / "outside")
    reference = {kind: where.replace("SECRETS", settings.secrets_dir) for kind, where in reference.items()}
    config = ftp.config(credentials={"username": reference, "password": {"env": "SCALE_SECRET_PASSWORD"}})
    with pytest.raises(BrokerError, match=problem) as caught:
        brokers.broker_for(config, settings)
    assert "mine" not in str(caught.value)
