"""Files through a Strike: a burst of small ones, a trickle beside old ones, large ones; beside copies by hand."""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.report import IngestResult, Spread, say
from bench.server import Server, server
from scale_core.timestamps import parse_datetime

SMALL = 1024  # bytes
PATIENCE_S = 600.0
TRICKLE_S = 0.5
_MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--small", type=int, default=10000, help="small files, dropped at once (default 10000)")
    parser.add_argument("--trickle", type=int, default=60, help="files dropped one by one (default 60)")
    parser.add_argument("--old", type=int, default=100000, help="links lying in the directory then (default 100000)")
    parser.add_argument("--large", type=int, default=10, help="large files (default 10)")
    parser.add_argument("--large-mib", type=int, default=1024, help="their size in MiB (default 1024)")


def measure(options: argparse.Namespace) -> IngestResult:
    """Run the benchmark. Raises BenchFailed."""
    load = os.getloadavg()
    say("starting a Scale of its own")
    with server() as scale:
        feed = _make_feed(scale)
        say(f"{options.small} small files ({scale.home})")
        small = _make_files(scale.home / "small", options.small, SMALL)
        small_copied = _copy(small, scale.home / "copied-small")
        small_s = _ingest(scale, feed, small)
        say(f"{options.trickle} files one by one, beside {options.old} old ones")
        for number in range(options.old):
            (feed / f"old{number}").symlink_to("/dev/null")  # looked at by every scan, and never wanted
        waits = _trickle(scale, feed, options.trickle)
        for number in range(options.old):
            (feed / f"old{number}").unlink()
        say(f"{options.large} files of {options.large_mib} MiB")
        large = _make_files(scale.home / "large", options.large, options.large_mib * _MIB)
        large_copied = _copy(large, scale.home / "copied-large")
        large_s = _ingest(scale, feed, large)
    size = options.large * options.large_mib
    return IngestResult(
        small=options.small,
        small_rate=round(options.small / small_s, 1),
        small_copy_rate=round(options.small / small_copied, 1),
        old=options.old,
        ingested=Spread.of(waits),
        large_mib=size,
        large_rate=round(size / large_s, 1),
        large_copy_rate=round(size / large_copied, 1),
        load=tuple(round(value, 2) for value in load),
    )


def _make_feed(scale: Server) -> Path:
    feed, store = scale.home / "feed", scale.home / "store"
    feed.mkdir()
    store.mkdir()
    broker = {"version": "1.0", "broker": {"type": "host", "host_path": str(store)}}
    scale.post("workspaces/", {"name": "store", "json_config": broker})
    rule = {"filename_regex": ".*", "workspace_path": "in", "workspace_name": "store"}
    configuration = {
        "version": "1.0", "mount": f"localhost:{feed}", "transfer_suffix": "_tmp", "files_to_ingest": [rule],
    }  # fmt: skip
    scale.post("strikes/", {"name": "feed", "configuration": configuration})
    return feed


def _make_files(directory: Path, count: int, size: int) -> list[Path]:
    """Files of different content, so that none is a duplicate."""
    directory.mkdir()
    block = os.urandom(min(size, _MIB))
    paths = []
    for number in range(count):
        path = directory / f"{directory.name}-{number}.bin"
        with path.open("wb") as file:
            head = f"{number:016d}".encode()
            file.write(head)
            for start in range(0, size - len(head), len(block)):
                file.write(block[: size - len(head) - start])
        paths.append(path)
    return paths


def _copy(paths: Sequence[Path], to: Path) -> float:
    """Seconds that `cp` and a sync of the copies take."""
    to.mkdir()
    started = time.monotonic()
    subprocess.run(["cp", "--reflink=never", "-t", str(to), "--", *map(str, paths)], check=True)
    subprocess.run(["sync", "-f", str(to)], check=True)
    took = time.monotonic() - started
    for path in to.iterdir():
        path.unlink()
    return took


def _ingest(scale: Server, feed: Path, paths: Sequence[Path]) -> float:
    """Seconds from the first rename until the last of the files is INGESTED."""
    before = _ingested(scale)
    started = time.monotonic()
    for path in paths:
        path.rename(feed / path.name)
    scale.wait_for("files to be ingested", lambda: _ingested(scale) == before + len(paths), PATIENCE_S)
    return time.monotonic() - started


def _ingested(scale: Server) -> int:
    count: int = scale.get("ingests/", status="INGESTED", page_size=1)["count"]
    return count


def _trickle(scale: Server, feed: Path, count: int) -> list[float]:
    """Seconds from the rename of each file until it was INGESTED."""
    renamed: dict[str, float] = {}
    before = _ingested(scale)
    for path in _make_files(scale.home / "trickle", count, SMALL):
        renamed[path.name] = time.time()
        path.rename(feed / path.name)
        time.sleep(TRICKLE_S)
    scale.wait_for("the trickle to be ingested", lambda: _ingested(scale) == before + count, PATIENCE_S)
    shown = [each for each in scale.results("ingests/", status="INGESTED") if each["file_name"] in renamed]
    return [parse_datetime(each["ingest_ended"]).timestamp() - renamed[each["file_name"]] for each in shown]
