"""A registry on the loopback that serves one real image (Docker Registry HTTP API v2), as fast as a test likes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import docker

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PIECES = 40


@dataclass
class Registry:
    """`image` can be pulled from it. `pause_s` is waited before each of the pieces of a layer."""

    port: int
    digest: str  # of the manifest
    pause_s: float = 0.0
    refusal: int = 0  # an HTTP status that everything is answered with
    asked: list[str] = field(default_factory=list)

    @property
    def image(self) -> str:
        return f"127.0.0.1:{self.port}/tests/image:1"


@contextmanager
def registry(client: docker.DockerClient, image: str) -> Iterator[Registry]:
    """Serve an image of the engine. What was pulled of it is removed in the end."""
    blobs, manifest = _parts(client, image)
    digest = _digest(manifest)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.asked.append(self.path)
            what = self.path.rpartition("/")[2]
            if made.refusal:
                self._answer(
                    b'{"errors": [{"code": "DENIED", "message": "go away"}]}', "application/json", made.refusal
                )
            elif self.path == "/v2/":
                self._answer(b"{}", "application/json")
            elif "/manifests/" in self.path and what in ("1", digest):
                self._answer(manifest, MANIFEST)
            elif "/blobs/" in self.path and what in blobs:
                self._answer(blobs[what], "application/octet-stream")
            else:
                self._answer(b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}', "application/json", 404)

        do_HEAD = do_GET

        def _answer(self, body: bytes, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            if status == 200:
                self.send_header("Docker-Content-Digest", _digest(body))
            self.end_headers()
            if self.command == "HEAD":
                return
            size = len(body) // PIECES + 1 if made.pause_s and len(body) > PIECES * 1024 else len(body) or 1
            with suppress(OSError):  # who asked has gone
                for start in range(0, len(body), size):
                    if size < len(body):
                        time.sleep(made.pause_s)
                    self.wfile.write(body[start : start + size])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Registry(server.server_address[1], digest)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(made.image, force=True)


def _parts(client: docker.DockerClient, image: str) -> tuple[dict[str, bytes], bytes]:
    """Blobs by digest, and the manifest."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(client.images.get(image).save()))) as saved:
        (described,) = json.loads(_read(saved, "manifest.json"))
        config = _read(saved, described["Config"])
        layers = [gzip.compress(_read(saved, name), mtime=0) for name in described["Layers"]]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
        "layers": [{"mediaType": LAYER, "size": len(layer), "digest": _digest(layer)} for layer in layers],
    }
    return {_digest(blob): blob for blob in (config, *layers)}, json.dumps(manifest).encode()


def _read(saved: tarfile.TarFile, name: str) -> bytes:
    opened = saved.extractfile(name)
    assert opened is not None
    return opened.read()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
