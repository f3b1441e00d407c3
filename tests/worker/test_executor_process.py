"""The executor as its agent starts it: one process, real jobs."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scale_core.domain.execution import ExecutionSpec, Outcome, StatusData
from scale_worker.executor import guardian
from tests.docker_images import busybox_image
from tests.patience import wait_for
from tests.worker.executions import Bench, file_output, prop
from tests.worker.fake_agent import FakeAgent


class Executor:
    """A running executor with its agent."""

    def __init__(self, root: Path) -> None:
        self.agent = FakeAgent()
        self.bench = Bench(root)
        self.sandbox = root / "runs" / "run-1"
        self.sandbox.mkdir(parents=True)
        self.start()

    def start(self) -> None:
        self.log = open(self.sandbox / "stderr", "ab")  # noqa: SIM115 - closed by close
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scale_worker.executor"],
            env={**os.environ, **self.agent.environment(self.sandbox)},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.agent.subscriptions.get(timeout=20)

    def launch(self, spec: ExecutionSpec) -> None:
        self.agent.launch(spec.task_id, base64.b64encode(spec.to_json().encode()).decode())

    def next(self) -> tuple[str, str, StatusData]:
        update = self.agent.next_update()
        return update["task_id"]["value"], update["state"], StatusData.decode(update["data"])

    def run(self, spec: ExecutionSpec) -> tuple[str, Outcome]:
        """Launch and wait for both updates; returns the last state and the outcome."""
        self.launch(spec)
        task_id, state, first = self.next()
        assert (task_id, state) == (spec.task_id, "TASK_RUNNING")
        assert first.outcome is None
        task_id, state, last = self.next()
        assert (task_id, last.directory) == (spec.task_id, first.directory)
        assert last.outcome is not None
        return state, last.outcome

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.agent.close()


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[Executor]:
    executor = Executor(tmp_path)
    yield executor
    executor.close()


def running(marker: str) -> bool:
    return subprocess.run(["pgrep", "-f", f"sleep {marker}"], capture_output=True, check=False).returncode == 0


def test_success_failure_and_directories(executor: Executor) -> None:
    bench = executor.bench
    state, outcome = executor.run(
        bench.spec("'echo hi; echo 1 > x; echo ARTIFACT:result:x'", task_id="scale.7.1", outputs=(file_output(),))
    )
    assert (state, outcome.succeeded) == ("TASK_FINISHED", True), outcome.message
    assert bench.stored() == {"out/7/x": b"1\n"}
    directory = executor.sandbox / "executions" / "7-scale.7.1"
    assert (directory / "stdout").read_text() == "hi\nARTIFACT:result:x\n"
    assert sorted(os.listdir(directory)) == ["stderr", "stdout"]
    state, outcome = executor.run(bench.spec("'exit 3'", task_id="scale.7.2"))
    assert (state, outcome.succeeded, outcome.job.exit_code) == ("TASK_FAILED", False, 3)


@pytest.mark.parametrize(
    "data", ["", "!", base64.b64encode(b"[]").decode(), base64.b64encode(b'{"task_id": 1}').decode()]
)
def test_malformed_tasks(executor: Executor, data: str) -> None:
    executor.agent.launch("t1", data)
    _, state, status = executor.next()
    assert state == "TASK_FAILED"
    assert status.outcome is not None
    assert status.outcome.error == "task-launch"
    assert "malformed" in status.outcome.message
    assert executor.run(executor.bench.spec("true"))[0] == "TASK_FINISHED"


def test_kill(executor: Executor) -> None:
    marker = f"61.{os.getpid()}"
    executor.launch(executor.bench.spec(f"'echo begun; sleep {marker}; true'"))
    executor.agent.kill("unknown")
    executor.next()
    wait_for("the job to run", lambda: running(marker))
    executor.agent.kill("scale.7.abc")
    _, state, status = executor.next()
    assert state == "TASK_KILLED"
    assert status.outcome is not None
    assert status.outcome.stdout == "begun\n"
    assert not running(marker)


def test_an_outcome_too_large_for_a_message(executor: Executor) -> None:
    executor.launch(executor.bench.spec("-c 800000 /dev/urandom", command="head"))
    executor.next()
    _, state, status = executor.next()
    assert state == "TASK_FINISHED"
    assert status.outcome is None
    assert status.outcome_file == f"{status.directory}/outcome.json"
    outcome = Outcome.from_json(Path(status.outcome_file).read_text())
    assert outcome.succeeded
    assert len(outcome.stdout) > 100_000


def test_many_at_once(executor: Executor) -> None:
    for number in range(60):
        executor.launch(
            executor.bench.spec(
                "${n}", command="echo", task_id=f"t{number}", job_exe_id=number, inputs=(prop("n", str(number)),)
            )
        )
    finished = {}
    while len(finished) < 60:
        task_id, state, status = executor.next()
        if status.outcome is not None:
            finished[task_id] = (state, status.outcome.stdout)
    assert finished == {f"t{number}": ("TASK_FINISHED", f"{number}\n") for number in range(60)}


def test_jobs_go_on_while_the_agent_is_away(executor: Executor) -> None:
    flag = executor.bench.root / "flag"
    executor.launch(executor.bench.spec(f"'while [ ! -e {flag} ]; do sleep 0.01; done'"))
    executor.next()
    executor.agent.cut()
    flag.touch()
    updates = executor.agent.subscriptions.get(timeout=20)["unacknowledged_updates"]
    states = [update["status"]["state"] for update in updates] or [executor.agent.next_update()["state"]]
    assert states[-1] == "TASK_FINISHED"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, None])
def test_jobs_die_with_their_executor(executor: Executor, number: int | None) -> None:
    """However it ends: killed, terminated, or told to shut down."""
    marker = f"62.{os.getpid()}"
    executor.launch(executor.bench.spec(f"'trap \"\" TERM; sleep {marker}; true'"))
    wait_for("the job to run", lambda: running(marker))
    if number is None:
        executor.agent.event("SHUTDOWN")
    else:
        executor.process.send_signal(number)
    assert executor.process.wait(20) == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    wait_for("its processes to end", lambda: not running(marker))


@pytest.mark.docker
def test_containers_die_with_their_executor(executor: Executor) -> None:
    import docker

    client = docker.from_env()
    name = f"scale-die-{os.getpid()}"
    executor.launch(
        executor.bench.spec("'sleep 60'", docker_image=busybox_image(), task_id=name.removeprefix("scale-"))
    )
    wait_for("the container", lambda: client.containers.list(ignore_removed=True, filters={"name": name}))
    executor.process.kill()
    wait_for(
        "it to be removed", lambda: not client.containers.list(all=True, ignore_removed=True, filters={"name": name})
    )
    client.close()


def test_the_next_executor_kills_what_the_former_left(executor: Executor) -> None:
    """For when the guardian was killed, too."""
    directory = executor.sandbox.parent / "run-0" / "executions" / "9-x"
    for part in ("input", "output/sub"):
        (directory / part).mkdir(parents=True)
    for file in ("output/sub/large", "stdout"):
        (directory / file).write_text("x")
    stale = subprocess.Popen(["sleep", "60"], start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    (directory / "process").write_text(f"{stale.pid} {guardian.start_time(stale.pid)}")
    reused = executor.sandbox / "executions" / "8-x"
    reused.mkdir(parents=True)
    (reused / "process").write_text(f"{other.pid} 1")
    executor.process.kill()
    executor.process.wait()
    executor.start()
    try:
        assert stale.wait(20) == -signal.SIGKILL
        assert other.poll() is None, "a number that was reused belongs to somebody else"
        wait_for("the rest to be removed", lambda: sorted(path.name for path in directory.iterdir()) == ["stdout"])
    finally:
        other.kill()
        other.wait()


def test_started_by_hand() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MESOS_")}
    result = subprocess.run(
        [sys.executable, "-m", "scale_worker.executor"], env=environ, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "started by a Mesos agent" in result.stderr
