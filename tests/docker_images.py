"""Images for tests, made on this machine: no registry is asked."""

import io
import os
import shutil
import tarfile
from pathlib import Path

import docker
import pytest

BUSYBOX = "scale-test/busybox:1"
_APPLETS = ("sh", "true", "false", "cat", "cp", "echo", "env", "id", "kill", "ls", "mkdir", "printf", "sleep", "touch")


def busybox_image() -> str:
    """The tag of an image with a static busybox in /bin and ENTRYPOINT ["/bin/echo", "entrypoint"]. Skips without."""
    client = docker.from_env()
    try:
        client.images.get(BUSYBOX)
    except docker.errors.ImageNotFound:
        client.api.import_image_from_data(
            _file_system(), repository=BUSYBOX, changes=['ENTRYPOINT ["/bin/echo", "entrypoint"]']
        )
    finally:
        client.close()
    return BUSYBOX


def _file_system() -> bytes:
    busybox = shutil.which("busybox")
    if busybox is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI=true asks for container tests, but busybox-static is not installed")
        pytest.skip("busybox-static is not installed")
    content = Path(busybox).read_bytes()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("bin", "tmp", "etc"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(directory)
        file = tarfile.TarInfo("bin/busybox")
        file.size, file.mode = len(content), 0o755
        tar.addfile(file, io.BytesIO(content))
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive.getvalue()
