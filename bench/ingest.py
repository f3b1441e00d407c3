"""Files through a Strike: a burst of small ones, a trickle beside old ones, large ones; beside copies by hand."""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor

from bench.report import IngestResult, Spread, say
from bench.server import BenchFailed, Server, server
from scale_server import postgres

SMALL = 1024  # bytes
PATIENCE_S = 600.0
TRICKLE_S = 0.5
LOOK_S = 0.1
_MIB = 2**20
_INGESTED = "SELECT count(*) FROM ingest WHERE status = 'INGESTED'"
_STARTED = """SELECT count(*) FROM job_exe e JOIN job j ON j.id = e.job_id JOIN job_type t ON t.id = j.job_type_id
WHERE t.name = 'triggered' AND e.started IS NOT NULL"""
_TRIGGERED = """SELECT i.file_name, i.ingest_ended, e.started
FROM job j JOIN job_type t ON t.id = j.job_type_id AND t.name = 'triggered'
JOIN job_exe e ON e.job_id = j.id
JOIN ingest i ON i.source_file_id = CAST(j.data #>> '{input_data,0,file_id}' AS bigint)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--small", type=int, default=10000, help="small files, dropped at once (default 10000)")
    parser.add_argument("--trickle", type=int, default=60, help="files dropped one by one (default 60)")
    parser.add_argument("--old", type=int, default=100000, help="links lying in the directory then (default 100000)")
    parser.add_argument("--bursts", type=int, default=1, help="in how many bursts the small files come (default 1)")
    parser.add_argument("--no-inotify", action="store_true", help="files are found by scans alone, one a second")
    parser.add_argument("--large", type=int, default=10, help="large files (default 10)")
    parser.add_argument("--large-mib", type=int, default=1024, help="their size in MiB (default 1024)")


def measure(options: argparse.Namespace) -> IngestResult:
    """Run the benchmark. Raises BenchFailed."""
    load = os.getloadavg()
    say("starting a Scale of its own")
    with server(SCALE_STRIKE_INOTIFY="0" if options.no_inotify else "1") as scale, _database(scale) as database:
        feed = _make_feed(scale)
        say(f"{options.small} small files in {options.bursts} bursts ({scale.home})")
        small = _make_files(scale.home / "small", options.small, SMALL)
        small_copied = _copy(small, scale.home / "copied-small")
        memory, used = [scale.memory_mib()], scale.cpu_s()
        small_s = 0.0
        for burst in range(options.bursts):
            small_s += _ingest(database, feed, small[burst :: options.bursts])
            memory.append(scale.memory_mib())
        cpu = {name: seconds - used.get(name, 0.0) for name, seconds in scale.cpu_s().items()}
        say(f"{options.trickle} files one by one, beside {options.old} old ones")
        for number in range(options.old):
            (feed / f"old{number}").symlink_to("/dev/null")  # looked at by every scan, and never wanted
        waits = _trickle(scale, database, feed, options.trickle)
        for number in range(options.old):
            (feed / f"old{number}").unlink()
        memory.append(scale.memory_mib())
        say(f"{options.large} files of {options.large_mib} MiB")
        large = _make_files(scale.home / "large", options.large, options.large_mib * _MIB)
        large_copied = _copy(large, scale.home / "copied-large")
        large_s = _ingest(database, feed, large)
        memory.append(scale.memory_mib())
    size = options.large * options.large_mib
    return IngestResult(
        small=options.small,
        bursts=options.bursts,
        small_rate=round(options.small / small_s, 1),
        small_copy_rate=round(options.small / small_copied, 1),
        cpu_ms={name: round(1000 * seconds / options.small, 3) for name, seconds in cpu.items()},
        old=options.old,
        inotify=not options.no_inotify,
        ingested=Spread.of([ingested for ingested, _ in waits]),
        running=Spread.of([running for _, running in waits]),
        large_mib=size,
        large_rate=round(size / large_s, 1),
        large_copy_rate=round(size / large_copied, 1),
        memory_mib=memory,
        load=tuple(round(value, 2) for value in load),
    )


@contextmanager
def _database(scale: Server) -> Iterator[Cursor]:
    """The database is asked, not the API: looking often must cost next to nothing."""
    asking = psycopg2.connect(postgres.url(scale.home))
    try:
        asking.autocommit = True
        with asking.cursor() as cursor:
            yield cursor
    finally:
        asking.close()


def _make_feed(scale: Server) -> Path:
    feed, store = scale.home / "feed", scale.home / "store"
    feed.mkdir()
    store.mkdir()
    broker = {"version": "1.0", "broker": {"type": "host", "host_path": str(store)}}
    scale.post("workspaces/", {"name": "store", "json_config": broker})
    place = {"workspace_path": "in", "workspace_name": "store"}
    rules = [
        {"filename_regex": "trickle-.*", "data_types": ["trickle"], **place},
        {"filename_regex": ".*", "data_types": [], **place},
    ]
    configuration = {
        "version": "1.0", "mount": f"localhost:{feed}", "transfer_suffix": "_tmp", "files_to_ingest": rules,
    }  # fmt: skip
    scale.post("strikes/", {"name": "feed", "configuration": configuration})
    scale.post("job-types/", _triggered())
    return feed


def _triggered() -> dict[str, Any]:
    """A job that does nothing, started by each file of the trickle."""
    data = {"input_data_name": "file", "workspace_name": "store"}
    condition = {"media_type": "", "data_types": ["trickle"]}
    return {
        "name": "triggered", "version": "1.0", "cpus_required": 0.1, "mem_required": 32, "disk_out_const_required": 1,
        "interface": {
            "version": "1.0", "command": "/bin/true", "command_arguments": "",
            "input_data": [{"name": "file", "type": "file"}], "output_data": [],
        },
        "trigger_rule": {
            "type": "INGEST", "is_active": True,
            "configuration": {"version": "1.0", "condition": condition, "data": data},
        },
    }  # fmt: skip


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
    names = b"\0".join(os.fsencode(path) for path in paths)
    subprocess.run(["xargs", "-0", "cp", "--reflink=never", "-t", str(to), "--"], input=names, check=True)
    subprocess.run(["sync", "-f", str(to)], check=True)
    took = time.monotonic() - started
    for path in to.iterdir():
        path.unlink()
    return took


def _ingest(database: Cursor, feed: Path, paths: Sequence[Path]) -> float:
    """Seconds from the first rename until the last of the files is INGESTED."""
    before = _count(database, _INGESTED)
    started = time.monotonic()
    for path in paths:
        path.rename(feed / path.name)
    _wait(database, _INGESTED, before + len(paths))
    return time.monotonic() - started


def _count(database: Cursor, statement: str) -> int:
    database.execute(statement)
    row = database.fetchone()
    assert row is not None
    return int(row[0])


def _wait(database: Cursor, statement: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (found := _count(database, statement)) < count:
        if time.monotonic() > deadline:
            raise BenchFailed(f"{found} of {count} after {PATIENCE_S:.0f} s: {statement}")
        time.sleep(LOOK_S)


def _trickle(scale: Server, database: Cursor, feed: Path, count: int) -> list[tuple[float, float]]:
    """Seconds from the rename of each file until it was INGESTED, and until the job that it started was RUNNING."""
    renamed: dict[str, float] = {}
    for path in _make_files(scale.home / "trickle", count, SMALL):
        renamed[path.name] = time.time()
        path.rename(feed / path.name)
        time.sleep(TRICKLE_S)
    _wait(database, _STARTED, count)
    database.execute(_TRIGGERED)
    return [
        (ingested.timestamp() - renamed[name], started.timestamp() - renamed[name])
        for name, ingested, started in database.fetchall()
    ]
