"""Ends what an executor leaves behind when it dies. Run as a script by its path, with nothing but the standard library.

It reads lines from the executor's pipe: ``+pid start`` for a process group that was started, ``-pid`` for one that
ended. When the pipe closes, the executor is gone: the remaining groups are killed, whatever else runs in its control
groups (a command that it had not told of yet), and containers with the label given as argument are removed.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import sys
import time

LANES = "/sys/fs/cgroup/pids/scale"
LANES_2 = "/sys/fs/cgroup/scale"  # cgroups version 2


def start_time(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty when there is none. Tells reused numbers apart."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


def kill_group(pid: int, start: str) -> bool:
    """Kill the process group if its leader still is the process that started at `start`."""
    if not start or start_time(pid) != start:
        return False
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def watch(lines: object, groups: dict[int, str]) -> None:
    for line in lines:  # type: ignore[attr-defined]
        sign, rest = line[:1], line[1:].split()
        if sign == "+":
            groups[int(rest[0])] = rest[1] if len(rest) > 1 else ""
        elif sign == "-":
            groups.pop(int(rest[0]), None)


def kill_lanes(executor: int, root: str = LANES) -> None:
    """Kill what runs in the control groups of the executor's threads (cgroups.py, cgroups2.py); there may be none."""
    for path in glob.glob(f"{root}/{executor}-*/cgroup.procs"):
        try:
            with open(path) as file:
                left = [int(pid) for pid in file.read().split()]
        except (OSError, ValueError):
            continue
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue


def remove_containers(label: str) -> None:
    import docker  # only now: it is large, and most guardians never need it

    api = docker.DockerClient.from_env(version="auto", timeout=60).api
    for container in api.containers(all=True, filters={"label": label}):
        api.remove_container(container["Id"], force=True, v=True)


def note_death(history: str, executor: int) -> None:
    """In the executor's history, as scale_core/history.py writes it: from now on nothing of it runs."""
    if history:
        with open(history, "a") as file:
            event = {"kind": "died", "at": time.monotonic(), "process": "executor", "pid": executor}
            file.write(json.dumps(event) + "\n")


def main(label: str, uses_docker: bool, history: str = "") -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, str] = {}
    watch(sys.stdin, groups)
    executor = int(label.rsplit(":", 2)[1])
    for pid, start in groups.items():
        kill_group(pid, start)
    for root in (LANES, LANES_2):
        kill_lanes(executor, root)
    if uses_docker:
        try:
            remove_containers(label)
        except Exception as error:  # an engine that is away has no containers running
            print(f"guardian: containers of {label} were not removed: {error}", file=sys.stderr)
    note_death(history, executor)


if __name__ == "__main__":
    main(sys.argv[1], os.path.exists("/var/run/docker.sock") or "DOCKER_HOST" in os.environ, *sys.argv[2:])
