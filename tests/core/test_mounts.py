"""Where network file systems are: mapped, mounted when needed, or refused with a sentence.

This kernel need not have NFS: `mount` is a program of ours here that notes its arguments and mounts something small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scale_core import mounts
from scale_core.brokers import LocalBroker, broker_for, resolve_mount
from scale_core.documents import workspace_configuration
from scale_core.errors import BrokerError, ConfigurationError, Invalid
from scale_core.mounts import NFS_OPTIONS, Mounts, file_system, mount_points, require_harmless
from scale_core.settings import Settings
from scale_worker.mesos.messages import executor_config

PROGRAM = """#!{python}
import json, os, subprocess, sys, time
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
{act}
"""
MOUNTS = 'sys.exit(subprocess.call(["/bin/mount", "-t", "tmpfs", "-o", "size=1m", "--", sys.argv[-2], sys.argv[-1]]))'


class Machine:
    """One whose `mount` is ours. `act`: what it does then, in Python."""

    def __init__(self, home: Path) -> None:
        self.root, self._bin, self._log = home / "mounted", home / "bin", home / "mounts.log"
        self._bin.mkdir()
        self.mounts = Mounts({}, ("filer:/exports", "filer:/exports/deep", "two.example:/"), self.root)
        self.set(MOUNTS)

    def set(self, act: str) -> None:
        program = self._bin / "mount"
        program.write_text(PROGRAM.format(python=sys.executable, log=str(self._log), act=act))
        program.chmod(0o755)

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    yield made
    for point in mount_points():
        if Path(point.path).is_relative_to(made.root):
            subprocess.run(["umount", "-l", point.path], check=False)


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0,
    reason="only root can mount file systems",
)


@needs_root
def test_an_export_that_is_allowed_is_mounted_once(machine: Machine) -> None:
    for _ in range(2):
        found = resolve_mount("filer:/exports/feed/one", machine.mounts)
    (call,) = machine.calls
    point = found.parent.parent
    assert call == ["-t", "nfs", "-o", NFS_OPTIONS, "--", "filer:/exports", str(point)]
    assert found.relative_to(point) == Path("feed/one")
    assert point.parent == machine.root
    assert file_system(point) == "tmpfs"
    point.joinpath("feed/one").mkdir(parents=True)
    settings = replace(Settings.from_environ({}), mounts=machine.mounts)
    store = broker_for({"type": "nfs", "mount": "filer:/exports/feed"}, settings)
    assert isinstance(store, LocalBroker)
    assert store.root == found.parent
    assert len(machine.calls) == 1
    assert resolve_mount("filer:/exports", machine.mounts) == point


@needs_root
def test_the_longest_export_counts_and_a_mapping_before_all(machine: Machine, tmp_path: Path) -> None:
    resolve_mount("filer:/exports/deep/x", machine.mounts)
    resolve_mount("two.example:/any where", machine.mounts)
    assert [call[-2] for call in machine.calls] == ["filer:/exports/deep", "two.example:/"]
    mapped = Mounts({"filer:/exports": str(tmp_path)}, machine.mounts.exports, machine.root)
    assert resolve_mount("filer:/exports/deep/x", mapped) == tmp_path / "deep/x"
    assert len(machine.calls) == 2


@needs_root
def test_many_at_once_mount_it_once(machine: Machine) -> None:
    machine.set(f"time.sleep(0.3)\n{MOUNTS}")
    askers = [threading.Thread(target=resolve_mount, args=("filer:/exports/x", machine.mounts)) for _ in range(5)]
    for each in askers:
        each.start()
    for each in askers:
        each.join(30)
    assert len(machine.calls) == 1


@pytest.mark.parametrize(
    "mount",
    ["filer:/other", "filer:/exportsX", "other:/exports", "filer:/exports -o exec", "-o:/exports", "filer:/"],
)
def test_what_is_not_allowed_is_refused_without_a_try(machine: Machine, mount: str) -> None:
    for allowed in (machine.mounts, Mounts({}), {}):
        with pytest.raises(BrokerError, match=r"is not mounted here: add .* SCALE_MOUNTS .* SCALE_NFS_EXPORTS"):
            resolve_mount(mount, allowed)
    assert machine.calls == []


@pytest.mark.parametrize("mount", ["filer:/exports/../etc", "filer:/exports/a/../../..", "filer:exports", ":/x", "x"])
def test_what_is_no_mount_is_refused(machine: Machine, mount: str) -> None:
    with pytest.raises(BrokerError, match="is not a mount of the form host:/path"):
        resolve_mount(mount, machine.mounts)
    assert machine.calls == []


@needs_root
def test_a_client_cannot_add_arguments(machine: Machine) -> None:
    """What it names is a path inside of the export, whatever it looks like."""
    found = resolve_mount("filer:/exports/x -o exec,suid;$(reboot)", machine.mounts)
    assert machine.calls[0][:-1] == ["-t", "nfs", "-o", NFS_OPTIONS, "--", "filer:/exports"]
    assert found.name == "x -o exec,suid;$(reboot)"


def test_who_is_not_root_takes_what_is_mounted_and_mounts_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers and APIs under systemd have an account of their own; executors on the same machine are root."""
    monkeypatch.setattr(os, "geteuid", lambda: 7274)
    with pytest.raises(BrokerError, match=r"filer:/exports cannot be mounted by this .* SCALE_MOUNTS"):
        resolve_mount("filer:/exports/x", machine.mounts)
    assert not machine.root.exists()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.set("")
    point = resolve_mount("filer:/exports", machine.mounts)
    monkeypatch.setattr(os, "geteuid", lambda: 7274)
    monkeypatch.setattr(mounts, "mount_points", lambda: [mounts.MountPoint(str(point), "nfs4", "filer:/exports")])
    point.with_name(f"{point.name}.lock").unlink()
    assert resolve_mount("filer:/exports/x", machine.mounts) == point / "x"
    assert len(machine.calls) == 1


