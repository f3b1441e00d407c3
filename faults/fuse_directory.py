"""A file system of one directory in user space, to be stopped: what a network mount is like whose server hangs.

`python -m faults.fuse_directory MOUNT_POINT NAME...` shows empty files of these names until it is killed. It speaks the
kernel's FUSE protocol (linux/fuse.h, 7.31) on /dev/fuse itself: only what a listing asks for. Needs root.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
import time

LOOKUP, FORGET, GETATTR, STATFS, INIT, OPENDIR, READDIR, RELEASEDIR = 1, 2, 3, 17, 26, 27, 28, 29
BATCH_FORGET = 42
HEADER = struct.Struct("<IIQQIIIHH")
ROOT = 1


def main(point: str, names: list[str]) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"hanging", os.fsencode(point), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), point)
    print("mounted", flush=True)
    while True:
        request = os.read(device, 1 << 20)
        _, code, unique, node, *_ = HEADER.unpack_from(request)
        if code in (FORGET, BATCH_FORGET):
            continue
        error, body = answer(code, node, request[HEADER.size :], names)
        os.write(device, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)


def answer(code: int, node: int, body: bytes, names: list[str]) -> tuple[int, bytes]:
    """errno and what follows the header."""
    if code == INIT:
        return 0, struct.pack("<IIIIHHIIHHIIHHIIII", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)[:64]
    if code == GETATTR:
        return 0, struct.pack("<QII", 0, 0, 0) + attributes(node)
    if code == LOOKUP:
        name = os.fsdecode(body.rstrip(b"\0"))
        if name not in names:
            return errno.ENOENT, b""
        child = 2 + names.index(name)
        return 0, struct.pack("<QQQQII", child, 0, 0, 0, 0, 0) + attributes(child)
    if code == OPENDIR:
        return 0, struct.pack("<QII", 0, 0, 0)
    if code == READDIR:
        (offset,) = struct.unpack_from("<Q", body, 8)
        return 0, b"".join(entry(number, name) for number, name in enumerate(names) if number >= offset)
    if code == STATFS:
        return 0, struct.pack("<QQQQQIIII24x", 1, 1, 1, 1, 1, 512, 255, 512, 0)
    return (0, b"") if code == RELEASEDIR else (errno.ENOSYS, b"")


def entry(number: int, name: str) -> bytes:
    raw = os.fsencode(name)
    return struct.pack("<QQII", 2 + number, number + 1, len(raw), stat.S_IFREG >> 12) + raw + bytes(-len(raw) % 8)


def attributes(node: int) -> bytes:
    """A directory or an empty file, a minute old."""
    mode, at = (stat.S_IFDIR | 0o755) if node == ROOT else (stat.S_IFREG | 0o644), int(time.time()) - 60
    return struct.pack("<QQQQQQIIIIIIIIII", node, 0, 0, at, at, at, 0, 0, 0, mode, 1, 0, 0, 0, 512, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
