"""What frameworks do with offers: launch tasks on them, or decline them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from scale_worker.devcluster import answers, validation
from scale_worker.devcluster.allocation import DEFAULT_REFUSE_S, Allocator, Offer
from scale_worker.devcluster.framework import ExecutorCharge, Framework
from scale_worker.devcluster.resources import Resources

Info = dict[str, Any]


class AgentLink(Protocol):
    """What the master asks of an agent."""

    id: str
    hostname: str
    port: int
    total: Resources

    def launch(self, framework_info: Info, task: Info, executor_info: Info | None) -> None: ...
    def kill(self, framework_id: str, task_id: str) -> None: ...
    def acknowledge(self, framework_id: str, task_id: str, update_uuid: str) -> None: ...
    def message(self, framework_id: str, executor_id: str, data: str) -> None: ...
    def shutdown_executor(self, framework_id: str, executor_id: str) -> None: ...
    def shutdown_framework(self, framework_id: str) -> None: ...
    def resend(self, framework_id: str) -> None: ...


def offer_message(framework: Framework, offer: Offer, agent: AgentLink, host: str) -> Info:
    """An offer as its framework sees it: roles of resources only when it can have several."""
    extra: dict[str, Any] = {"role": "*"}
    message: dict[str, Any] = {
        "id": {"value": offer.id},
        "framework_id": {"value": framework.id},
        "agent_id": {"value": agent.id},
        "hostname": agent.hostname,
        "url": {"scheme": "http", "address": address(host, agent.port), "path": "/slave(1)"},
    }
    if framework.has_capability("MULTI_ROLE"):
        message["allocation_info"] = extra["allocation_info"] = {"role": framework.role}
    executors = [{"value": executor_id} for executor_id in framework.executors.on(agent.id)]
    if executors:
        message["executor_ids"] = executors
    message["resources"] = offer.resources.to_message(extra)
    return message


def address(host: str, port: int) -> Info:
    return {"hostname": host, "ip": host, "port": port}


class Launcher:
    """Turns ACCEPT and DECLINE into launches on agents and into free resources."""

    def __init__(self, allocator: Allocator, agents: Mapping[str, AgentLink]) -> None:
        self._allocator = allocator
        self._agents = agents

    def accept(self, framework: Framework, accept: dict[str, Any]) -> None:
        """Launch on the offers. Tasks of several ACCEPTs for one agent may run over the same executor."""
        for info in _grouped_tasks(accept.get("operations", [])):
            text = "The devcluster launches no task groups; use LAUNCH"
            answers.send(framework, info, "TASK_ERROR", "REASON_TASK_GROUP_INVALID", text)
        offers, problem = self._take_offers(framework, [offer["value"] for offer in accept.get("offer_ids", [])])
        refuse_s = _refuse_seconds(accept)
        tasks = _tasks_of(accept.get("operations", []))
        if problem is not None:
            for task in tasks:
                state = "TASK_DROPPED" if framework.has_capability("PARTITION_AWARE") else "TASK_LOST"
                text = f"Task launched with invalid offers: {problem}"
                answers.send(framework, task, state, "REASON_INVALID_OFFERS", text)
            for offer in offers:
                self._give_back(framework, offer.agent_id, offer.resources, refuse_s)
            return
        rest = sum((offer.resources for offer in offers), Resources())
        agent = self._agents[offers[0].agent_id]
        for info in tasks:
            try:
                rest = self._launch(framework, agent, info, rest)
            except validation.TaskInvalid as error:
                answers.send(framework, info, "TASK_ERROR", "REASON_TASK_INVALID", str(error))
        self._give_back(framework, agent.id, rest, refuse_s)

    def _take_offers(self, framework: Framework, ids: list[str]) -> tuple[list[Offer], str | None]:
        """The offers that were valid, now used up, and what is wrong with any of them."""
        problem = None if ids else "No offers specified"
        offers: list[Offer] = []
        for offer_id in ids:
            offer = self._allocator.take(offer_id, framework.id)
            if offer is not None:
                offers.append(offer)
            elif problem is None:
                again = ids.count(offer_id) > 1
                problem = f"Duplicate offer {offer_id} in offer list" if again else _gone(offer_id)
        if problem is None and len({offer.agent_id for offer in offers}) > 1:
            problem = "Aggregated offers must belong to one single agent"
        return offers, problem

    def _give_back(self, framework: Framework, agent_id: str, rest: Resources, refuse_s: float) -> None:
        self._allocator.give_back(framework, agent_id, rest, refuse_s, asyncio.get_running_loop().time())

    def _launch(self, framework: Framework, agent: AgentLink, info: dict[str, Any], free: Resources) -> Resources:
        """Launch one task on `free`; what is left of it is returned. Raises TaskInvalid."""
        task, executor_needs = validation.check_task(framework, agent.id, info, free)
        framework.tasks[task.id] = task
        key = (agent.id, task.executor_id)
        if task.executor_id and key not in framework.executors:
            whole = validation.complete(info["executor"], framework.id)
            framework.executors[key] = ExecutorCharge(whole, executor_needs, info["executor"])
        agent.launch(framework.info, info, framework.executors[key].info if task.executor_id else None)
        return free - task.resources - executor_needs

    def decline(self, framework: Framework, decline: dict[str, Any]) -> None:
        for offer_id in decline.get("offer_ids", []):
            offer = self._allocator.take(offer_id["value"], framework.id)
            if offer is not None:
                self._give_back(framework, offer.agent_id, offer.resources, _refuse_seconds(decline))


def _gone(offer_id: str) -> str:
    return f"Offer {offer_id} is no longer valid"


def _refuse_seconds(part: dict[str, Any]) -> float:
    return float(part.get("filters", {}).get("refuse_seconds", DEFAULT_REFUSE_S))


def _tasks_of(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [task for o in operations if o.get("type") == "LAUNCH" for task in o.get("launch", {}).get("task_infos", [])]


def _grouped_tasks(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups = [o.get("launch_group", {}).get("task_group", {}) for o in operations if o.get("type") == "LAUNCH_GROUP"]
    return [task for group in groups for task in group.get("tasks", [])]
