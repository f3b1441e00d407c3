"""Executions in real containers."""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from scale_core.domain.execution import ExecutionSpec, Input, Outcome
from scale_worker.executor import cgroups, orphans
from scale_worker.executor.cancel import KILLED
from scale_worker.executor.containers import ContainerJob, Engine, create_config
from scale_worker.executor.execution import run_execution
from scale_worker.executor.gpus import Gpus
from tests.docker_images import busybox_image
from tests.worker.executions import Bench, file_output, prop
from tests.worker.test_executor_execution import until_written

pytestmark = pytest.mark.docker


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, {"SCALE_DOCKER_PULL_TIMEOUT_S": "20"})


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


def spec(bench: Bench, arguments: str = "", **more: Any) -> ExecutionSpec:
    task_id = f"{bench.root.name}-{os.getpid()}-{bench.count}"
    return bench.spec(arguments, **{"task_id": task_id, "docker_image": busybox_image(), **more})


def containers_of(client: docker.DockerClient, bench: Bench) -> list[Any]:
    return [c for c in client.containers.list(all=True, ignore_removed=True) if bench.root.name in c.name]


def test_command_with_inputs_and_outputs(bench: Bench, client: docker.DockerClient) -> None:
    manifest = {"output_data": [{"name": "result", "file": {"path": "/scale/output_data/sub/r.csv"}}]}
    script = (
        'id -u; env; cat "$1"; ls "$2"; touch "$1" && echo writable; mkdir sub; cd /scale/output_data; mkdir sub;'
        f"cp \"$1\" sub/r.csv; echo '{json.dumps(manifest)}' > results_manifest.json; echo err >&2"
    )
    inputs = (
        prop("script", script),
        Input("one", "file", files=(bench.put("a/it's $(one)"),)),
        Input("many", "files", files=(bench.put("a/x"), bench.put("b/x"))),
    )
    outcome = bench.run(spec(bench, "${script} 0 ${one} ${many}", inputs=inputs, outputs=(file_output(),)))
    assert (outcome.succeeded, outcome.error, outcome.job.exit_code) == (True, None, 0), outcome
    lines = outcome.stdout.splitlines()
    assert lines[0] == str(7498 if os.geteuid() == 0 else os.geteuid())
    assert "SCALE_OUTPUT_DIR=/scale/output_data" in lines
    assert "SCALE_INPUT_DIR=/scale/input_data" in lines
    assert lines[-2:] == ["content1_x", "x"]
    assert "writable" not in outcome.stdout
    assert outcome.stderr.endswith("err\n")
    assert bench.stored()["out/7/sub/r.csv"] == b"content"
    assert sorted(os.listdir(bench.directory)) == ["stderr", "stdout"]
    assert containers_of(client, bench) == []


def test_many_inputs_come_through_their_workspace(bench: Bench) -> None:
    files = tuple(bench.put(f"a b/{number}", b"%d " % number) for number in range(40))
    outcome = bench.run(
        spec(
            bench,
            "'cat $0/*; touch /scale/workspace_mounts/raw/x' ${many}",
            inputs=(Input("many", "files", files=files),),
        )
    )
    assert sorted(map(int, outcome.stdout.split())) == list(range(40))
    assert outcome.job.exit_code == 1, "the workspace is read-only"


def test_an_image_with_its_own_entrypoint(bench: Bench) -> None:
    outcome = bench.run(spec(bench, "${p} b", command="", inputs=(prop("p", "a $(x)"),)))
    assert (outcome.succeeded, outcome.stdout) == (True, "entrypoint a $(x) b\n")


