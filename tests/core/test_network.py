"""Remote workspaces reach no machine that nobody meant: neither by its address, nor by a name, nor by a redirect."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scale_core import brokers
from scale_core.brokers import network
from scale_core.errors import BrokerError, ConfigurationError
from scale_core.mounts import Mounts
from scale_core.settings import Settings, parse_networks
from scale_worker.mesos.messages import executor_config
from tests.remote_servers import ENVIRONMENT, HERE, SECRETS

S3_LOGIN = {"access_key_id": {"env": "SCALE_SECRET_KEY_ID"}, "secret_access_key": {"env": "SCALE_SECRET_KEY"}}
FTP_LOGIN = {"username": {"env": "SCALE_SECRET_USER"}, "password": {"env": "SCALE_SECRET_PASSWORD"}}


@pytest.mark.parametrize(
    ("address", "allowed", "expected"),
    [
        ("10.0.0.7", "", True),
        ("192.168.1.1", "", True),
        ("203.0.113.9", "", True),
        ("fd12:3456::1", "", True),
        ("127.0.0.1", "", False),
        ("127.8.9.10", "", False),
        ("0.0.0.0", "", False),
        ("169.254.169.254", "", False),
        ("169.254.170.2", "", False),
        ("100.100.100.200", "", False),
        ("168.63.129.16", "", False),
        ("224.0.0.1", "", False),
        ("::", "", False),
        ("::1", "", False),
        ("fe80::1%eth0", "", False),
        ("fd00:ec2::254", "", False),
        ("::ffff:169.254.169.254", "", False),
        ("64:ff9b::a9fe:a9fe", "", False),
        ("2002:7f00:1::", "", False),
        ("127.0.0.1", "127.0.0.0/8", True),
        ("::ffff:127.0.0.1", "127.0.0.0/8", True),
        ("10.0.0.7", "127.0.0.0/8", False),
        ("10.0.0.7", "10.1.0.0/16, 10.0.0.7", True),
        ("fd12::1", "fd12::/16", True),
        ("169.254.169.254", "10.0.0.0/8", False),
    ],
)
def test_where_workspaces_may_lie(address: str, allowed: str, expected: bool) -> None:
    assert network.is_allowed(address, parse_networks(allowed)) is expected


class Listener:
    """Whoever connects is noted, and answered nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.callers: list[Any] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                connection, caller = self._socket.accept()
                self.callers.append(caller)
                connection.close()
        except OSError:
            return

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "local"
    path.write_bytes(b"content")
    return path


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("kind", ["s3", "ftp"])
def test_this_machine_is_not_reached_under_any_name(kind: str, name: str, listener: Listener, local: Path) -> None:
    host = name.strip("[]")
    config = (
        {"type": "s3", "bucket": "scale", "endpoint_url": f"http://{name}:{listener.port}", "credentials": S3_LOGIN}
        if kind == "s3"
        else {"type": "ftp", "host": host, "port": listener.port, "path": "/", "tls": False, "credentials": FTP_LOGIN}
    )
    broker = brokers.broker_for(config, Settings.from_environ(SECRETS))
    for act in (lambda: broker.store(local, "x"), lambda: broker.open("x"), lambda: broker.delete("x")):
        with pytest.raises(
            BrokerError, match=r"name its network in SCALE_REMOTE_NETWORKS|is not a canonical IPv4 address"
        ):
            act()
    assert listener.callers == []


def test_a_network_that_is_named_is_reached(listener: Listener, local: Path) -> None:
    """Else the test above would show nothing."""
    config = {"type": "ftp", "host": "localhost", "port": listener.port, "path": "/", "credentials": FTP_LOGIN}
    broker = brokers.broker_for(config, Settings.from_environ({**SECRETS, "SCALE_REMOTE_NETWORKS": f"{HERE},::1"}))
    with pytest.raises(BrokerError):
        broker.store(local, "x")
    assert listener.callers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_of_s3_are_not_followed(status: int, listener: Listener, local: Path) -> None:
    class Redirecting(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{listener.port}/latest/meta-data/")
            self.send_header("x-amz-bucket-region", "eu-north-1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        config = {"type": "s3", "bucket": "scale", "endpoint_url": endpoint, "credentials": S3_LOGIN}
        broker = brokers.broker_for(config, Settings.from_environ(ENVIRONMENT))
        for act in (lambda: broker.store(local, "x"), lambda: broker.open("x")):
            with pytest.raises(BrokerError):
                act()
        server.shutdown()
    assert listener.callers == []


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "example.org", "10.0.0.0/8;10.1.0.0/16"])
def test_networks_that_are_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SCALE_REMOTE_NETWORKS"):
        Settings.from_environ({"SCALE_REMOTE_NETWORKS": text})


# ------------------------------------------------------------------------------------------------ directories


def test_directories_of_the_machine_lie_where_the_administrator_says(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    for directory in (data / "in", other):
        directory.mkdir(parents=True)
    (data / "link").symlink_to(other)
    (data / "system").symlink_to("/etc")
    settings = Settings.from_environ({"SCALE_HOST_PATHS": f"{data};/srv/scale"})
    for path in (data, data / "in", data / "not" / "yet"):
        brokers.broker_for({"type": "host", "host_path": str(path)}, settings)
        brokers.broker_for({"type": "nfs", "mount": f"localhost:{path}"}, settings)
        assert brokers.resolve_mount(f"127.0.0.1:{path}", settings.mounts) == path
    for path in (other, data / "link", tmp_path, Path(f"{data}-2")):
        for act in (
            lambda path=path: brokers.broker_for({"type": "host", "host_path": str(path)}, settings),
            lambda path=path: brokers.resolve_mount(f"localhost:{path}", settings.mounts),
        ):
            with pytest.raises(BrokerError, match="lies in none of SCALE_HOST_PATHS"):
                act()
    anywhere = Settings.from_environ({})
    assert brokers.resolve_mount(f"localhost:{other}", anywhere.mounts) == other
    for path in (data / "system", Path("/etc"), Path("/usr/../etc"), Path("/")):
        with pytest.raises(BrokerError, match="belongs to the operating system"):
            brokers.broker_for({"type": "host", "host_path": str(path)}, anywhere)


def test_what_the_administrator_has_mounted_may_lie_anywhere(tmp_path: Path) -> None:
    settings = Settings.from_environ(
        {"SCALE_HOST_PATHS": "/srv/scale", "SCALE_MOUNTS": f"filer:/raw={tmp_path};localhost:/raw={tmp_path}"}
    )
    assert brokers.resolve_mount("filer:/raw/in", settings.mounts) == tmp_path / "in"
    assert brokers.resolve_mount("localhost:/raw/in", settings.mounts) == tmp_path / "in"


@pytest.mark.parametrize("text", ["data", "/data;../x", "/data/../etc"])
def test_host_paths_that_are_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SCALE_HOST_PATHS"):
        Settings.from_environ({"SCALE_HOST_PATHS": text})


def test_nodes_are_told() -> None:
    environ = {"SCALE_HOST_PATHS": "/srv/a;/srv/b", "SCALE_REMOTE_NETWORKS": "10.0.0.0/8,fd12::/16"}
    settings = Settings.from_environ(environ)
    told = Settings.from_environ(executor_config(settings).environment)
    assert (told.host_paths, told.remote_networks) == (settings.host_paths, settings.remote_networks)
    assert isinstance(told.mounts, Mounts)
    assert told.mounts.host_paths == ("/srv/a", "/srv/b")
