"""Mesos' JSON as a real 1.11 master sent it, and what we send back."""

from __future__ import annotations

import base64
import json
import math
import zlib
from typing import Any

import pytest

from scale_core.domain.execution import ExecutionSpec, Outcome, StatusData
from scale_core.domain.job import Resources
from scale_core.domain.places import Offer
from scale_core.domain.task import TaskState
from scale_core.settings import Settings
from scale_worker.mesos import messages
from scale_worker.mesos.messages import ExecutorConfig, Purse

OFFER: dict[str, Any] = {
    "id": {"value": "O1"},
    "framework_id": {"value": "F"},
    "agent_id": {"value": "S0"},
    "hostname": "alpha",
    "url": {"scheme": "http", "address": {"hostname": "alpha", "ip": "10.0.0.1", "port": 5052}, "path": "/slave(1)"},
    "resources": [
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 32000}]}, "role": "*"},
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 3.5}, "role": "*"},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 1000.0}, "role": "*"},
        {"name": "disk", "type": "SCALAR", "scalar": {"value": 500.0}, "role": "*"},
    ],
    "executor_ids": [{"value": "ex-a"}],
    "attributes": [
        {"name": "rack", "type": "TEXT", "text": {"value": "r7"}},
        {"name": "level", "type": "SCALAR", "scalar": {"value": 2.0}},
        {
            "name": "slots",
            "type": "RANGES",
            "ranges": {"range": [{"begin": 1, "end": 5}, {"begin": 8, "end": 9}]},
        },
        {"name": "zones", "type": "SET", "set": {"item": ["a", "b"]}},
    ],
}
STATUS: dict[str, Any] = {
    "task_id": {"value": "t"},
    "state": "TASK_LOST",
    "reason": "REASON_RECONCILIATION",
    "source": "SOURCE_MASTER",
    "message": "Reconciliation: Task is unknown",
    "timestamp": 1795310311.3,
}
EXECUTOR = ExecutorConfig("cd /opt/scale && exec run", Resources(0.1, 64), {"SCALE_LOG_LEVEL": "INFO"})


def with_resources(*entries: dict[str, Any]) -> Offer:
    return messages.parse_offer({**OFFER, "resources": list(entries)})


def scalar(name: str, value: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, **more}