def test_calls_share_connections(bench: Bench) -> None:
    """Executions at once too: an attached stream that is closed takes nobody else's connection with it."""

    def unix_sockets() -> int:
        return len(psutil.Process().net_connections("unix"))

    before = unix_sockets()
    for _ in range(4):
        assert bench.run(spec(bench, "'echo one'")).stdout == "one\n"
    assert unix_sockets() - before <= 2, "one after the other, the calls need one connection and one for the stream"

    def run(number: int) -> Outcome:
        name = f"{bench.root.name}-{os.getpid()}-together-{number}"
        asked = spec(bench, f"'echo {number}; sleep 0.{number}'", task_id=name)
        return run_execution(asked, bench.root / name, bench.node, bench.cancellation())

    with ThreadPoolExecutor(9) as pool:
        outcomes = list(pool.map(run, range(9)))
    assert [(each.succeeded, each.stdout) for each in outcomes] == [(True, f"{number}\n") for number in range(9)]


def test_exit_code(bench: Bench, client: docker.DockerClient) -> None:
    outcome = bench.run(spec(bench, "'echo out; echo err >&2; exit 3'"))
    assert (outcome.succeeded, outcome.error, outcome.job.exit_code) == (False, None, 3)
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
    assert containers_of(client, bench) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"command": "/no/such/program"}, "cannot run '/no/such/program'"),
        ({"docker_image": "Not An Image"}, "Not An Image"),
        ({"docker_image": "--privileged -v /:/host scale"}, "-v /:/host"),
        ({"docker_privileged": True}, "SCALE_NODE_ALLOW_PRIVILEGED"),
    ],
)
def test_what_cannot_be_started(bench: Bench, client: docker.DockerClient, more: dict[str, Any], words: str) -> None:
    outcome = bench.run(spec(bench, "x", **more))
    assert (outcome.succeeded, outcome.error, outcome.job.exit_code) == (False, "docker-task-launch", None)
    assert words in outcome.message
    assert containers_of(client, bench) == []


@pytest.mark.parametrize(("network", "interfaces"), [("none", ["lo"]), ("bridge", ["eth0", "lo"])])
def test_the_network_is_the_node_s(tmp_path: Path, network: str, interfaces: list[str]) -> None:
    here = Bench(tmp_path, {"SCALE_DOCKER_NETWORK": "host", "SCALE_NODE_NETWORK": network})
    assert sorted(here.run(spec(here, "'ls /sys/class/net'")).stdout.split()) == interfaces


def test_the_host_s_network_where_nothing_else_is_said(tmp_path: Path) -> None:
    here = Bench(tmp_path, {"SCALE_DOCKER_NETWORK": "host"})
    assert here.run(spec(here, "'ls /sys/class/net'")).stdout.split() == sorted(os.listdir("/sys/class/net"))


def test_a_node_s_own_word_on_privileges_wins(tmp_path: Path, client: docker.DockerClient) -> None:
    pinned = {"docker_privileged": True, "docker_image": client.images.get(busybox_image()).id}
    willing = Bench(tmp_path, {"SCALE_ALLOW_PRIVILEGED": "0", "SCALE_NODE_ALLOW_PRIVILEGED": "1"})
    assert privileges(willing, **pinned) == ALL
    careful = Bench(tmp_path, {"SCALE_ALLOW_PRIVILEGED": "1", "SCALE_NODE_ALLOW_PRIVILEGED": "0"})
    assert "runs no privileged" in privileges(careful, **pinned)


def test_only_images_by_digest_have_privileges(tmp_path: Path, client: docker.DockerClient) -> None:
    mine, other = str(client.images.get(busybox_image()).id), f"elsewhere/other@sha256:{'0' * 64}"
    for allowed, image, answer in (
        ("", busybox_image(), "name it by its digest"),
        ("", f"{busybox_image()}@sha256:12", "name it by its digest"),
        ("", mine, ALL),
        (f"{other}, {mine}", mine, ALL),
        (f"{other}, {mine}", busybox_image(), "SCALE_PRIVILEGED_IMAGES"),
        (other, mine, "SCALE_PRIVILEGED_IMAGES"),
    ):
        node = Bench(tmp_path, {"SCALE_NODE_ALLOW_PRIVILEGED": "1", "SCALE_PRIVILEGED_IMAGES": allowed})
        assert answer in privileges(node, docker_privileged=True, docker_image=image), (allowed, image)
    node = Bench(tmp_path, {"SCALE_PRIVILEGED_IMAGES": other})
    assert int(privileges(node, docker_image=busybox_image()), 16) == 0, "without privileges any image does"


