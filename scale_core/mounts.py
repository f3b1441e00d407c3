"""Where network file systems are on this machine: mounted by its administrator, or by Scale where that is allowed.

What is mounted, and how, comes from the settings alone: whoever makes a Strike or a workspace only names a path inside
of an export that the administrator has allowed.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scale_core.errors import BrokerError

logger = logging.getLogger(__name__)

# A server that is gone is an error after a while (soft), not a process that nobody can end; a single try to mount.
NFS_OPTIONS = "soft,timeo=50,retrans=3,retry=0,nosuid,nodev,noexec"
MOUNT_S = 30.0
# Nobody feeds Scale from these; a Strike there would move the machine's own files away.
SYSTEM_DIRECTORIES = tuple(
    map(Path, ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr"))
)

OF_SYSTEM = "belongs to the operating system; choose one made for data"


class Mounts(dict[str, str]):
    """SCALE_MOUNTS, remote path → local path; `exports` (SCALE_NFS_EXPORTS) may be mounted below `root` when needed.

    Directories of this machine may be named below `host_paths` (SCALE_HOST_PATHS), or where that is empty anywhere but
    in the operating system's own.
    """

    def __init__(
        self,
        mounted: Mapping[str, str],
        exports: Collection[str] = (),
        root: Path = Path(),
        host_paths: Collection[str] = (),
    ) -> None:
        super().__init__(mounted)
        self.exports, self.root, self.host_paths = tuple(exports), root, tuple(host_paths)


@dataclass(frozen=True)
class MountPoint:
    """A line of /proc/self/mountinfo: where what is mounted, and of which type."""

    path: str
    type: str
    source: str


def mount_points() -> list[MountPoint]:
    """What this machine has mounted; nothing of it is touched, so nothing of it can hang."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, source, *_ = right.split(" ")
        found.append(MountPoint(_unescape(left.split(" ")[4]), kind, _unescape(source)))
    return found


def file_system(directory: Path) -> str:
    """The type of the file system that a directory lies on."""
    path, best = os.path.realpath(directory), MountPoint("", "unknown", "")
    for point in mount_points():
        is_above = path == point.path or path.startswith(f"{point.path.rstrip('/')}/")
        if is_above and len(point.path) >= len(best.path):  # of two on one point the later one is seen
            best = point
    return best.type


def mounted_by_us(wanted: str, mounts: Mapping[str, str]) -> Path | None:
    """The directory of ``host:/path`` in an export that may be mounted here, mounted now if need be; None: in none.

    Raises BrokerError when it cannot be mounted.
    """
    exports = mounts.exports if isinstance(mounts, Mounts) else ()
    export = max((each for each in exports if f"{wanted}/".startswith(f"{each.rstrip('/')}/")), key=len, default=None)
    if export is None or not isinstance(mounts, Mounts):
        return None
    point = mounts.root / f"{re.sub('[^a-z0-9]+', '-', export.lower())[:60]}-{_short(export)}"
    _mount(export, point)
    return point / wanted[len(export.rstrip("/")) :].lstrip("/")


def is_of_system(directory: str | Path) -> bool:
    """Whether the operating system's own files lie there, by its name alone."""
    path = Path(os.path.normpath(f"/{str(directory).lstrip('/')}"))
    return path == Path("/") or any(path.is_relative_to(each) for each in SYSTEM_DIRECTORIES)


def require_harmless(directory: Path) -> Path:
    """The directory with its links resolved. Raises BrokerError where the operating system's own files lie.

    It touches the file system: see `patience.within`.
    """
    real = Path(os.path.realpath(directory))
    if is_of_system(real):
        raise BrokerError(f"the directory {directory} {OF_SYSTEM}")
    return real


def require_allowed(directory: Path, mounts: Mapping[str, str]) -> Path:
    """The directory as it was given. Raises BrokerError where users may not have one of this machine: by what it is
    once links are resolved.

    It touches the file system: see `patience.within`.
    """
    real = require_harmless(directory)
    allowed = mounts.host_paths if isinstance(mounts, Mounts) else ()
    if allowed and not any(real.is_relative_to(os.path.realpath(each)) for each in allowed):
        raise BrokerError(f"the directory {directory} lies in none of SCALE_HOST_PATHS: {', '.join(allowed)}")
    return directory


def parse_exports(text: str) -> tuple[str, ...]:
    """SCALE_NFS_EXPORTS: ``host:/path`` separated by semicolons. Raises ValueError with a sentence."""
    exports = []
    for export in filter(None, (part.strip() for part in text.split(";"))):
        host, colon, path = export.partition(":")
        plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", host) and path.startswith("/")
        if not colon or not plain or ".." in PurePosixPath(path).parts or not path.isprintable():
            raise ValueError(f"{export!r} is not of the form host:/path")
        exports.append(f"{host}:{PurePosixPath(path)}".rstrip("/") if path != "/" else f"{host}:/")
    return tuple(exports)


def _mount(export: str, point: Path) -> None:
    if _is_mounted(export, point):
        return
    if os.geteuid() != 0:
        raise BrokerError(
            f"{export} cannot be mounted by this process, which is not root's: mount it on this machine and name it in "
            f"this process' SCALE_MOUNTS"
        )
    try:
        point.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{point}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BrokerError(f"{export} cannot be mounted at {point}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second process would mount it over the first one's
        if not _is_mounted(export, point):
            _run_mount(["mount", "-t", "nfs", "-o", NFS_OPTIONS, "--", export, str(point)])
            logger.info("mounted %s at %s", export, point)
    finally:
        os.close(lock)


def _is_mounted(export: str, point: Path) -> bool:
    return any((each.path, each.source) == (str(point), export) for each in mount_points())


def _run_mount(command: list[str]) -> None:
    """Arguments, never a shell. Raises BrokerError with what `mount` says."""
    export = command[-2]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise BrokerError(f"{export} cannot be mounted: the program mount: {error.strerror}") from error
    try:
        said = process.communicate(timeout=MOUNT_S)[0].decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        process.kill()  # not waited for: it may hang in the kernel
        raise BrokerError(f"{export} cannot be mounted: its server does not answer within {MOUNT_S:.0f} s") from None
    if process.returncode:
        raise BrokerError(f"{export} cannot be mounted: {said or f'mount ended with {process.returncode}'}")


def _short(export: str) -> str:
    return hashlib.sha256(export.encode()).hexdigest()[:12]


def _unescape(text: str) -> str:
    """The kernel writes blanks, tabs, newlines and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
