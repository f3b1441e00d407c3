"""The operator's view of the master, as the endpoints /state, /slaves, /frameworks and /state-summary show it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from scale_worker.devcluster.allocation import Offer
from scale_worker.devcluster.framework import Framework, Task
from scale_worker.devcluster.launching import AgentLink
from scale_worker.devcluster.master import VERSION, Master
from scale_worker.devcluster.resources import Resources

# The release that the devcluster stands in for.
BUILD = {
    "version": VERSION,
    "git_sha": "04bc7ee1984d86fbb0bd782ccc69ce44c13ae4b9",
    "git_tag": VERSION,
    "build_date": "2020-11-24 15:38:37",
    "build_time": 1606232317.0,
    "build_user": "devcluster",
}
_STATES = ("STAGING", "STARTING", "RUNNING", "KILLING", "FINISHED", "KILLED", "FAILED", "LOST", "ERROR", "UNREACHABLE")
_ALLOCATED = {"role": "*", "allocation_info": {"role": "*"}}


def state(master: Master) -> dict[str, Any]:
    info, books = master.info(), _Books.of(master)
    return {
        **BUILD,
        "start_time": master.started,
        "elected_time": master.started,
        "id": master.id,
        "pid": info["pid"],
        "hostname": master.host,
        "capabilities": ["AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2"],
        "activated_slaves": float(len(master.agents)),
        "deactivated_slaves": 0.0,
        "unreachable_slaves": 0.0,
        "leader": info["pid"],
        "leader_info": {name: info[name] for name in ("id", "pid", "port", "hostname")},
        "flags": {"allocation_interval": f"{master.allocator.interval_s:g}secs", "port": str(master.port)},
        "slaves": [_brief(master, agent, books) for agent in master.agents.values()],
        "recovered_slaves": [],
        **frameworks(master),
        "orphan_tasks": [],
    }


def frameworks(master: Master) -> dict[str, Any]:
    return {
        "frameworks": [_framework(master, framework) for framework in master.frameworks.values()],
        "completed_frameworks": [_framework(master, framework) for framework in master.completed],
        "unregistered_frameworks": [],
    }


def agents(master: Master) -> dict[str, Any]:
    books = _Books.of(master)
    return {"slaves": [_full(master, agent, books) for agent in master.agents.values()], "recovered_slaves": []}


def summary(master: Master) -> dict[str, Any]:
    books = _Books.of(master)
    return {
        "hostname": master.host,
        "slaves": [
            {
                **_brief(master, agent, books),
                **_counts(
                    task for f in master.frameworks.values() for task in _all_tasks(f) if task.agent_id == agent.id
                ),
                "framework_ids": [f.id for f in master.frameworks.values() if agent.id in _agent_ids(f)],
            }
            for agent in master.agents.values()
        ],
        "frameworks": [
            {
                **_framework_brief(master, framework),
                **_counts(_all_tasks(framework)),
                "slave_ids": sorted(_agent_ids(framework)),
            }
            for framework in master.frameworks.values()
        ],
    }


def _all_tasks(framework: Framework) -> list[Task]:
    return [*framework.tasks.values(), *framework.completed]


def _agent_ids(framework: Framework) -> set[str]:
    return {task.agent_id for task in _all_tasks(framework)}


def _counts(tasks: Any) -> dict[str, int]:
    counts = Counter(task.state for task in tasks)
    return {f"TASK_{name}": counts[f"TASK_{name}"] for name in _STATES}


@dataclass(frozen=True)
class _Books:
    """What is used and what is offered, by agent, added up in one pass over tasks, executors and offers."""

    used: dict[str, Resources] = field(default_factory=lambda: defaultdict(Resources))
    offered: dict[str, Resources] = field(default_factory=lambda: defaultdict(Resources))

    @classmethod
    def of(cls, master: Master) -> _Books:
        books = cls()
        for framework in master.frameworks.values():
            for task in framework.tasks.values():
                if task.is_charged:
                    books.used[task.agent_id] += task.resources
            for (agent_id, _), charge in framework.executors.items():
                books.used[agent_id] += charge.resources
        for offer in master.allocator.offers.values():
            books.offered[offer.agent_id] += offer.resources
        return books


def _sum(offers: list[Offer]) -> Resources:
    return sum((offer.resources for offer in offers), Resources())


def _brief(master: Master, agent: AgentLink, books: _Books) -> dict[str, Any]:
    return {
        "id": agent.id,
        "hostname": agent.hostname,
        "port": agent.port,
        "attributes": {},
        "pid": f"slave(1)@{master.host}:{agent.port}",
        "registered_time": master.started,
        "resources": agent.total.to_state(),
        "used_resources": books.used[agent.id].to_state(),
        "offered_resources": books.offered[agent.id].to_state(),
        "reserved_resources": agent.total.to_state_by_role(),
        "unreserved_resources": agent.total.to_unreserved_state(),
        "active": True,
        "deactivated": False,
        "version": VERSION,
        "capabilities": ["MULTI_ROLE"],
    }


def _full(master: Master, agent: AgentLink, books: _Books) -> dict[str, Any]:
    return {
        **_brief(master, agent, books),
        "reserved_resources_full": agent.total.to_messages_by_role(),
        "unreserved_resources_full": agent.total.offered_to("*").to_message({"role": "*"}),
        "used_resources_full": books.used[agent.id].to_message(_ALLOCATED),
        "offered_resources_full": books.offered[agent.id].to_message(_ALLOCATED),
    }


def _framework_brief(master: Master, framework: Framework) -> dict[str, Any]:
    return {
        "id": framework.id,
        "name": framework.info["name"],
        "used_resources": framework.used().to_state(),
        "offered_resources": _sum(master.allocator.offers_to(framework.id)).to_state(),
        "capabilities": [capability.get("type") for capability in framework.info.get("capabilities", ())],
        "hostname": framework.info.get("hostname", ""),
        "webui_url": framework.info.get("webui_url", ""),
        "active": framework.is_connected,
        "connected": framework.is_connected,
        "recovered": False,
    }


def _framework(master: Master, framework: Framework) -> dict[str, Any]:
    offers = master.allocator.offers_to(framework.id)
    document = {
        **_framework_brief(master, framework),
        "user": framework.info["user"],
        "failover_timeout": float(framework.info.get("failover_timeout", 0)),
        "checkpoint": bool(framework.info.get("checkpoint", False)),
        "registered_time": framework.registered,
        "unregistered_time": framework.unregistered,
        "resources": (framework.used() + _sum(offers)).to_state(),
        "role": framework.role,
        "tasks": [_task(framework, task) for task in framework.tasks.values()],
        "unreachable_tasks": [],
        "completed_tasks": [_task(framework, task) for task in framework.completed],
        "offers": [_offer(offer) for offer in offers],
        "executors": [
            {
                "executor_id": eid,
                "name": charge.info.get("name", ""),
                "framework_id": framework.id,
                "slave_id": agent_id,
                "command": charge.info.get("command", {}),
                "resources": charge.resources.to_state(),
                "role": "*",
                "source": charge.info.get("source", ""),
                "type": "CUSTOM",
            }
            for (agent_id, eid), charge in framework.executors.items()
        ],
        "offer_constraints": {},
    }
    if framework.reregistered is not None:
        document["reregistered_time"] = framework.reregistered
    return document


def _offer(offer: Offer) -> dict[str, Any]:
    return {
        "id": offer.id,
        "framework_id": offer.framework_id,
        "allocation_info": {"role": "*"},
        "slave_id": offer.agent_id,
        "resources": offer.resources.to_state(),
    }


def _task(framework: Framework, task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.name,
        "framework_id": framework.id,
        "executor_id": task.executor_id,
        "slave_id": task.agent_id,
        "state": task.state,
        "resources": task.resources.to_state(),
        "role": "*",
        "statuses": list(task.statuses),
    }
