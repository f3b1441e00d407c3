"""The scheduler API of the devcluster against recordings of a real master."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devcluster_process import Cluster, devcluster
from tests.mesos_client import Framework, cpus_of, scalar, task
from tests.mesos_shapes import recorded, same_shape
from tests.patience import wait_for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with devcluster(tmp_path_factory.mktemp("devcluster")) as running:
        yield running


@pytest.fixture
def framework(cluster: Cluster) -> Iterator[Framework]:
    framework = Framework(cluster.master).registered()
    yield framework
    if framework.stream.events.empty() or framework.stream.events.queue[-1] is not None:
        framework.call("TEARDOWN")


def test_a_subscription_starts_as_recorded(framework: Framework) -> None:
    framework.offer()
    for expected, ours in zip(recorded("command_task")["subscribe"], framework.stream.seen, strict=True):
        same_shape(expected, ours, {"type", "name", "scheme", "path", "role"})
    assert framework.stream.status == 200
    assert framework.stream.headers["Transfer-Encoding"] == "chunked"
    assert framework.stream.headers["Content-Type"] == "application/json"


def test_a_command_task_starts_runs_and_finishes(framework: Framework) -> None:
    assert framework.accept(framework.offer(), task("ok", "echo hello")) == (202, "")
    updates = framework.updates_of("ok")
    for expected, ours in zip(recorded("command_task")["updates"], updates, strict=True):
        same_shape(expected, ours)
    assert updates[-1]["message"] == "Command exited with status 0"
    assert updates[0]["uuid"] != updates[1]["uuid"]


def test_a_command_that_fails_tells_its_status_in_words_only(framework: Framework) -> None:
    framework.accept(framework.offer(), task("fails", "exit 3"))
    updates = framework.updates_of("fails")
    for expected, ours in zip(recorded("command_task")["failed"], updates, strict=True):
        same_shape(expected, ours)
    assert updates[-1]["message"] == "Command exited with status 3"


def test_a_missing_binary_is_a_failure_of_the_task(framework: Framework) -> None:
    command = {"shell": False, "value": "/does/not/exist", "arguments": ["x"]}
    framework.accept(framework.offer(), task("none", command=None) | {"command": command})
    assert [u["state"] for u in framework.updates_of("none")] == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]


def test_killing(framework: Framework) -> None:
    kill = recorded("kill")
    framework.accept(framework.offer(), task("long", "sleep 100; true"))
    framework.update()
    framework.update()
    assert framework.call("KILL", kill={"task_id": {"value": "long"}}) == (202, "")
    killed = framework.updates_of("long")[-1]
    same_shape(kill["killed"], killed)
    assert killed["message"] == "Command terminated with signal Terminated"
    framework.call("KILL", kill={"task_id": {"value": "long"}})
    same_shape(kill["unknown"], framework.update())


def test_a_kill_before_the_executor_is_there(framework: Framework) -> None:
    executor = {"executor_id": {"value": "slow"}, "command": {"value": "sleep 60"}, "resources": [scalar("cpus", 0.1)]}
    framework.accept(framework.offer(), task("early", executor=executor))
    framework.call("KILL", kill={"task_id": {"value": "early"}})
    same_shape(recorded("kill")["before_delivery"], framework.updates_of("early")[-1])
    framework.stream.next("FAILURE")  # an executor without any task is not kept


@pytest.mark.parametrize("name", ["too-big", "no-res", "wrong-agent", "bad/id", "no-cmd", "gpu"])
def test_invalid_tasks_get_errors_as_recorded(framework: Framework, name: str) -> None:
    offer = framework.offer()
    wrong: dict[str, dict[str, Any]] = {
        "too-big": task(name, "true", cpus=1000),
        "no-res": {**task(name, "true"), "resources": []},
        "wrong-agent": {**task(name, "true"), "agent_id": {"value": "nope-S99"}},
        "bad/id": task(name, "true"),
        "no-cmd": task(name),
        "gpu": {**task(name, "true"), "resources": [scalar("cpus", 0.1), scalar("gpus", 1)]},
    }
    framework.accept(offer, wrong[name], task("good", "true"))
    updates = {u["task_id"]["value"]: u for u in (framework.update() for _ in range(2))}
    expected = recorded("invalid_launches")[name]
    same_shape(expected, updates[name])
    agent_id = offer["agent_id"]["value"]
    message = expected["message"].replace("M-S0", agent_id)
    if "Total resources" in message:
        assert updates[name]["message"].split(" is more than ")[1].startswith("available ports(allocated: *):[31000-3")
    else:
        assert updates[name]["message"] == message
    assert "good" in updates


def test_an_id_in_use_is_refused(framework: Framework) -> None:
    framework.accept(framework.offer(), task("dup", "sleep 100"))
    framework.update()
    framework.update()
    framework.accept(framework.offer(), task("dup", "true"))
    same_shape(recorded("invalid_launches")["dup"], framework.update())


def test_a_dead_offer_loses_its_tasks(framework: Framework) -> None:
    lost = recorded("invalid_launches")
    offer = framework.offer()
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0}})
    framework.accept(offer, task("on-declined", "true"))
    same_shape(lost["on-declined"], framework.update())
    agent = {"agent_id": offer["agent_id"]}
    framework.accept("no-such-offer", task("on-bogus", "true") | agent)
    update = framework.update()
    same_shape(lost["on-bogus"], update)
    assert update["message"] == lost["on-bogus"]["message"]
    offer = framework.offer()
    framework.accept(offer, task("first-use", "sleep 100"))
    framework.accept(offer, task("second-use", "true"))
    updates = {u["task_id"]["value"]: u for u in (framework.update() for _ in range(2))}
    same_shape(lost["second-use"], updates["second-use"])


def test_reconciliation(framework: Framework) -> None:
    framework.accept(framework.offer(), task("rec-1", "sleep 100"), task("rec-2", "true"))
    framework.updates_of("rec-2")
    states = [u["state"] for u in (s["update"]["status"] for s in framework.stream.seen if s["type"] == "UPDATE")]
    for _ in range(5 - len(states)):
        framework.update()
    agent_id = framework.offer()["agent_id"]
    explicit = [{"task_id": {"value": name}} for name in ("rec-1", "rec-2", "unknown-1")]
    with_agent = [{**entry, "agent_id": agent_id} for entry in explicit]
    with_agent.append({"task_id": {"value": "unknown-2"}, "agent_id": {"value": "gone-S7"}})
    ours = []
    for tasks, count in ((explicit, 3), (with_agent, 4), ([], 1)):
        assert framework.call("RECONCILE", reconcile={"tasks": tasks}) == (202, "")
        ours += [framework.update() for _ in range(count)]
    for expected, update in zip(recorded("reconcile")["updates"], ours, strict=False):
        same_shape(expected, update)
        assert update["message"] == expected["message"]


def test_unacknowledged_updates_are_seen_by_reconciliation_and_wait_in_order(framework: Framework) -> None:
    framework.accept(framework.offer(), task("quiet", "true"))
    first = framework.update(acknowledge=False)
    assert first["state"] == "TASK_STARTING"
    framework.offer(lambda offer: cpus_of(offer) == 4)  # the task has ended: its resources are free already
    framework.call("RECONCILE", reconcile={"tasks": []})
    assert framework.update(acknowledge=False)["state"] == "TASK_STARTING"
    assert framework.acknowledge(first) == (202, "")
    assert framework.acknowledge(first) == (202, "")
    assert [u["state"] for u in framework.updates_of("quiet")] == ["TASK_RUNNING", "TASK_FINISHED"]


def test_declining_suppressing_reviving(framework: Framework) -> None:
    offer = framework.offer()
    decline = {"offer_ids": [offer["id"], {"value": "stale"}], "filters": {"refuse_seconds": 3600}}
    assert framework.call("DECLINE", decline=decline) == (202, "")
    with pytest.raises(AssertionError, match="no OFFERS came"):
        framework.stream.next("OFFERS", timeout=0.5)
    framework.call("REVIVE")
    offer = framework.offer()
    framework.call("SUPPRESS")
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0}})
    with pytest.raises(AssertionError, match="no OFFERS came"):
        framework.stream.next("OFFERS", timeout=0.5)
    framework.call("REVIVE")
    assert cpus_of(framework.offer()) == 4


def test_what_tasks_free_is_offered_although_the_rest_was_refused(framework: Framework) -> None:
    framework.accept(framework.offer(), task("a", "sleep 0.3", cpus=1), task("b", "sleep 0.3", cpus=1), refuse_s=3600)
    framework.updates_of("a")
    assert cpus_of(framework.offer()) in (3, 4)  # both may end within one round of offers, or one after the other


def test_coming_back_with_the_same_id_keeps_tasks_and_kills_offers(cluster: Cluster, framework: Framework) -> None:
    old_offer = framework.offer()
    framework.accept(old_offer, task("survivor", "sleep 100"))
    unacknowledged = framework.update(acknowledge=False)
    held = framework.offer()
    again = Framework(cluster.master, framework.id, name="renamed").registered()
    same_shape(recorded("http_errors")["failed_over"], framework.stream.next("ERROR"))
    assert framework.stream.ends()
    assert again.id == framework.id
    assert again.update()["uuid"] == unacknowledged["uuid"]
    assert again.update()["state"] == "TASK_RUNNING"
    again.accept(held, task("on-old-offer", "true"))
    assert again.update()["reason"] == "REASON_INVALID_OFFERS"
    status, text = framework.call("REVIVE")
    assert status == 400
    assert text.startswith(f"The stream ID '{framework.stream.id}' included in this request didn't match")
    again.call("KILL", kill={"task_id": {"value": "survivor"}})
    assert again.updates_of("survivor")[-1]["state"] == "TASK_KILLED"
    again.call("TEARDOWN")


def test_a_removed_id_is_dead_for_ever_and_a_made_up_one_is_taken(cluster: Cluster) -> None:
    first = Framework(cluster.master, "totally-made-up-id").registered()
    assert first.id == "totally-made-up-id"
    assert first.call("TEARDOWN") == (202, "")
    assert first.stream.ends()
    assert first.call("REVIVE") == (400, "Framework cannot be found")
    second = Framework(cluster.master, "totally-made-up-id")
    assert second.stream.status == 200
    same_shape(recorded("http_errors")["removed"], second.stream.next())
    assert second.stream.seen[-1]["error"]["message"] == "Framework has been removed"
    assert second.stream.ends()


@pytest.mark.parametrize("framework_id", ["../../x", "..", "a/b", "x" * 300])
def test_an_id_that_cannot_name_a_directory_is_refused(cluster: Cluster, framework_id: str) -> None:
    stream = Framework(cluster.master, framework_id).stream
    assert stream.next()["error"]["message"].startswith("Not a valid FrameworkID: ")
    assert stream.ends()


def test_a_framework_that_stays_away_too_long_is_removed_with_its_tasks(cluster: Cluster, tmp_path: Path) -> None:
    framework = Framework(cluster.master, failover_timeout=0.3).registered()
    framework.accept(
        framework.offer(),
        task("orphan", f"touch {tmp_path}/runs; trap 'touch {tmp_path}/ended' TERM; sleep 100 & wait"),
    )
    framework.update()
    framework.update()
    wait_for("the task to run", (tmp_path / "runs").exists)
    framework.stream.close()
    wait_for("the disconnection", lambda: framework.call("REVIVE") == (403, "Framework is not subscribed"))
    wait_for("the removal", lambda: framework.call("REVIVE") == (400, "Framework cannot be found"))
    wait_for("the task to end", (tmp_path / "ended").exists)
    assert Framework(cluster.master, framework.id).stream.next()["error"]["message"] == "Framework has been removed"


def test_two_frameworks_share(cluster: Cluster, framework: Framework) -> None:
    offer = framework.offer()
    other = Framework(cluster.master).registered()
    framework.accept(offer, task("mine", "sleep 100", cpus=1), refuse_s=3600)
    assert cpus_of(other.offer()) == 3
    other.call("TEARDOWN")


def test_unacknowledged_updates_are_repeated_with_the_same_uuid(tmp_path: Path) -> None:
    with devcluster(tmp_path, 1, 64, 10, "node-1", "--update-retry=0.2") as cluster:
        framework = Framework(cluster.master).registered()
        framework.accept(framework.offer(), task("again", "sleep 100"))
        first = framework.update(acknowledge=False)
        assert [framework.update(acknowledge=False) for _ in range(2)] == [first, first]
        framework.acknowledge(first)
        assert framework.stream.next("UPDATE")["update"]["status"]["state"] == "TASK_RUNNING"


def test_capabilities_change_offers_and_answers(cluster: Cluster) -> None:
    capabilities = [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]
    framework = Framework(cluster.master, capabilities=capabilities, roles=["scale"]).registered()
    offer = framework.offer()
    assert offer["allocation_info"] == {"role": "scale"}
    assert {resource["allocation_info"]["role"] for resource in offer["resources"]} == {"scale"}
    framework.accept("no-such-offer", task("dropped", "true") | {"agent_id": offer["agent_id"]})
    assert framework.update()["state"] == "TASK_DROPPED"
    framework.call("RECONCILE", reconcile={"tasks": [{"task_id": {"value": "who"}}]})
    assert framework.update()["state"] == "TASK_UNKNOWN"
    framework.call("TEARDOWN")