def pack(value: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


DEEP = base64.b64encode(zlib.compress(b'{"outcome":' + b"[" * 100_000 + b"]" * 100_000 + b"}")).decode()


def test_an_offer() -> None:
    offer = messages.parse_offer(OFFER)
    assert (offer.id, offer.agent_id, offer.hostname, offer.port) == ("O1", "S0", "alpha", 5052)
    assert offer.resources == Resources(3.5, 1000, 500)
    assert offer.executor_ids == {"ex-a"}
    assert offer.attributes == {"rack": "r7", "level": "2.0", "slots": "[1-5, 8-9]", "zones": "{a, b}"}


def test_an_offer_without_the_optional_parts() -> None:
    offer = messages.parse_offer({"id": {"value": "O"}, "agent_id": {"value": "S"}})
    assert (offer.hostname, offer.port, offer.resources) == ("S", 5051, Resources())


@pytest.mark.parametrize(
    "special", [{"revocable": {}}, {"disk": {"source": {"type": "MOUNT"}}}, {"shared": {}}, {"provider_id": {}}]
)
def test_special_resources_do_not_count(special: dict[str, Any]) -> None:
    assert with_resources(scalar("cpus", 1), scalar("cpus", 2, **special)).resources.cpus == 1


def test_an_update_of_the_master_wants_no_acknowledgement() -> None:
    update = messages.parse_update(STATUS).decode()
    assert (update.task_id, update.state, update.reason) == ("t", TaskState.LOST, "REASON_RECONCILIATION")
    assert (update.uuid, update.agent_id, update.is_terminal) == ("", "", True)


def test_a_state_of_a_later_mesos_is_unknown() -> None:
    assert messages.parse_update({**STATUS, "state": "TASK_DREAMING"}).update.state is TaskState.UNKNOWN


def test_the_report_of_our_executor_arrives_whole() -> None:
    outcome = Outcome("t", 7, True, stdout="ä\0")
    data = StatusData(directory="/sandbox", outcome=outcome).encode()
    update = messages.parse_update({**STATUS, "state": "TASK_FINISHED", "data": data}).decode()
    assert update.directory == "/sandbox"
    assert Outcome.from_json(json.dumps(update.outcome)) == outcome


@pytest.mark.parametrize("data", ["!", "aGVsbG8=", pack([1]), pack({"outcome": 5}), pack("x"), DEEP])
def test_data_of_strangers_is_left_out(data: str) -> None:
    update = messages.parse_update({**STATUS, "data": data}).decode()
    assert update.outcome is None
    assert update.message.startswith(STATUS["message"] + " (")


def test_what_json_allows_but_postgresql_does_not_is_mended() -> None:
    said = messages.read_status_data(pack({"outcome": {"used": {"cpu_s": math.nan}, "message": "\ud800"}}))
    assert said["outcome"] == {"used": {"cpu_s": None}, "message": "?"}


def test_the_list_of_agents() -> None:
    slave = {"id": "S0", "hostname": "a", "port": 5051, "active": True, "resources": {"cpus": 4.0, "mem": 8, "disk": 1}}
    slave["attributes"] = {"rack": "r7", "level": 2.0, "slots": "[1-5, 8-9]"}
    gone = {**slave, "id": "S1", "active": False}
    (agent,) = messages.parse_agents({"slaves": [slave, gone]}).agents
    assert (agent.agent_id, agent.total, agent.used) == ("S0", Resources(4, 8, 1), Resources())
    assert agent.attributes == {"rack": "r7", "level": "2.0", "slots": "[1-5, 8-9]"}, "spelt as offers spell them"


def test_what_is_reserved_to_others_is_not_for_us() -> None:
    slave = {"id": "S0", "hostname": "a", "port": 5051, "active": True, "resources": {"cpus": 4.0, "mem": 8, "disk": 1}}
    slave["reserved_resources"] = {"scale": {"cpus": 1.5, "mem": 2.0}, "other": {"cpus": 0.7}}
    found = {
        role: messages.parse_agents({"slaves": [slave]}, role).agents[0].total
        for role in ("*", "scale", "scale/sub", "other", "scaled")
    }
    none, other = Resources(1.8, 6, 1), Resources(2.5, 6, 1)
    scale = Resources(3.3, 8, 1)
    assert found == {"*": none, "scale": scale, "scale/sub": scale, "other": other, "scaled": none}


def test_the_executor_has_one_id_for_one_configuration() -> None:
    same = ExecutorConfig(EXECUTOR.command, EXECUTOR.resources, dict(EXECUTOR.environment))
    others = [
        ExecutorConfig("other", EXECUTOR.resources, EXECUTOR.environment),
        ExecutorConfig(EXECUTOR.command, Resources(0.2, 64), EXECUTOR.environment),
        ExecutorConfig(EXECUTOR.command, EXECUTOR.resources, {}),
    ]
    assert same.id == EXECUTOR.id
    assert len({EXECUTOR.id, *(other.id for other in others)}) == 4
    info = messages.build_executor_info(EXECUTOR, "F")
    assert info == messages.build_executor_info(same, "F")
    assert (info["type"], info["command"]["shell"]) == ("CUSTOM", True)
    assert info["command"]["environment"]["variables"] == [{"name": "SCALE_LOG_LEVEL", "value": "INFO"}]


def test_a_task_carries_its_specification() -> None:
    spec = ExecutionSpec("scale.7.ab", 7, 1, "thumb", "1.0", command="x $(y)")
    task = messages.build_task_info(spec, "S0", {"executor_id": {"value": "e"}}, [scalar("cpus", 1)])
    assert (task["task_id"], task["agent_id"]) == ({"value": "scale.7.ab"}, {"value": "S0"})
    assert ExecutionSpec.from_json(base64.b64decode(task["data"])) == spec


def test_resources_are_cut_from_what_was_offered() -> None:
    purse = Purse([messages.parse_offer(OFFER)])
    assert purse.take(Resources(1.5, 100, 0)) == [scalar("cpus", 1.5, role="*"), scalar("mem", 100, role="*")]
    assert purse.take(Resources(5, 0, 0)) == [scalar("cpus", 2.0, role="*")]


def test_reserved_resources_are_spent_first_but_not_on_the_executor() -> None:
    reserved = {"role": "scale", "reservation": {"principal": "p"}}
    purse = Purse([with_resources(scalar("cpus", 1, role="*"), scalar("cpus", 2, **reserved))])
    purse.spare(Resources(0.5, 0))
    assert purse.take(Resources(2.25)) == [scalar("cpus", 2, **reserved), scalar("cpus", 0.25, role="*")]


def test_gpus_are_read_from_offers_and_asked_for_in_tasks() -> None:
    gpu_offer = with_resources(scalar("cpus", 2, role="*"), scalar("mem", 100, role="*"), scalar("gpus", 2, role="*"))
    assert gpu_offer.resources == Resources(2, 100, 0, 2)
    assert Purse([gpu_offer]).take(Resources(1, 0, 0, 1)) == [
        scalar("cpus", 1, role="*"),
        scalar("gpus", 1, role="*"),
    ]


def test_a_task_that_needs_nothing_still_asks_for_something() -> None:
    assert Purse([messages.parse_offer(OFFER)]).take(Resources()) == [scalar("cpus", 0.001, role="*")]


STATIC = {"role": "scale"}
DYNAMIC = {"role": "scale", "reservation": {"principal": "p", "labels": {"labels": [{"key": "k", "value": "v"}]}}}
REFINED = {"reservations": [{"type": "STATIC", "role": "scale"}, {"type": "DYNAMIC", "role": "scale/sub"}]}


@pytest.mark.parametrize("kind", [STATIC, DYNAMIC, REFINED])
def test_a_piece_keeps_the_reservation_of_what_it_was_cut_from(kind: dict[str, Any]) -> None:
    allocated = {**kind, "allocation_info": {"role": "scale"}}
    offer = with_resources(scalar("cpus", 1, role="*"), scalar("cpus", 2, **allocated), scalar("mem", 64, **allocated))
    assert offer.resources == Resources(3, 64)
    assert Purse([offer]).take(Resources(2.5, 32)) == [
        scalar("cpus", 2, **allocated),
        scalar("cpus", 0.5, role="*"),
        scalar("mem", 32, **allocated),
    ]


@pytest.mark.parametrize("kind", [STATIC, DYNAMIC, REFINED])
def test_an_executor_on_an_agent_that_is_reserved_for_us(kind: dict[str, Any]) -> None:
    offer = with_resources(scalar("cpus", 1, **kind), scalar("mem", 100, **kind), scalar("cpus", 0.05, role="*"))
    purse = Purse([offer])
    info = purse.executor(EXECUTOR, "F", ())
    assert info["resources"] == [scalar("cpus", 0.1, **kind), scalar("mem", 64, **kind)]
    assert info["executor_id"]["value"].startswith(f"{EXECUTOR.id}-"), "Mesos refuses two of one id"
    assert purse.take(Resources(5, 500)) == [
        scalar("cpus", 0.9, **kind),
        scalar("cpus", 0.05, role="*"),
        scalar("mem", 36, **kind),
    ]
    again = Purse([with_resources(scalar("cpus", 0.2, **kind), scalar("mem", 64, role="*"))])
    assert again.executor(EXECUTOR, "F", {info["executor_id"]["value"]}) == info, "to the letter, while it runs"
    assert again.take(Resources(1, 0)) == [scalar("cpus", 0.2, **kind)], "and it is not paid for twice"


def test_an_executor_is_unreserved_where_that_can_be() -> None:
    offer = with_resources(
        scalar("cpus", 1, **STATIC),
        scalar("cpus", 1, role="*"),
        scalar("mem", 64, role="*"),
        scalar("mem", 64, **STATIC),
    )
    purse = Purse([offer])
    assert purse.executor(EXECUTOR, "F", ()) == messages.build_executor_info(EXECUTOR, "F")
    assert purse.take(Resources(2, 64)) == [
        scalar("cpus", 1, **STATIC),
        scalar("cpus", 0.9, role="*"),
        scalar("mem", 64, **STATIC),
    ]
    bare = Purse([offer])
    assert bare.executor(EXECUTOR, "F", {EXECUTOR.id}) == messages.build_executor_info(EXECUTOR, "F")
    assert bare.take(Resources(2)) == [scalar("cpus", 1, **STATIC), scalar("cpus", 1, role="*")], "it runs already"


def usage(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_an_executor_tells_what_its_jobs_really_use() -> None:
    said = {"usage": {"cpus": 1.5, "mem": 200, "other": 1}, "running": 2, "version": "3.0.0"}
    assert messages.parse_usage("S0", usage(said)) == messages.NodeUsage(
        "S0", {"cpus": 1.5, "mem": 200.0, "running": 2, "version": "3.0.0"}
    )


@pytest.mark.parametrize(
    "data",
    ["", "no base64", usage([]), usage({}), usage({"usage": 1}), base64.b64encode(b"{").decode()]
    + [usage({"usage": {"cpus": wrong}}) for wrong in (-1, 1e300, "1", True, None)],
)
def test_messages_that_tell_no_usage_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        messages.parse_usage("S0", data)


def test_another_version_or_setting_is_another_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mesos refuses two ExecutorInfos with one id, and what runs in the old one goes on there."""
    settings = Settings.from_environ({})
    before = messages.executor_config(settings).id
    assert messages.executor_config(settings).id == before
    other = Settings.from_environ({"SCALE_JOB_PIDS": "7"})
    assert messages.executor_config(other).id != before
    monkeypatch.setattr(messages, "VERSION", "99.0")
    assert messages.executor_config(settings).id.startswith("scale-99.0-")