ALL = "all"


def privileges(node: Bench, **more: Any) -> str:
    """The capabilities of a job as the kernel tells them, or why it does not run."""
    outcome = node.run(spec(node, "'sed -n s/^CapEff:.//p /proc/self/status'", **more))
    if not outcome.succeeded:
        # an engine that is itself a container has not all to give, and says so once it was asked for them
        return ALL if "apply caps" in outcome.message else outcome.message
    return ALL if int(outcome.stdout, 16) > 2**32 else outcome.stdout.strip()


def test_gpus_are_asked_of_the_engine_by_their_ids(tmp_path: Path, client: docker.DockerClient) -> None:
    """An engine without the NVIDIA container toolkit refuses, and says why."""
    here = Bench(tmp_path, gpus=Gpus(["6", "7"], tmp_path / "locks"))
    job = ContainerJob("n", "i", [], [], {}, {}, [], 1.0, 64.0, False, tmp_path, tmp_path, gpus=["6"])
    (request,) = create_config(client.api, here.settings, job)["HostConfig"]["DeviceRequests"]
    assert (request["DeviceIDs"], request["Capabilities"]) == (["6"], [["gpu"]])
    if "nvidia" not in client.info().get("Runtimes", {}):
        outcome = here.run(spec(here, "'echo ran'", gpus=1.0))
        assert (outcome.error, outcome.stdout) == ("gpu-unavailable", "")
        assert "the GPUs 6: its engine needs the NVIDIA Container Toolkit" in outcome.message
        assert containers_of(client, here) == []


def test_an_image_that_cannot_be_pulled(bench: Bench, client: docker.DockerClient) -> None:
    outcome = bench.run(spec(bench, "x", docker_image="localhost:1/no-such-image:9"))
    assert (outcome.succeeded, outcome.error, outcome.job.exit_code) == (False, "docker-image-pull", None)
    assert "localhost:1/no-such-image:9" in outcome.message
    assert "[scale] pulling the image localhost:1/no-such-image:9" in outcome.stderr
    assert containers_of(client, bench) == []


def test_force_pull_asks_the_registry_for_what_is_there(tmp_path: Path) -> None:
    forced = Bench(tmp_path, {"SCALE_DOCKER_FORCE_PULL": "1", "SCALE_DOCKER_PULL_TIMEOUT_S": "20"})
    client = docker.from_env()
    client.images.get(busybox_image()).tag("localhost:1/executor-forced", "1")
    try:
        assert forced.run(spec(forced, "x", docker_image="localhost:1/executor-forced:1")).error == "docker-image-pull"
    finally:
        client.images.remove("localhost:1/executor-forced:1")
        client.close()


def test_what_was_used_and_from_which_image(bench: Bench, client: docker.DockerClient) -> None:
    outcome = bench.run(spec(bench, "'echo x > $SCALE_OUTPUT_DIR/x; x=0; while [ $x -lt 20000 ]; do x=$((x+1)); done'"))
    assert outcome.used["image_digest"] == client.images.get(busybox_image()).id
    assert outcome.used["disk"] > 0
    if cgroups.can_account():
        assert outcome.used["cpu_s"] > 0
        assert 0 < outcome.used["mem_peak"] <= 64


def test_only_scratch_and_output_can_be_written(bench: Bench) -> None:
    script = "'touch /tmp/x $SCALE_OUTPUT_DIR/x && echo both; touch /etc/x /x 2>&1'"
    outcome = bench.run(spec(bench, script))
    assert outcome.stdout.startswith("both\n")
    assert "Read-only file system" in outcome.stdout


