from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scale_server.supervisor import RestartPolicy, read_procfile
from tests.patience import PATIENCE_S, wait_for

CHECKOUT = Path(__file__).resolve().parents[2]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Run:
    """A supervisor in a process of its own: it adopts and kills every orphan of its process."""

    def __init__(self, directory: Path, procfile: str, most_in_a_row: int = 100) -> None:
        self.directory = directory
        (directory / "Procfile").write_text(procfile)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.supervise", str(directory / "Procfile"), str(directory / "logs"),
             str(most_in_a_row)],
            cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, env={**os.environ, "D": str(directory)},
        )  # fmt: skip

    def pids(self, name: str) -> list[int]:
        """The process numbers that a program of the Procfile has written to its file, one a start."""
        path = self.directory / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def log(self, name: str) -> str:
        path = self.directory / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def stop(self) -> str:
        self.process.terminate()
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        return output


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(procfile: str, **options: int) -> Run:
        runs.append(Run(tmp_path, procfile, **options))
        return runs[-1]

    yield start
    for one in runs:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def test_stops_all_and_leaves_nothing(run: Callable[..., Run]) -> None:
    one = run(
        "polite: python -c \"import os, signal, time; signal.signal(15, lambda *a: exit(print('bye', flush=True)));"
        " open(os.environ['D'] + '/polite', 'w').write(str(os.getpid())); time.sleep(600)\"\n"
        # ignores SIGTERM, and has a child in a session of its own
        "stubborn: sh -c 'trap \"\" TERM; setsid sleep 600 & echo $! $$ >$D/stubborn; while :; do sleep 0.1; done'\n"
    )
    pids = wait_for("the first", lambda: one.pids("polite")) + wait_for("the other", lambda: one.pids("stubborn"))
    assert all(map(alive, pids))
    output = one.stop()
    assert one.process.returncode == 0
    assert "polite: bye" in output
    assert "bye" in one.log("polite")
    assert not any(map(alive, pids))


def test_what_is_killed_starts_again(run: Callable[..., Run]) -> None:
    one = run("".join(f"{name}: sh -c 'echo $$ >>$D/{name}; exec sleep 600'\n" for name in ("victim", "other")))
    wait_for("the process", lambda: one.pids("other"))
    for count in (1, 2):
        os.kill(wait_for("the process", lambda count=count: one.pids("victim")[count - 1 :])[0], signal.SIGKILL)
        assert len(wait_for("the process", lambda count=count: one.pids("victim")[count:])) == 1
    assert "ended by SIGKILL; starting it again" in one.log("victim")
    assert len(one.pids("other")) == 1, "the others are left alone"
    assert one.stop()
    assert one.process.returncode == 0


def test_children_of_what_was_killed_do_not_linger(run: Callable[..., Run]) -> None:
    one = run("parent: sh -c 'sleep 600 & echo $! >>$D/child; echo $$ >>$D/parent; wait'\n")
    parent = wait_for("the process", lambda: one.pids("parent"))[0]
    os.kill(parent, signal.SIGKILL)
    wait_for("the process", lambda: one.pids("parent")[1:])
    assert not alive(one.pids("child")[0])
    one.stop()


def test_one_that_cannot_stay_up_ends_everything(run: Callable[..., Run]) -> None:
    hopeless = "hopeless: sh -c 'echo no such luck; exit 3'\n"
    one = run(hopeless + "other: sh -c 'echo $$ >$D/other; exec sleep 600'\n", most_in_a_row=2)
    output, _ = one.process.communicate(timeout=PATIENCE_S)
    assert one.process.returncode == 1
    assert "hopeless ended with exit code 3, 3 times in a row" in output
    assert str(one.directory / "logs" / "hopeless.log") in output
    assert "no such luck" in output
    assert not alive(one.pids("other")[0])


def test_even_a_killed_supervisor_leaves_no_process(run: Callable[..., Run]) -> None:
    one = run("program: sh -c 'echo $$ >$D/program; exec sleep 600'\n")
    pid = wait_for("the process", lambda: one.pids("program"))[0]
    one.process.kill()
    wait_for("the process", lambda: not alive(pid))


def test_patience_grows_up_to_a_limit() -> None:
    policy = RestartPolicy(first_delay_s=0.2, longest_delay_s=3.0)
    assert [policy.delay_s(failures) for failures in (1, 2, 3, 4, 5, 6)] == [0.2, 0.4, 0.8, 1.6, 3.0, 3.0]


def test_the_procfile_lists_the_processes_of_scale() -> None:
    commands = read_procfile(CHECKOUT / "Procfile", without=["devcluster"])
    assert list(commands) == ["api", "worker", "beat", "scheduler", "flower"]
    assert "devcluster" in read_procfile(CHECKOUT / "Procfile")
