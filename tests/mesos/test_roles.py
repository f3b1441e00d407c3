"""Reserved resources: what the master offers to whom, what it accepts, and that Scale spends both kinds rightly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from scale_server import postgres
from tests.devcluster_process import ECHO_EXECUTOR, Cluster, devcluster
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.mesos_client import Framework, scalar, task
from tests.patience import wait_for

RESERVED = ("--reserved=scale:cpus=1.5,mem=1000", "--reserved=other:cpus=1,mem=500")
ECHO = {"executor_id": {"value": "echo"}, "command": {"value": ECHO_EXECUTOR}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with devcluster(tmp_path_factory.mktemp("roles"), 4, 4096, 10000, "node-1", *RESERVED) as running:
        yield running


@pytest.fixture
def ours(cluster: Cluster) -> Iterator[Framework]:
    framework = Framework(cluster.master, role="scale").registered()
    yield framework
    framework.call("TEARDOWN")


def amounts(offer: dict[str, Any], name: str) -> dict[str, float]:
    """By role."""
    return {each["role"]: each["scalar"]["value"] for each in offer["resources"] if each["name"] == name}


def slave(address: str) -> dict[str, Any]:
    (found,) = requests.get(f"http://{address}/master/slaves", timeout=10).json()["slaves"]
    return dict(found)


def test_a_framework_is_offered_what_nobody_and_what_its_role_reserved(cluster: Cluster, ours: Framework) -> None:
    offer = ours.offer(lambda _: True)
    assert amounts(offer, "cpus") == {"scale": 1.5, "*": 1.5}
    assert amounts(offer, "mem") == {"scale": 1000, "*": 2596}
    ours.call("SUPPRESS")
    ours.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 3600}})
    strangers = {"*": {"*": 1.5}, "other": {"*": 1.5, "other": 1.0}, "scale/sub": {"*": 1.5, "scale": 1.5}}
    for role, cpus in strangers.items():
        stranger = Framework(cluster.master, role=role).registered()
        assert amounts(stranger.offer(lambda _: True), "cpus") == cpus
        stranger.call("TEARDOWN")


def test_what_is_reserved_is_offered_beside_what_another_framework_has(cluster: Cluster, ours: Framework) -> None:
    """Each gets its own reservation, though only one of them what is not reserved."""
    held = ours.offer(lambda _: True)
    stranger = Framework(cluster.master, role="other").registered()
    assert amounts(stranger.offer(lambda _: True), "cpus") == {"other": 1.0}
    assert set(amounts(held, "cpus")) == {"scale", "*"}
    stranger.call("TEARDOWN")


def reserved(name: str, value: float, role: str = "scale") -> dict[str, Any]:
    return {**scalar(name, value), "role": role}


@pytest.mark.parametrize(
    ("needs", "executor"),
    [
        pytest.param([reserved("cpus", 1.6), reserved("mem", 32)], [], id="more than is reserved"),
        pytest.param([scalar("cpus", 1.6), scalar("mem", 32)], [], id="more than is not reserved"),
        pytest.param([reserved("cpus", 0.1, "other"), scalar("mem", 32)], [], id="reserved to another role"),
        pytest.param([reserved("cpus", 1.5), scalar("mem", 32)], [reserved("cpus", 0.1)], id="no more for executors"),
    ],
)
def test_the_master_accepts_no_resources_that_are_not_in_the_offer(
    cluster: Cluster, ours: Framework, needs: list[Any], executor: list[Any]
) -> None:
    info = task("t", executor={**ECHO, "resources": executor or [scalar("cpus", 0.1)]}, data="")
    ours.accept(ours.offer(lambda _: True), {**info, "resources": needs}, refuse_s=0)
    status = ours.update()
    assert (status["state"], status["reason"]) == ("TASK_ERROR", "REASON_TASK_INVALID")
    assert "more than available" in status["message"]
    assert amounts(ours.offer(lambda _: True), "cpus") == {"scale": 1.5, "*": 1.5}, "nothing is charged"


def test_what_is_used_is_charged_by_role_and_given_back(cluster: Cluster, ours: Framework) -> None:
    both = [reserved("cpus", 1.5), scalar("cpus", 0.3), reserved("mem", 32)]
    info = task("t", executor={**ECHO, "resources": [scalar("cpus", 0.1)]}, data="NjA=")
    ours.accept(ours.offer(lambda _: True), {**info, "resources": both})
    assert ours.update()["state"] in {"TASK_STARTING", "TASK_RUNNING"}
    rest = ours.offer(lambda _: True)
    assert amounts(rest, "cpus") == {"*": 1.1}
    assert amounts(rest, "mem") == {"scale": 968, "*": 2596}
    known = slave(cluster.master)
    assert known["used_resources"]["cpus"] == 1.9
    assert {role: part["cpus"] for role, part in known["reserved_resources"].items()} == {"scale": 1.5, "other": 1.0}
    assert (known["resources"]["cpus"], known["unreserved_resources"]["cpus"]) == (4.0, 1.5)
    ours.call("KILL", kill={"task_id": {"value": "t"}})
    ours.updates_of("t")
    ours.call("DECLINE", decline={"offer_ids": [rest["id"]], "filters": {"refuse_seconds": 0}})
    ours.offer(lambda offer: amounts(offer, "cpus").get("scale") == 1.5)


@pytest.mark.parametrize("wrong", ["scale", ":cpus=1", "*:cpus=1", "scale:cpus=many", "scale:gpus=1", "scale:cpus=9"])
def test_a_wrong_reservation_is_explained(tmp_path: Path, wrong: str) -> None:
    with (
        pytest.raises(RuntimeError, match=r"--reserved .*give ROLE:cpus=N,mem=N,disk=N"),
        devcluster(tmp_path, 4, 4096, 10000, "node-1", f"--reserved={wrong}"),
    ):
        pass


# ------------------------------------------------------------------------------------------------------ a whole Scale


@pytest.fixture(params=["some", "all"])
def scale(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Scale, str]]:
    """On an agent of which some is reserved for it and some for others, or all, so that its executor is, too."""
    kept = ["--reserved=scale:cpus=1.5,mem=1000,disk=5000", "--reserved=other:cpus=1,mem=500,disk=1000"]
    if request.param == "all":
        kept = ["--reserved=scale:cpus=3,mem=3596,disk=9000", "--reserved=other:cpus=1,mem=500,disk=1000"]
    try:
        with (
            devcluster(tmp_path / "mesos", 4, 4096, 10000, "localhost", *kept) as cluster,
            scale_process.scale(tmp_path / "home", SCALE_MESOS_MASTER=cluster.master, SCALE_MESOS_ROLE="scale") as one,
        ):
            yield one, cluster.master
    finally:
        postgres.destroy(tmp_path / "home")


@pytest.mark.journey
def test_scale_spends_both_kinds_and_leaves_those_of_others(scale: tuple[Scale, str]) -> None:
    running, master = scale
    gate = running.home / "gate"
    small, large, huge = (
        running.make_job_type(
            name, "/bin/sh", f"-c 'while [ ! -e {gate} ]; do sleep 0.1; done'", cpus_required=cpus, mem_required=mem
        )
        for name, cpus, mem in (("small", 0.2, 64), ("large", 2.0, 1500), ("huge", 3.5, 64))
    )
    never = running.queue(huge)
    jobs = [running.queue(large), *(running.queue(small) for _ in range(3))]
    for job_id in jobs:
        running.until(job_id, "RUNNING", "FAILED")
    wait_for("all to be charged", lambda: slave(master)["used_resources"]["cpus"] >= 2.6)
    gate.touch()
    found = [running.until(job_id, "COMPLETED", "FAILED") for job_id in jobs]

    assert [(job["status"], job["num_exes"]) for job in found] == [("COMPLETED", 1)] * 4, [
        job["job_exes"] for job in found
    ]
    (node,) = running.results("nodes/")
    wait_for("what the node has for us", lambda: totals(running, node["id"]) == (3.0, 3596.0))
    wait_for("the reason", lambda: "the largest node has 3" in running.job(never)["waiting"]["reason"])


def totals(running: Scale, node_id: int) -> tuple[float, float]:
    total = running.get(f"nodes/{node_id}/")["resources"]["total"]
    return float(total["cpus"]), float(total["mem"])