def test_a_log_that_is_too_long(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"SCALE_JOB_LOG_MIB": "1"})
    outcome = bench.run(spec(bench, "'cat /bin/busybox /bin/busybox /bin/busybox; echo done >&2'"))
    assert (outcome.succeeded, outcome.stderr) == (True, "done\n")
    log = (bench.directory / "stdout").read_bytes()
    assert log[: 1024**2] == (Path("/bin/busybox").read_bytes() * 2)[: 1024**2]
    assert log[1024**2 :].startswith(b"\n[scale] the log has reached its limit")


def test_a_shell_that_says_127_did_start(bench: Bench) -> None:
    outcome = bench.run(spec(bench, "no-such-program"))
    assert (outcome.error, outcome.job.exit_code) == (None, 127)


def test_no_engine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    outcome = bench.run(bench.spec("x", docker_image="any"))
    assert (outcome.succeeded, outcome.error) == (False, "docker-task-launch")
    assert "no Docker Engine answers" in outcome.message


def test_limits_and_isolation(bench: Bench) -> None:
    """Limits are read inside, from whichever version of cgroups the machine has."""
    script = (
        "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; cat /proc/net/dev /proc/self/status"
    )
    outcome = bench.run(spec(bench, f"'{script}'", mem=32.0))
    assert str(32 * 1024 * 1024) in outcome.stdout
    assert "eth0" not in outcome.stdout
    assert "NoNewPrivs:\t1" in outcome.stdout
    assert "CapEff:\t0000000000000000" in outcome.stdout


def test_nothing_of_the_host_is_in_reach(bench: Bench) -> None:
    """Neither its processes, devices, engine nor files, whatever the arguments call for; and none of it can be had."""
    script = (
        "id -u; ls -d /var/run/docker.sock /run/docker.sock /host /dev/sd* /dev/vd* /dev/nvme* /dev/kmsg /dev/mem 2>&-;"
        "ls -d /proc/[0-9]* | wc -l; tr '\\0' ' ' </proc/1/cmdline; echo; grep CapBnd /proc/self/status;"
        "mount -t tmpfs none /tmp 2>&- && echo mounted; mknod /tmp/x b 8 0 2>&- && echo made;"
        "echo 1 2>&- >/proc/sys/kernel/panic && echo set; chroot / true 2>&- && echo rooted;"
        "echo root:x:0:0 2>&- >>/etc/passwd && echo written; cat /etc/shadow 2>&- && echo read; echo end"
    )
    outcome = bench.run(spec(bench, "${script} --privileged -v /:/host --pid=host", inputs=(prop("script", script),)))
    lines = outcome.stdout.splitlines()
    assert outcome.succeeded, outcome
    assert lines[0] == str(7498 if os.geteuid() == 0 else os.geteuid())
    assert int(lines[1]) < 10, "its own processes only"
    assert "init" in lines[2], "the first of them is its own, and no argument was taken for an option"
    assert lines[3:] == ["CapBnd:\t0000000000000000", "end"]


def test_out_of_memory(bench: Bench) -> None:
    outcome = bench.run(spec(bench, "'x=xxxxxxxxxxxxxxxx; while true; do x=$x$x; done'", mem=8.0))
    assert (outcome.succeeded, outcome.error, outcome.job.exit_code) == (False, "out-of-memory", 137)
    assert "more than its 8 MiB" in outcome.message


def test_a_fork_bomb(tmp_path: Path, client: docker.DockerClient) -> None:
    bench = Bench(tmp_path, {"SCALE_JOB_PIDS": "20"})
    bomb = "'b() { b | b & }; b; sleep 60'"
    outcome = bench.run(spec(bench, bomb, timeout_s=2))
    assert (outcome.succeeded, "fork" in outcome.stderr) == (False, True), outcome
    assert containers_of(client, bench) == []


def test_scratch_is_half_of_the_memory_and_dies_with_the_container(bench: Bench) -> None:
    script = "'cat /bin/busybox /bin/busybox /bin/busybox /bin/busybox /bin/busybox > /tmp/x && echo all'"
    outcome = bench.run(spec(bench, script, mem=8.0))
    assert (outcome.succeeded, outcome.stdout) == (False, "")
    assert "No space left" in outcome.stderr or outcome.error == "out-of-memory"


