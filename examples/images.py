"""The Docker images of the example algorithms, and the base image that they share.

No registry may be needed: where none answers, the base image is a minimal Debian made by debootstrap.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import docker
import requests.exceptions
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

HERE = Path(__file__).parent
BASE = "scale-examples/python:1"
ALGORITHMS = {
    "scale-examples/geotiff-maker:1.2.3": HERE / "algorithms" / "geotiff_maker",
    "scale-examples/point-detector:4.5.6": HERE / "algorithms" / "point_detector",
    "scale-examples/thumbnailer:1.0.0": HERE / "algorithms" / "thumbnailer",
    "scale-examples/daily-statistics:1.0.0": HERE / "algorithms" / "daily_statistics",
    "scale-examples/cog-maker:1.0.0": HERE / "algorithms" / "cog_maker",
}
LABEL = "scale.context"  # hash of what an image was built from
REGISTRY, REGISTRY_TIMEOUT_S = "registry-1.docker.io", 4.0
PULLED_BASE = "python:3.11-slim"
PULLED_DOCKERFILE = f"""\
FROM {PULLED_BASE}
COPY examples.txt /tmp/
RUN pip install --no-cache-dir --no-deps --require-hashes -r /tmp/examples.txt
ENV PYTHONDONTWRITEBYTECODE=1
"""
DEBIAN_MIRROR, DEBIAN_SUITE = "http://deb.debian.org/debian", "bookworm"
DEBIAN_PACKAGES = "python3-minimal,python3-numpy,python3-pil,python-is-python3"
NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/log")


class CannotBuild(Exception):
    """The images cannot be made here; the message says why."""


def engine() -> docker.DockerClient | None:
    """The Docker Engine, or None when none answers."""
    try:
        docker.from_env(timeout=5).ping()
        client = docker.from_env(timeout=600)
    except (DockerException, requests.exceptions.RequestException):
        return None
    return client


def build_all(client: docker.DockerClient, say: Callable[[str], None]) -> None:
    """Make the images that are missing or out of date. Raises CannotBuild."""
    try:
        base = base_image(client, say)
        for tag, context in ALGORITHMS.items():
            _build(client, tag, context, base, say)
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise CannotBuild(str(error)) from error


def _build(client: docker.DockerClient, tag: str, context: Path, base: str, say: Callable[[str], None]) -> None:
    files = sorted(path for path in context.iterdir() if path.is_file())
    digest = hashlib.sha256(base.encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    if _label(client, tag) == digest.hexdigest():
        return
    say(f"building the image {tag}")
    client.images.build(path=str(context), tag=tag, labels={LABEL: digest.hexdigest()}, rm=True, forcerm=True)


def base_image(client: docker.DockerClient, say: Callable[[str], None]) -> str:
    """The id of the base image, made if missing."""
    try:
        return str(client.images.get(BASE).id)
    except ImageNotFound:
        pass
    if not _registry_answers() or not _pull_base(client, say):
        _bootstrap_base(client, say)
    return str(client.images.get(BASE).id)


def _label(client: docker.DockerClient, tag: str) -> str:
    try:
        return str(client.images.get(tag).labels.get(LABEL, ""))
    except ImageNotFound:
        return ""


def _registry_answers() -> bool:
    connection = http.client.HTTPSConnection(REGISTRY, timeout=REGISTRY_TIMEOUT_S)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in (200, 401)  # 401: it wants a token, which the engine will fetch
    except OSError:
        return False
    finally:
        connection.close()


def _pull_base(client: docker.DockerClient, say: Callable[[str], None]) -> bool:
    say(f"making the base image from {PULLED_BASE}")
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(HERE.parent / "requirements" / "examples.txt", "examples.txt")
        dockerfile = tarfile.TarInfo("Dockerfile")
        dockerfile.size = len(PULLED_DOCKERFILE)
        archive.addfile(dockerfile, io.BytesIO(PULLED_DOCKERFILE.encode()))
    context.seek(0)
    try:
        client.images.build(fileobj=context, custom_context=True, tag=BASE, rm=True, forcerm=True)
    except (APIError, BuildError) as error:
        say(f"the registry is of no help ({error})")
        return False
    return True


def _bootstrap_base(client: docker.DockerClient, say: Callable[[str], None]) -> None:
    as_root = _as_root()
    if not shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        say("installing debootstrap")
        _run([*as_root, "apt-get", "install", "-y", "--no-install-recommends", "debootstrap"])
    say("no container registry answers: making the base image with debootstrap (a minute or two)")
    with tempfile.TemporaryDirectory(prefix="scale-base-") as directory:
        root, archive = Path(directory, "root"), Path(directory, "root.tar")
        try:
            _run([
                *as_root, "debootstrap", "--variant=minbase", f"--include={DEBIAN_PACKAGES}", DEBIAN_SUITE, str(root),
                os.environ.get("SCALE_DEBIAN_MIRROR", DEBIAN_MIRROR),
            ])  # fmt: skip
            excluded = [f"--exclude=./{path}/*" for path in NOT_NEEDED]
            _run([*as_root, "tar", "-C", str(root), *excluded, "-cf", str(archive), "."])
        finally:
            _run([*as_root, "rm", "-rf", "--one-file-system", str(root)])
        repository, _, version = BASE.partition(":")
        # The bytecode of a read-only, unprivileged container has nowhere to go.
        changes = ["ENV PYTHONDONTWRITEBYTECODE=1", "ENV LANG=C.UTF-8", 'CMD ["python"]']
        client.api.import_image_from_file(str(archive), repository=repository, tag=version, changes=changes)


def _as_root() -> list[str]:
    if not os.geteuid():
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode == 0
    ):
        return ["sudo", "-n"]
    raise CannotBuild("no container registry answers, and debootstrap needs root")


def _run(command: Sequence[str]) -> None:
    try:
        result = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise CannotBuild(str(error)) from error
    if result.returncode:
        raise CannotBuild(f"{' '.join(command)} fails: {' · '.join(result.stdout.splitlines()[-3:])}")


def main() -> int:
    client = engine()
    if client is None:
        print("no Docker Engine answers", file=sys.stderr)
        return 1
    try:
        build_all(client, lambda message: print(message, flush=True))
    except CannotBuild as error:
        print(f"cannot build the images: {error}", file=sys.stderr)
        return 1
    print("\n".join([BASE, *ALGORITHMS]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
