"""The master: subscriptions, calls of frameworks, and the way of tasks and updates between frameworks and agents."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from typing import Any, Protocol

from scale_core import timestamps
from scale_worker.devcluster import calls, validation
from scale_worker.devcluster.allocation import DEFAULT_REFUSE_S, Allocator, Offer
from scale_worker.devcluster.calls import Call, CallError
from scale_worker.devcluster.framework import TERMINAL, ExecutorCharge, Framework, Task, role_problem
from scale_worker.devcluster.journal import Journal
from scale_worker.devcluster.recordio import EventStream
from scale_worker.devcluster.resources import Resources

logger = logging.getLogger(__name__)

VERSION = "1.11.0"
HEARTBEAT_S = 15.0
_COMPLETED_FRAMEWORKS = 50


class AgentLink(Protocol):
    """What the master asks of an agent."""

    id: str
    hostname: str
    port: int
    total: Resources

    def launch(self, framework_info: dict[str, Any], task: dict[str, Any]) -> None: ...
    def kill(self, framework_id: str, task_id: str) -> None: ...
    def acknowledge(self, framework_id: str, task_id: str, update_uuid: str) -> None: ...
    def message(self, framework_id: str, executor_id: str, data: str) -> None: ...
    def shutdown_executor(self, framework_id: str, executor_id: str) -> None: ...
    def shutdown_framework(self, framework_id: str) -> None: ...
    def resend(self, framework_id: str) -> None: ...


class Master:
    """All state of the master. Methods run in the event loop and never wait."""

    def __init__(self, host: str, port: int, journal: Journal, allocation_interval_s: float) -> None:
        self.id = str(uuid.uuid4())
        self.host, self.port = host, port
        self.started = now()
        self.allocator = Allocator(self.id, allocation_interval_s)
        self.agents: dict[str, AgentLink] = {}
        self.frameworks: dict[str, Framework] = {}
        self.completed: deque[Framework] = deque(maxlen=_COMPLETED_FRAMEWORKS)
        self._journal = journal
        self._count = 0
        for fid, record in journal.contents.frameworks.items():
            framework = Framework(fid, record["info"], record["registered"])
            self.frameworks[fid] = framework
            self._await_failover(framework)

    async def run(self) -> None:
        """Make offers at every allocation interval, until cancelled."""
        while True:
            await asyncio.sleep(self.allocator.interval_s)
            self.allocate()

    def allocate(self) -> None:
        made = self.allocator.allocate(self.frameworks.values(), asyncio.get_running_loop().time())
        for fid, offers in made.items():
            framework = self.frameworks[fid]
            framework.send(
                {"type": "OFFERS", "offers": {"offers": [self._offer_message(framework, offer) for offer in offers]}}
            )

    def _offer_message(self, framework: Framework, offer: Offer) -> dict[str, Any]:
        agent = self.agents[offer.agent_id]
        extra: dict[str, Any] = {"role": "*"}
        message: dict[str, Any] = {
            "id": {"value": offer.id},
            "framework_id": {"value": framework.id},
            "agent_id": {"value": agent.id},
            "hostname": agent.hostname,
            "url": {"scheme": "http", "address": self._address(agent.port), "path": "/slave(1)"},
        }
        if framework.has_capability("MULTI_ROLE"):
            message["allocation_info"] = extra["allocation_info"] = {"role": framework.role}
        executors = [{"value": eid} for agent_id, eid in framework.executors if agent_id == agent.id]
        if executors:
            message["executor_ids"] = executors
        message["resources"] = offer.resources.to_message(extra)
        return message

    def _address(self, port: int) -> dict[str, Any]:
        return {"hostname": self.host, "ip": self.host, "port": port}

    # Subscriptions

    def subscribe(self, call: Call) -> EventStream:
        """A new stream for a framework, or one that holds only an ERROR. Raises CallError."""
        info = dict(call["subscribe"]["framework_info"])
        fid = str(info.get("id", {}).get("value", ""))
        if str(call.get("framework_id", {}).get("value", "")) != fid:
            raise CallError(
                400, "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'"
            )
        stream = EventStream(str(uuid.uuid4()))
        problem = role_problem(info)
        if problem is None and fid in self._journal.contents.removed:
            problem = "Framework has been removed"
        if problem is not None:
            stream.send({"type": "ERROR", "error": {"message": problem}})
            stream.close()
            return stream
        framework = self.frameworks.get(fid)
        is_new = framework is None
        if framework is None:
            framework = self._register(fid, info)
        else:
            self._fail_over(framework, info)
        framework.is_suppressed = bool(call["subscribe"].get("suppressed_roles"))
        self._attach(framework, stream)
        for agent in self.agents.values():
            agent.resend(framework.id)
        if is_new:
            self.allocate()
        return stream

    def _register(self, fid: str, info: dict[str, Any]) -> Framework:
        while not fid or (fid in self.frameworks):
            fid = f"{self.id}-{self._count:04d}"
            self._count += 1
        framework = Framework(fid, {**info, "id": {"value": fid}}, now())
        self.frameworks[fid] = framework
        self._remember(framework)
        logger.info("Framework %s (%s) subscribed", fid, info["name"])
        return framework

    def _fail_over(self, framework: Framework, info: dict[str, Any]) -> None:
        """A known framework is back: its old stream ends and its old offers die; user and checkpoint never change."""
        kept: dict[str, Any] = {
            name: framework.info[name] for name in ("user", "checkpoint", "id") if name in framework.info
        }
        framework.info = {**info, **kept}
        framework.reregistered = now()
        framework.refusals.clear()
        self.allocator.drop_offers(framework.id)
        if framework.removal is not None:
            framework.removal.cancel()
            framework.removal = None
        if framework.stream is not None:
            framework.send({"type": "ERROR", "error": {"message": "Framework failed over"}})
            framework.stream.close()
        self._remember(framework)
        logger.info("Framework %s (%s) subscribed again", framework.id, info["name"])

    def _attach(self, framework: Framework, stream: EventStream) -> None:
        if framework.heartbeat is not None:
            framework.heartbeat.cancel()
        framework.stream = stream
        stream.send(
            {
                "type": "SUBSCRIBED",
                "subscribed": {
                    "framework_id": {"value": framework.id},
                    "heartbeat_interval_seconds": HEARTBEAT_S,
                    "master_info": self.info(),
                },
            }
        )
        self._beat(framework)

    def _beat(self, framework: Framework) -> None:
        framework.send({"type": "HEARTBEAT"})
        framework.heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat, framework)

    def info(self) -> dict[str, Any]:
        """MasterInfo. Its last capability is empty as a real master's is, whose newest one the v1 API cannot name."""
        return {
            "id": self.id,
            "ip": int.from_bytes(bytes(int(part) for part in self.host.split(".")), "little"),
            "port": self.port,
            "pid": f"master@{self.host}:{self.port}",
            "hostname": self.host,
            "version": VERSION,
            "address": self._address(self.port),
            "capabilities": [{"type": "AGENT_UPDATE"}, {"type": "AGENT_DRAINING"}, {}],
        }

    def _remember(self, framework: Framework) -> None:
        self._journal.write(
            "framework", framework_id=framework.id, info=framework.info, registered=framework.registered
        )

    def stream_ended(self, stream: EventStream) -> None:
        """A stream is over; when it was a framework's present one, that framework has `failover_timeout` to return."""
        framework = next((f for f in self.frameworks.values() if f.stream is stream), None)
        if framework is None:
            return
        framework.stream = None
        if framework.heartbeat is not None:
            framework.heartbeat.cancel()
        self.allocator.drop_offers(framework.id)
        self._await_failover(framework)

    def _await_failover(self, framework: Framework) -> None:
        timeout_s = float(framework.info.get("failover_timeout", 0))
        framework.removal = asyncio.get_running_loop().call_later(timeout_s, self.remove, framework)
        logger.info("Framework %s is disconnected; it is removed in %g s", framework.id, timeout_s)

    def remove(self, framework: Framework) -> None:
        """Kill all tasks of a framework; its id is dead for ever."""
        if self.frameworks.pop(framework.id, None) is None:
            return
        logger.info("Framework %s is removed", framework.id)
        self.allocator.drop_offers(framework.id)
        for timer in (framework.removal, framework.heartbeat):
            if timer is not None:
                timer.cancel()
        for task in list(framework.tasks.values()):
            self._uncharge(task)
            task.state = task.state if task.state in TERMINAL else "TASK_KILLED"
            self._complete(framework, task)
        for agent_id, eid in list(framework.executors):
            self.allocator.release(agent_id, framework.executors.pop((agent_id, eid)).resources)
        for agent in self.agents.values():
            agent.shutdown_framework(framework.id)
        if framework.stream is not None:
            framework.stream.close()
        framework.unregistered = now()
        self.completed.append(framework)
        self._journal.write("framework_removed", framework_id=framework.id)

    def close(self) -> None:
        """End all streams. Frameworks stay known for the next start."""
        for framework in self.frameworks.values():
            if framework.stream is not None:
                framework.stream.close()

    # Calls of subscribed frameworks

    def framework_of(self, call: Call, stream_id: str | None) -> Framework:
        """The framework that makes a call. Raises CallError when it may not."""
        fid = call.get("framework_id", {}).get("value")
        if not fid:
            raise CallError(400, "Failed to validate scheduler::Call: Expecting 'framework_id' to be present")
        framework = self.frameworks.get(fid)
        if framework is None:
            raise CallError(400, "Framework cannot be found")
        if framework.stream is None or not framework.is_connected:
            raise CallError(403, "Framework is not subscribed")
        if stream_id is None:
            raise CallError(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")
        if stream_id != framework.stream.id:
            raise CallError(
                400,
                f"The stream ID '{stream_id}' included in this request didn't match the stream ID currently "
                f"associated with framework ID {fid}",
            )
        return framework

    def receive(self, framework: Framework, call: Call) -> None:
        """Carry out one call; what goes wrong is told by events. Raises CallError."""
        match call["type"]:
            case "ACCEPT":
                self._accept(framework, call["accept"])
            case "ACKNOWLEDGE":
                self._acknowledge(framework, call["acknowledge"])
            case "DECLINE":
                self._decline(framework, call["decline"])
            case "REVIVE":
                framework.is_suppressed = False
                framework.refusals.clear()
                self.allocate()
            case "SUPPRESS":
                framework.is_suppressed = True
            case "KILL":
                self._kill(framework, call["kill"]["task_id"]["value"])
            case "RECONCILE":
                self._reconcile(framework, call["reconcile"].get("tasks", []))
            case "MESSAGE":
                message = call["message"]
                if agent := self.agents.get(message["agent_id"]["value"]):
                    agent.message(framework.id, message["executor_id"]["value"], message["data"])
            case "SHUTDOWN":
                if agent := self.agents.get(call["shutdown"]["agent_id"]["value"]):
                    agent.shutdown_executor(framework.id, call["shutdown"]["executor_id"]["value"])
            case "TEARDOWN":
                self.remove(framework)
            case "UPDATE_FRAMEWORK":
                framework.info = {**call["update_framework"]["framework_info"], "id": {"value": framework.id}}
                self._remember(framework)
            case "RECONCILE_OPERATIONS":
                self._reconcile_operations(framework, call["reconcile_operations"].get("operations", []))

    def _accept(self, framework: Framework, accept: dict[str, Any]) -> None:
        """Launch on the offers. Tasks of several ACCEPTs for one agent may run over the same executor."""
        offers, problem = self._take_offers(framework, [offer["value"] for offer in accept.get("offer_ids", [])])
        refuse_s = _refuse_seconds(accept)
        tasks = _tasks_of(accept.get("operations", []))
        if problem is not None:
            for task in tasks:
                state = "TASK_DROPPED" if framework.has_capability("PARTITION_AWARE") else "TASK_LOST"
                text = f"Task launched with invalid offers: {problem}"
                self._answer(framework, task, state, "REASON_INVALID_OFFERS", text)
            for offer in offers:
                self._give_back(framework, offer.agent_id, offer.resources, refuse_s)
            return
        rest = sum((offer.resources for offer in offers), Resources())
        agent = self.agents[offers[0].agent_id]
        for info in tasks:
            try:
                rest = self._launch(framework, agent, info, rest)
            except validation.TaskInvalid as error:
                self._answer(framework, info, "TASK_ERROR", "REASON_TASK_INVALID", str(error))
        self._give_back(framework, agent.id, rest, refuse_s)

    def _take_offers(self, framework: Framework, ids: list[str]) -> tuple[list[Offer], str | None]:
        """The offers that were valid, now used up, and what is wrong with any of them."""
        problem = None if ids else "No offers specified"
        offers: list[Offer] = []
        for offer_id in ids:
            offer = self.allocator.take(offer_id, framework.id)
            if offer is not None:
                offers.append(offer)
            elif problem is None:
                again = ids.count(offer_id) > 1
                problem = f"Duplicate offer {offer_id} in offer list" if again else _gone(offer_id)
        if problem is None and len({offer.agent_id for offer in offers}) > 1:
            problem = "Aggregated offers must belong to one single agent"
        return offers, problem

    def _give_back(self, framework: Framework, agent_id: str, rest: Resources, refuse_s: float) -> None:
        self.allocator.give_back(framework, agent_id, rest, refuse_s, asyncio.get_running_loop().time())

    def _launch(self, framework: Framework, agent: AgentLink, info: dict[str, Any], free: Resources) -> Resources:
        """Launch one task on `free`; what is left of it is returned. Raises TaskInvalid."""
        task, executor_needs = validation.check_task(framework, agent.id, info, free)
        framework.tasks[task.id] = task
        if task.executor_id and (agent.id, task.executor_id) not in framework.executors:
            framework.executors[agent.id, task.executor_id] = ExecutorCharge(info["executor"], executor_needs)
        agent.launch(framework.info, info)
        return free - task.resources - executor_needs

    def _decline(self, framework: Framework, decline: dict[str, Any]) -> None:
        for offer_id in decline.get("offer_ids", []):
            offer = self.allocator.take(offer_id["value"], framework.id)
            if offer is not None:
                self._give_back(framework, offer.agent_id, offer.resources, _refuse_seconds(decline))

    def _acknowledge(self, framework: Framework, acknowledge: dict[str, Any]) -> None:
        calls.check_uuid(acknowledge["uuid"], "scheduler")
        task = framework.tasks.get(acknowledge["task_id"]["value"])
        status = task.status if task is not None else None
        if task and status and status.get("uuid") == acknowledge["uuid"] and status["state"] in TERMINAL:
            self._complete(framework, task)
        if agent := self.agents.get(acknowledge["agent_id"]["value"]):
            agent.acknowledge(framework.id, acknowledge["task_id"]["value"], acknowledge["uuid"])

    def _complete(self, framework: Framework, task: Task) -> None:
        framework.tasks.pop(task.id, None)
        framework.completed.append(task)

    def _kill(self, framework: Framework, task_id: str) -> None:
        task = framework.tasks.get(task_id)
        if task is None:
            self._answer_unknown(framework, {"task_id": {"value": task_id}})
        elif agent := self.agents.get(task.agent_id):
            agent.kill(framework.id, task_id)

    def _reconcile(self, framework: Framework, asked: list[dict[str, Any]]) -> None:
        """Tell the present state of the tasks asked for; an empty list asks for all that are known."""
        for entry in asked or [{"task_id": {"value": task_id}} for task_id in framework.tasks]:
            task = framework.tasks.get(entry["task_id"]["value"])
            if task is None:
                self._answer_unknown(framework, entry)
                continue
            last = task.status or {"state": task.state}
            info = {"task_id": {"value": task.id}, "agent_id": {"value": task.agent_id}}
            extra = {name: last[name] for name in ("container_status",) if name in last}
            text = "Reconciliation: Latest task state"
            self._answer(framework, info, last["state"], "REASON_RECONCILIATION", text, **extra)

    def _answer_unknown(self, framework: Framework, entry: dict[str, Any]) -> None:
        agent_known = entry.get("agent_id", {}).get("value") in self.agents
        aware = framework.has_capability("PARTITION_AWARE")
        state = ("TASK_GONE" if agent_known else "TASK_UNKNOWN") if aware else "TASK_LOST"
        text = "Reconciliation: Task is unknown" + (" to the agent" if agent_known else "")
        self._answer(framework, entry, state, "REASON_RECONCILIATION", text)

    def _reconcile_operations(self, framework: Framework, operations: list[dict[str, Any]]) -> None:
        for operation in operations:
            status = {
                "operation_id": operation["operation_id"],
                "state": "OPERATION_UNKNOWN",
                "message": "Reconciliation: Operation is unknown and no 'agent_id' was provided",
            }
            framework.send({"type": "UPDATE_OPERATION_STATUS", "update_operation_status": {"status": status}})

    def _answer(
        self, framework: Framework, info: dict[str, Any], state: str, reason: str, text: str, **extra: Any
    ) -> None:
        """An update of the master's own making: without a uuid, so there is nothing to acknowledge."""
        status = {
            "task_id": {"value": info["task_id"]["value"]},
            "state": state,
            "message": text,
            "source": "SOURCE_MASTER",
            "reason": reason,
            "timestamp": now(),
            **extra,
        }
        if "agent_id" in info:
            status["agent_id"] = {"value": info["agent_id"]["value"]}
        framework.send({"type": "UPDATE", "update": {"status": status}})

    # News from agents

    def register_agent(self, agent: AgentLink) -> None:
        self.agents[agent.id] = agent
        self.allocator.add_agent(agent.id, agent.total)
        self.allocate()

    def adopt_executor(self, fid: str, agent_id: str, executor_id: str, info: dict[str, Any]) -> None:
        """An executor that outlived a restart: its resources are charged again."""
        if framework := self.frameworks.get(fid):
            charge = ExecutorCharge(info, Resources.parse(info.get("resources", ())))
            framework.executors[agent_id, executor_id] = charge
            self.allocator.charge(agent_id, charge.resources)

    def adopt_task(self, fid: str, task: Task) -> None:
        """A task that outlived a restart."""
        if framework := self.frameworks.get(fid):
            framework.tasks[task.id] = task
            if task.is_charged:
                self.allocator.charge(task.agent_id, task.resources)

    def note_state(self, fid: str, task_id: str, state: str) -> None:
        """The agent's newest state of a task, ahead of its updates: a task that ended frees its resources at once."""
        framework = self.frameworks.get(fid)
        task = framework.tasks.get(task_id) if framework is not None else None
        if task is None or task.state in TERMINAL:
            return
        task.state = state
        if state in TERMINAL:
            self._uncharge(task)

    def update(self, fid: str, status: dict[str, Any]) -> None:
        """Forward one update, first or repeated; it is lost when the framework is away and the agent will repeat it."""
        framework = self.frameworks.get(fid)
        if framework is None:
            return
        task = framework.tasks.get(status["task_id"]["value"])
        if task is not None and (task.status or {}).get("uuid") != status["uuid"]:
            task.status = status
            task.statuses.append({k: status[k] for k in ("state", "timestamp", "container_status") if k in status})
        framework.send({"type": "UPDATE", "update": {"status": status}})

    def executor_message(self, fid: str, agent_id: str, executor_id: str, data: str) -> None:
        if framework := self.frameworks.get(fid):
            message = {"agent_id": {"value": agent_id}, "executor_id": {"value": executor_id}, "data": data}
            framework.send({"type": "MESSAGE", "message": message})

    def executor_gone(self, fid: str, agent_id: str, executor_id: str, wait_status: int | None) -> None:
        framework = self.frameworks.get(fid)
        charge = framework.executors.pop((agent_id, executor_id), None) if framework is not None else None
        if framework is None or charge is None:
            return
        self.allocator.release(agent_id, charge.resources)
        failure: dict[str, Any] = {"agent_id": {"value": agent_id}, "executor_id": {"value": executor_id}}
        if wait_status is not None:
            failure["status"] = wait_status
        framework.send({"type": "FAILURE", "failure": failure})

    def _uncharge(self, task: Task) -> None:
        if task.is_charged:
            task.is_charged = False
            self.allocator.release(task.agent_id, task.resources)


def now() -> float:
    """Seconds since 1970."""
    return timestamps.utcnow().timestamp()


def _gone(offer_id: str) -> str:
    return f"Offer {offer_id} is no longer valid"


def _refuse_seconds(part: dict[str, Any]) -> float:
    return float(part.get("filters", {}).get("refuse_seconds", DEFAULT_REFUSE_S))


def _tasks_of(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [task for o in operations if o.get("type") == "LAUNCH" for task in o.get("launch", {}).get("task_infos", [])]