def test_more_output_than_its_disk(bench: Bench, client: docker.DockerClient) -> None:
    script = "'cd $SCALE_OUTPUT_DIR; while true; do cat /bin/busybox >> x || sleep 1; done'"
    outcome = bench.run(spec(bench, script, disk_out=1.0, timeout_s=60))
    assert outcome.error == "out-of-disk", outcome
    assert "more than the 1 MiB" in outcome.message
    assert containers_of(client, bench) == []
    assert not (bench.directory / "output").exists()


def test_timeout(bench: Bench, client: docker.DockerClient) -> None:
    outcome = bench.run(spec(bench, "'echo begun; sleep 60'", timeout_s=1))
    assert (outcome.succeeded, outcome.error, outcome.stdout) == (False, "timeout", "begun\n")
    assert containers_of(client, bench) == []


def test_kill(bench: Bench, client: docker.DockerClient) -> None:
    cancel, outcomes = bench.cancellation(), list[Outcome]()
    stubborn = spec(bench, "'trap \"\" TERM; echo begun; sleep 60; sleep 60'")
    thread = threading.Thread(target=lambda: outcomes.append(bench.run(stubborn, cancel)))
    thread.start()
    until_written(bench.root / "execution-1" / "stdout")
    cancel.request(KILLED)
    thread.join(timeout=20)
    assert (outcomes[0].succeeded, outcomes[0].stdout) == (False, "begun\n")
    assert containers_of(client, bench) == []


def test_large_logs_of_both_streams_are_whole(bench: Bench) -> None:
    script = "'cat /bin/busybox /bin/busybox; cat /bin/busybox >&2'"
    bench.run(spec(bench, script))
    content = Path("/bin/busybox").read_bytes()
    assert (bench.directory / "stdout").read_bytes() == content * 2
    assert (bench.directory / "stderr").read_bytes() == content


def test_container_left_by_a_dead_executor_does_not_block(bench: Bench, client: docker.DockerClient) -> None:
    again = spec(bench, "'echo ran'")
    client.containers.create(busybox_image(), name=f"scale-{again.task_id}")
    assert bench.run(again).stdout == "ran\n"


def test_only_containers_without_a_living_executor_are_removed(bench: Bench, client: docker.DockerClient) -> None:
    framework = f"{bench.root.name}-{os.getpid()}"
    mine = {
        "scale.framework": framework,
        "scale.executor": "e",
        "scale.node": "n",
        orphans.OWNER_LABEL: orphans.owner(),
    }
    dead = f"{os.uname().nodename}:1:5"
    wanted = {
        "mine": (mine, True),
        "dead": ({**mine, orphans.OWNER_LABEL: dead}, False),
        "dead elsewhere": ({**mine, orphans.OWNER_LABEL: "other-host:1:5", "scale.node": "other"}, True),
        "former of this node": ({**mine, orphans.OWNER_LABEL: "other-host:1:5"}, False),
        "foreign": ({**mine, "scale.framework": "other", orphans.OWNER_LABEL: dead}, True),
    }
    made = {name: client.containers.create(busybox_image(), labels=labels).id for name, (labels, _) in wanted.items()}
    try:
        assert len(orphans.remove_stale_containers(Engine(bench.settings), mine)) == 2
        left = {container.id for container in client.containers.list(all=True, ignore_removed=True)}
        assert {name: made[name] in left for name in made} == {name: stays for name, (_, stays) in wanted.items()}
    finally:
        for container in client.containers.list(all=True, ignore_removed=True, filters={"status": "created"}):
            if container.id in made.values():
                container.remove(force=True)


def test_task_ids_become_names(bench: Bench) -> None:
    assert bench.run(replace(spec(bench, "true"), task_id="scale/7 ü:1")).job.exit_code == 0
