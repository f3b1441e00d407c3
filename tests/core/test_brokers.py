"""Brokers on real directories."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from scale_core import brokers
from scale_core.errors import BrokerError
from scale_core.settings import Settings

MOUNTS = {"nas:/data": "/mnt/data", "nas:/data/raw": "/mnt/raw", "localhost:/special": "/mnt/special"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def broker(root: Path) -> brokers.LocalBroker:
    return brokers.broker_for({"type": "host", "host_path": str(root)}, Settings(home=root))


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "local file"
    path.write_bytes(b"content")
    return path


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


@pytest.mark.parametrize(
    ("mount", "path"),
    [
        ("nas:/data", "/mnt/data"),
        ("nas:/data/", "/mnt/data"),
        ("nas:/data/x/y", "/mnt/data/x/y"),
        ("nas:/data/raw/x", "/mnt/raw/x"),
        ("nas:/data/rawest", "/mnt/data/rawest"),
        ("localhost:/tmp/x", "/tmp/x"),
        ("127.0.0.1:/tmp/x", "/tmp/x"),
        ("localhost:/special/x", "/mnt/special/x"),
    ],
)
def test_resolve_mount(mount: str, path: str) -> None:
    assert brokers.resolve_mount(mount, MOUNTS) == Path(path)


@pytest.mark.parametrize("mount", ["nas:/other", "nas:/database", "other:/data", "", "nas", "nas:data", ":/data"])
def test_unmapped_mounts(mount: str) -> None:
    with pytest.raises(BrokerError):
        brokers.resolve_mount(mount, MOUNTS)


def test_unmapped_mount_names_the_setting() -> None:
    with pytest.raises(BrokerError, match="SCALE_MOUNTS"):
        brokers.resolve_mount("other:/data", MOUNTS)
    with pytest.raises(BrokerError, match="form host:/path"):
        brokers.resolve_mount("localhost:/data/../etc", MOUNTS)


def test_broker_for() -> None:
    settings = Settings(home=Path("/home"), mounts=MOUNTS)
    for name in ("mount", "nfs_path"):
        made = brokers.broker_for({"type": "nfs", name: "nas:/data/x"}, settings)
        assert isinstance(made, brokers.LocalBroker)
        assert made.root == Path("/mnt/data/x")
    for config in ({"type": "tape"}, {}, {"type": "host"}, {"type": "host", "host_path": "relative"}, {"type": "nfs"}):
        with pytest.raises(BrokerError):
            brokers.broker_for(config, settings)


def test_store_and_read(broker: brokers.LocalBroker, root: Path, local: Path) -> None:
    stored = broker.store(local, "a/b/name with blank")
    assert stored == brokers.Stored(7, hashlib.sha256(b"content").hexdigest(), stored=True)
    assert names(root) == ["a/b/name with blank"]
    assert (root / "a/b/name with blank").stat().st_mode & 0o777 == 0o644
    with broker.open("a/b/name with blank") as file:
        assert file.read() == b"content"
    assert broker.measure("a/b/name with blank") == stored
    assert broker.store(local, "a/b/name with blank") == stored, "doing it again is harmless"
    assert names(root) == ["a/b/name with blank"]


def test_store_never_overwrites(broker: brokers.LocalBroker, root: Path, local: Path) -> None:
    (root / "taken").write_bytes(b"CONTENT")
    with pytest.raises(BrokerError, match="other content"):
        broker.store(local, "taken")
    (root / "longer").write_bytes(b"content and more")
    with pytest.raises(BrokerError, match="other content"):
        broker.store(local, "longer")
    (root / "directory").mkdir()
    with pytest.raises(BrokerError):
        broker.store(local, "directory")
    assert (root / "taken").read_bytes() == b"CONTENT"
    assert names(root) == ["longer", "taken"]


def test_store_checks_the_checksum(broker: brokers.LocalBroker, root: Path, local: Path) -> None:
    with pytest.raises(BrokerError, match="SHA-256"):
        broker.store(local, "x", checksum="0" * 64)
    assert names(root) == []
    digest = hashlib.sha256(b"content").hexdigest()
    assert broker.store(local, "x", checksum=digest).checksum == digest


def test_store_finds_duplicates(broker: brokers.LocalBroker, root: Path, local: Path) -> None:
    digest = hashlib.sha256(b"content").hexdigest()
    assert broker.store(local, "x", duplicates_of=[digest]) == brokers.Stored(7, digest, stored=False)
    assert names(root) == []


def test_store_refuses_what_is_no_regular_file(
    broker: brokers.LocalBroker, root: Path, tmp_path: Path, local: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(local)
    for bad in ("pipe", "link", "root", "absent"):
        with pytest.raises(BrokerError):
            broker.store(tmp_path / bad, "x")
    assert names(root) == []


def test_store_needs_its_root(tmp_path: Path, local: Path) -> None:
    broker = brokers.LocalBroker(tmp_path / "not mounted")
    with pytest.raises(BrokerError, match="not mounted"):
        broker.store(local, "x")
    assert not (tmp_path / "not mounted").exists()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "a/..", "", ".", "a\0b", "out/x", "outfile", "loop/x"]
)
def test_nothing_leaves_the_root(
    broker: brokers.LocalBroker, root: Path, tmp_path: Path, local: Path, path: str
) -> None:
    (root / "out").symlink_to(tmp_path)
    (root / "outfile").symlink_to(local)
    (root / "loop").symlink_to(root / "loop")
    before = names(tmp_path)
    for act in (
        lambda: broker.store(local, path),
        lambda: broker.open(path),
        lambda: broker.move(path, "new"),
        lambda: broker.delete(path),
    ):
        with pytest.raises(BrokerError):
            act()
    assert names(tmp_path) == before


def test_names_that_cannot_be_encoded(broker: brokers.LocalBroker, local: Path) -> None:
    with pytest.raises(BrokerError):
        broker.store(local, "\ud800")
    with pytest.raises(BrokerError):
        broker.store(local, "x" * 300)


def test_list(broker: brokers.LocalBroker, root: Path, local: Path) -> None:
    for name, modified in (("b", 100), ("a", 200), (".hidden", 50), (brokers.TEMPORARY_PREFIX + "1", 1)):
        (root / name).write_bytes(b"12")
        os.utime(root / name, (modified + 1, modified))
    (root / "link").symlink_to(local)
    (root / "sub").mkdir()
    assert broker.list() == [
        brokers.FileInfo(".hidden", 2, 51, 50),
        brokers.FileInfo("b", 2, 101, 100),
        brokers.FileInfo("a", 2, 201, 200),
    ]
    assert broker.list("sub") == []
    with pytest.raises(BrokerError, match="does not exist"):
        broker.list("absent")


def test_move(broker: brokers.LocalBroker, root: Path) -> None:
    (root / "x").write_bytes(b"1")
    broker.move("x", "new/y")
    broker.move("x", "new/y")
    assert names(root) == ["new/y"]
    (root / "z").write_bytes(b"2")
    with pytest.raises(BrokerError, match="other content"):
        broker.move("z", "new/y")
    (root / "same").write_bytes(b"1")
    broker.move("same", "new/y")
    assert names(root) == ["new/y", "z"]
    with pytest.raises(BrokerError, match="does not exist"):
        broker.move("absent", "w")


def test_delete(broker: brokers.LocalBroker, root: Path) -> None:
    (root / "x").write_bytes(b"1")
    broker.delete("x")
    broker.delete("x")
    assert names(root) == []


def test_set_aside_numbers_what_is_there_already(tmp_path: Path) -> None:
    long = "ü" * 125 + ".tif"  # 254 bytes
    for name in ("a.txt", long):
        for content in ("first", "second", "third"):
            (tmp_path / name).write_text(content)
            brokers.set_aside(tmp_path / name, tmp_path / "aside")
    found = {path.name: path.read_text() for path in (tmp_path / "aside").iterdir()}
    assert {"a.txt": "first", "1_a.txt": "second", "2_a.txt": "third"}.items() <= found.items()
    assert sorted(content for name, content in found.items() if name.endswith(".tif")) == ["first", "second", "third"]


def test_set_aside_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="gone"):
        brokers.set_aside(tmp_path / "gone", tmp_path / "aside")


def test_a_mount_whose_server_is_gone_is_the_workspace_s_error(
    broker: brokers.LocalBroker, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A soft mount, and a stale one: whatever is asked of the directory is an error that no name is to blame for."""

    def ask(path: Path) -> bool:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(Path, "is_dir", ask)
    for act in (lambda: broker.store(local, "a"), lambda: broker.delete("a"), lambda: broker.tidy("a")):
        with pytest.raises(BrokerError, match=r"cannot reach .*: Stale file handle"):
            act()


def test_what_dead_copies_left_is_removed_and_what_is_written_stays(tmp_path: Path) -> None:
    broker, local = brokers.LocalBroker(tmp_path / "store"), tmp_path / "local"
    broker.root.mkdir()
    local.write_bytes(b"x" * 10)
    broker.tidy("a/b.txt")

    def look() -> None:
        broker.tidy("a/b.txt")
        broker.tidy("a/c.txt")
        names.append(sorted(path.name for path in (broker.root / "a").iterdir()))

    names: list[list[str]] = []
    broker.store(local, "a/b.txt", progress=look)
    (held,) = names[0]
    assert held.startswith(brokers.TEMPORARY_PREFIX), "its own copy is being written"
    for name in (held, f"{held[:-1]}!", f"{brokers.TEMPORARY_PREFIX}another"):
        (broker.root / "a" / name).write_bytes(b"half")
    broker.tidy("a/c.txt")
    broker.tidy("a/b.txt")
    assert sorted(path.name for path in (broker.root / "a").iterdir()) == [
        f"{brokers.TEMPORARY_PREFIX}another",
        "b.txt",
    ]