def test_a_mount_that_fails_says_why(machine: Machine) -> None:
    machine.set('print("mount.nfs: access denied by server", file=sys.stderr)\nsys.exit(32)')
    with pytest.raises(BrokerError, match=r"filer:/exports cannot be mounted: mount.nfs: access denied by server"):
        resolve_mount("filer:/exports/x", machine.mounts)
    machine.set("sys.exit(1)")
    with pytest.raises(BrokerError, match="cannot be mounted: mount ended with 1"):
        resolve_mount("filer:/exports/x", machine.mounts)
    assert len(machine.calls) == 2, "each time anew: the server may be back"


def test_a_mount_that_hangs_is_given_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOUNT_S", 0.5)
    machine.set("time.sleep(600)")
    with pytest.raises(BrokerError, match="its server does not answer within"):
        resolve_mount("filer:/exports/x", machine.mounts)


def test_no_program_and_no_place(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    nowhere = Mounts({}, machine.mounts.exports, tmp_path / "file" / "below")
    with pytest.raises(BrokerError, match=r"cannot be mounted at .*: Not a directory"):
        resolve_mount("filer:/exports/x", nowhere)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(BrokerError, match="the program mount: No such file or directory"):
        resolve_mount("filer:/exports/x", machine.mounts)


@pytest.mark.parametrize(
    "text", ["filer", "filer:exports", "-o exec:/x", ":/x", "filer:/a/../b", "a b:/x", "filer:/x\ny", "fi,ler:/x"]
)
def test_exports_are_checked_at_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"SCALE_NFS_EXPORTS: .* is not of the form host:/path"):
        Settings.from_environ({"SCALE_NFS_EXPORTS": text})


def test_settings_reach_the_nodes() -> None:
    environment = {"SCALE_NFS_EXPORTS": " filer:/exports/; two.example:/ ;", "SCALE_NFS_ROOT": "/mnt/scale"}
    settings = Settings.from_environ(environment)
    assert settings.nfs_exports == ("filer:/exports", "two.example:/")
    given = Settings.from_environ(executor_config(settings).environment)
    assert (given.nfs_exports, given.nfs_root) == (settings.nfs_exports, settings.nfs_root)
    assert isinstance(given.mounts, Mounts)
    assert (given.mounts.exports, given.mounts.root) == (settings.nfs_exports, settings.nfs_root)


@pytest.mark.parametrize("directory", ["/etc", "/etc/cron.d", "/usr/share", "/proc/self", "/dev/shm", "/bin"])
def test_directories_of_the_operating_system_are_no_feeds(directory: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(directory)
    for path in (Path(directory), tmp_path / "link", tmp_path / "link" / "deeper"):
        with pytest.raises(BrokerError, match="belongs to the operating system; choose one made for data"):
            require_harmless(path)
    with pytest.raises(BrokerError, match="belongs to the operating system"):
        require_harmless(Path("/"))


@pytest.mark.parametrize(
    ("broker", "field"),
    [
        ({"type": "host", "host_path": "/etc"}, "host_path"),
        ({"type": "host", "host_path": "/srv/../etc/x"}, "host_path"),
        ({"type": "host", "host_path": "//usr"}, "host_path"),
        ({"type": "host", "host_path": "/"}, "host_path"),
        ({"type": "nfs", "mount": "localhost:/etc"}, "mount"),
        ({"type": "nfs", "nfs_path": "127.0.0.1:/a/../usr/lib"}, "mount"),
    ],
)
def test_directories_of_the_operating_system_are_no_workspaces(broker: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid, match=f"broker.{field}: .* belongs to the operating system"):
        workspace_configuration.normalize({"version": "1.0", "broker": broker})


def test_other_directories_are_with_links_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert require_harmless(tmp_path / "link" / "absent") == tmp_path / "real" / "absent"


def test_unescaped_mount_points(monkeypatch: pytest.MonkeyPatch) -> None:
    line = r"36 35 98:0 / /mnt/a\040b\134c rw,noatime master:1 - nfs4 filer:/x\040y rw"
    real: Callable[..., str] = Path.read_text
    fake = lambda path, *more: line if str(path) == "/proc/self/mountinfo" else real(path, *more)  # noqa: E731
    monkeypatch.setattr(Path, "read_text", fake)
    assert mount_points() == [mounts.MountPoint("/mnt/a b\\c", "nfs4", "filer:/x y")]
