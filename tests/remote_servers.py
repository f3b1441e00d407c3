"""Servers that remote workspaces lie on: moto's for S3, pyftpdlib's for FTP, each a process on the loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from scale_server import ports

USER, PASSWORD = "scale", "a pass word"
BUCKET = "scale"
SECRETS = {
    "SCALE_SECRET_USER": USER,
    "SCALE_SECRET_PASSWORD": PASSWORD,
    "SCALE_SECRET_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "SCALE_SECRET_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}
HERE = "127.0.0.0/8"  # where these servers are, and workspaces only where SCALE_REMOTE_NETWORKS says so
ENVIRONMENT = {**SECRETS, "SCALE_REMOTE_NETWORKS": HERE}
_PATIENCE_S = 60.0


@dataclass
class _Server:
    """A program that listens on a port until `stop`; `start` starts it again on the same one."""

    arguments: list[str]
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + _PATIENCE_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None, f"{self.arguments} ended"
            assert time.monotonic() < until, f"{self.arguments} does not listen"
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


class S3Server(_Server):
    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def config(self, **more: Any) -> dict[str, Any]:
        """The broker object of a workspace there."""
        credentials = {
            "access_key_id": {"env": "SCALE_SECRET_KEY_ID"},
            "secret_access_key": {"env": "SCALE_SECRET_KEY"},
        }
        values = {"bucket": BUCKET, "endpoint_url": self.url, "region": "eu-central-1", "credentials": credentials}
        return {"type": "s3", **values, **more}

    def client(self, service: str = "s3") -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="eu-central-1",
            aws_access_key_id=SECRETS["SCALE_SECRET_KEY_ID"],
            aws_secret_access_key=SECRETS["SCALE_SECRET_KEY"],
        )

    def make_bucket(self, name: str = BUCKET) -> None:
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def files(self, bucket: str = BUCKET) -> dict[str, bytes]:
        """Key → content of all there is."""
        client = self.client()
        found = client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {each["Key"]: client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found}

    def keys(self, bucket: str = BUCKET) -> list[str]:
        """Of all there is, while it may be moved."""
        return [each["Key"] for each in self.client().list_objects_v2(Bucket=bucket).get("Contents", [])]

    def uploads(self, bucket: str = BUCKET) -> list[Any]:
        """Multipart uploads that were neither completed nor aborted."""
        return list(self.client().list_multipart_uploads(Bucket=bucket).get("Uploads", []))


@dataclass
class FtpServer(_Server):
    root: Path = Path()

    def config(self, **more: Any) -> dict[str, Any]:
        credentials = {"username": {"env": "SCALE_SECRET_USER"}, "password": {"env": "SCALE_SECRET_PASSWORD"}}
        return {"type": "ftp", "host": "127.0.0.1", "port": self.port, "path": "/", "credentials": credentials, **more}

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


@contextmanager
def s3_server(**environment: str) -> Iterator[S3Server]:
    """moto's server, with the bucket BUCKET unless it is told to ask for valid keys."""
    port = ports.free_port()
    server = S3Server(["moto.server", "-H", "127.0.0.1", "-p", str(port)], port, environment)
    server.start()
    try:
        server.make_bucket()
        yield server
    finally:
        server.stop()


@contextmanager
def ftp_server(root: Path, *options: str) -> Iterator[FtpServer]:
    """pyftpdlib's server; `options` are those of its command line."""
    root.mkdir(parents=True, exist_ok=True)
    port = ports.free_port()
    arguments = ["pyftpdlib", "-i", "127.0.0.1", "-p", str(port), "-w", "-d", str(root), "-u", USER, "-P", PASSWORD]
    server = FtpServer([*arguments, *options], port, root=root)
    server.start()
    try:
        yield server
    finally:
        server.stop()
