"""Control groups of version 2: the logic of their files on a tree laid out like one, entering and killing on a real one
where the machine has one (without controllers, on machines that run on version 1)."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from scale_core.domain.execution import Outcome
from scale_worker.executor import cgroups, cgroups2, guardian
from scale_worker.executor.cgroups import Lanes
from scale_worker.executor.cgroups2 import Lane2
from tests.worker.executions import Bench, prop

FILES = ("memory.max", "memory.swap.max", "memory.oom.group", "memory.peak", "memory.events", "pids.max", "cpu.weight")
REAL = next((path for path in (cgroups.ROOT, cgroups.ROOT / "unified") if (path / "cgroup.controllers").exists()), None)


def tree(root: Path, controllers: str = "cpuset cpu io memory pids") -> Path:
    """A root as the kernel shows it; what it makes in new groups is made by `group`."""
    for directory in (root, root / "scale"):
        directory.mkdir(exist_ok=True)
        (directory / "cgroup.controllers").write_text(f"{controllers}\n")
        (directory / "cgroup.subtree_control").write_text("")
    return root


def group(root: Path, name: str) -> Path:
    directory = root / "scale" / name
    directory.mkdir()
    for file in (*FILES, "cgroup.procs", "cgroup.kill", "cpu.stat"):
        (directory / file).write_text("")
    return directory


def test_limits_and_accounts(tmp_path: Path) -> None:
    directory = group(tree(tmp_path), "7-8")
    lane = Lane2(tmp_path, "7-8")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    assert (tmp_path / "scale" / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    lane.begin(mem=64.0, pids=20, cpus=0.5)
    written = {name: (directory / name).read_text() for name in FILES}
    assert written == {
        "memory.max": str(64 * 1024**2), "memory.swap.max": "0", "memory.oom.group": "1", "memory.peak": "",
        "memory.events": "", "pids.max": "20", "cpu.weight": "50",
    }  # fmt: skip
    (directory / "memory.peak").write_text(f"{3 * 1024**2}\n")
    (directory / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 1\n")
    (directory / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\nsystem_usec 2\n")
    lane.end()
    assert (lane.cpu_s, lane.mem_peak, lane.was_out_of_memory) == (1.5, 3.0, True)


def test_no_limits_and_an_old_kernel(tmp_path: Path) -> None:
    directory = group(tree(tmp_path, "memory pids"), "7-8")
    for name in ("memory.swap.max", "memory.oom.group", "memory.peak", "cpu.weight"):
        (directory / name).unlink()
    lane = Lane2(tmp_path, "7-8")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +pids"
    lane.begin(mem=0.0, pids=0)
    assert ((directory / "memory.max").read_text(), (directory / "pids.max").read_text()) == ("max", "max")
    assert not (directory / "cpu.weight").exists()
    lane.end()
    assert (lane.cpu_s, lane.mem_peak, lane.was_out_of_memory) == (None, None, False)


def test_what_is_left_is_killed(tmp_path: Path) -> None:
    """A kernel before 5.14 has no cgroup.kill, so the processes are killed one by one."""
    directory = group(tree(tmp_path), "7-8")
    (directory / "cgroup.kill").unlink()
    (directory / "cgroup.kill").mkdir()  # writing fails, as it does there
    left = subprocess.Popen(["sleep", "600"])
    lane = Lane2(tmp_path, "7-8")
    (directory / "cgroup.procs").write_text(f"{left.pid}\n")
    reaper = threading.Thread(target=lambda: (left.wait(), (directory / "cgroup.procs").write_text("")))
    reaper.start()
    lane.end()
    reaper.join()
    assert left.returncode == -9
    assert (directory / "cgroup.procs").read_text() == ""


@pytest.mark.parametrize(
    ("controllers", "expected"), [("cpu memory pids", True), ("memory pids", True), ("cpu memory", False), ("", False)]
)
def test_whether_it_is_there(tmp_path: Path, controllers: str, expected: bool) -> None:
    assert not cgroups2.is_there(tmp_path)
    assert cgroups2.is_there(tree(tmp_path, controllers)) is expected


def run_in_lane(bench: Bench, script: str, **more: object) -> Outcome:
    """As executions run: on a thread that is not the main one."""
    outcomes: list[Outcome] = []
    spec = bench.spec("${script}", inputs=(prop("script", script),), **more)
    thread = threading.Thread(target=lambda: outcomes.append(bench.run(spec)))
    thread.start()
    thread.join()
    return outcomes[0]


def test_an_execution_enters_its_group(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    root.mkdir()
    bench = Bench(tmp_path)
    object.__setattr__(bench.node, "lanes", Lanes(tree(root)))
    outcome = run_in_lane(bench, "echo $0 in; exit 3", mem=64.0)
    assert (outcome.job.exit_code, outcome.stdout) == (3, "sh in\n"), outcome
    (entered,) = root.glob("scale/*-*/cgroup.procs")
    assert entered.read_text() == "0\n", "0 is who writes"
    assert entered.parent.name.startswith(f"{os.getpid()}-")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program", "'no-such-program' does not exist on the node"),
        ("/no/such/program", "'/no/such/program' does not exist on the node"),
        ("./there", "'./there' does not exist on the node"),
        ("/etc/passwd", "'/etc/passwd' may not be executed on the node"),
        ("/etc", "'/etc' may not be executed on the node"),
    ],
)
def test_what_cannot_be_started_is_told_as_without_groups(tmp_path: Path, command: str, words: str) -> None:
    root = tmp_path / "cgroup"
    root.mkdir()
    bench = Bench(tmp_path)
    object.__setattr__(bench.node, "lanes", Lanes(tree(root)))
    outcome = run_in_lane(bench, "x", command=command)
    assert (outcome.error, outcome.job.exit_code) == ("task-launch", None)
    assert words in outcome.message


@pytest.mark.skipif(REAL is None or not os.access(REAL, os.W_OK), reason="no control groups of version 2 for us here")
def test_nothing_leaves_a_real_group(tmp_path: Path) -> None:
    assert REAL is not None
    lane = Lane2(REAL, f"{os.getpid()}-{threading.get_native_id()}")
    made = REAL / "scale" / f"{os.getpid()}-{threading.get_native_id()}"
    lane.begin(mem=64.0, pids=0, cpus=1.0)
    busy = "x=0; while [ $x -lt 20000 ]; do x=$((x+1)); done"
    escaped = f"cat /proc/self/cgroup; setsid sleep 600 & setsid setsid sleep 600 & {busy}"
    with open(tmp_path / "out", "w") as out:
        subprocess.run([*lane.entry, "sh", "-c", escaped], check=True, stdout=out)
    assert f"/scale/{made.name}\n" in (tmp_path / "out").read_text()
    left = [int(pid) for pid in (made / "cgroup.procs").read_text().split()]
    assert len(left) == 2
    lane.end()
    assert not made.exists(), "an empty group is removed"
    running = [pid for pid in left if Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert running == [], "at most their zombies are there, until init looks"
    assert (lane.cpu_s or 0) > 0


def test_what_a_dead_executor_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    root = tree(tmp_path)
    for name in (f"{ended.pid}-1", f"{os.getpid()}-1"):
        (root / "scale" / name).mkdir()
    cgroups.remove_stale(root)
    assert [path.name for path in (root / "scale").glob("*-*")] == [f"{os.getpid()}-1"]
    guardian.kill_lanes(ended.pid, str(root / "scale"))
