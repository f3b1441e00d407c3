"""The master: subscriptions, calls of frameworks, and the way of tasks and updates between frameworks and agents."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Container, Iterable
from typing import Any

from scale_worker.devcluster import answers, calls, validation
from scale_worker.devcluster.allocation import Allocator
from scale_worker.devcluster.answers import now
from scale_worker.devcluster.calls import Call, CallError
from scale_worker.devcluster.executors import AgentTask, ExecutorRun
from scale_worker.devcluster.framework import TERMINAL, ExecutorCharge, Framework, Task, role_problem
from scale_worker.devcluster.journal import Journal
from scale_worker.devcluster.launching import AgentLink, Launcher, address, offer_message
from scale_worker.devcluster.recordio import EventStream
from scale_worker.devcluster.resources import Resources

logger = logging.getLogger(__name__)

VERSION = "1.11.0"
HEARTBEAT_S = 15.0
_COMPLETED_FRAMEWORKS = 50
_STRANGE_ACKNOWLEDGEMENTS = 1000


class Master:
    """All state of the master. Methods run in the event loop and never wait."""

    def __init__(self, host: str, port: int, journal: Journal, allocation_interval_s: float) -> None:
        self.id = str(uuid.uuid4())
        self.host, self.port = host, port
        self.started = now()
        self.allocator = Allocator(self.id, allocation_interval_s)
        self.agents: dict[str, AgentLink] = {}
        self._launcher = Launcher(self.allocator, self.agents)
        self.frameworks: dict[str, Framework] = {}
        self.completed: deque[Framework] = deque(maxlen=_COMPLETED_FRAMEWORKS)
        self._journal = journal
        self._count = 0
        self._agent_count = 0
        self.strange_acknowledgements: deque[str] = deque(maxlen=_STRANGE_ACKNOWLEDGEMENTS)
        self.is_leading = True
        self.is_recovering = False  # a new master that no agent has found yet
        self._wanted = asyncio.Event()  # a framework may want offers
        self.reachable = asyncio.Event()
        self.reachable.set()
        for fid, record in journal.contents.frameworks.items():
            framework = Framework(fid, record["info"], record["registered"])
            self.frameworks[fid] = framework
            self._await_failover(framework)

    async def run(self) -> None:
        """Make offers at every allocation interval while anybody wants some, until cancelled."""
        while True:
            await asyncio.sleep(self.allocator.interval_s)
            if not any(framework.wants_offers for framework in self.frameworks.values()):
                self._wanted.clear()
                await self._wanted.wait()
            self.allocate()

    def allocate(self) -> None:
        made = self.allocator.allocate(self.frameworks.values(), asyncio.get_running_loop().time())
        for fid, offers in made.items():
            framework = self.frameworks[fid]
            messages = [offer_message(framework, offer, self.agents[offer.agent_id], self.host) for offer in offers]
            framework.send({"type": "OFFERS", "offers": {"offers": messages}})

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
        problem = role_problem(info) or _id_problem(fid)
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
        self._wanted.set()
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
            "address": address(self.host, self.port),
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
                self._launcher.accept(framework, call["accept"])
            case "ACKNOWLEDGE":
                self._acknowledge(framework, call["acknowledge"])
            case "DECLINE":
                self._launcher.decline(framework, call["decline"])
            case "REVIVE":
                framework.is_suppressed = False
                framework.refusals.clear()
                self._wanted.set()
                self.allocate()
            case "SUPPRESS":
                framework.is_suppressed = True
            case "KILL":
                self._kill(framework, call["kill"]["task_id"]["value"])
            case "RECONCILE":
                if not self.is_recovering:
                    answers.reconcile(framework, call["reconcile"].get("tasks", []), self.agents)
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
                answers.reconcile_operations(framework, call["reconcile_operations"].get("operations", []))

    def _acknowledge(self, framework: Framework, acknowledge: dict[str, Any]) -> None:
        calls.check_uuid(acknowledge["uuid"], "scheduler")
        task = framework.tasks.get(acknowledge["task_id"]["value"])
        status = task.status if task is not None else None
        if task is None:
            self.strange_acknowledgements.append(acknowledge["uuid"])
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
            answers.send_unknown(framework, {"task_id": {"value": task_id}})
        elif agent := self.agents.get(task.agent_id):
            agent.kill(framework.id, task_id)

    # What may befall it

    def cut_streams(self) -> None:
        """All event streams end; frameworks may come back."""
        for framework in self.frameworks.values():
            if framework.stream is not None:
                framework.stream.close()

    async def partition(self, seconds: float) -> None:
        """For so long nothing gets through to frameworks or from them; then all that was sent does."""
        held = [framework.stream for framework in self.frameworks.values() if framework.stream is not None]
        self.reachable.clear()
        for stream in held:
            stream.hold(True)
        await asyncio.sleep(seconds)
        self.reachable.set()
        for stream in held:
            stream.hold(False)

    def die(self) -> None:
        """Streams end, offers are forgotten, and nobody leads."""
        self.is_leading = False
        self.cut_streams()
        for framework in self.frameworks.values():
            self.allocator.drop_offers(framework.id)
            framework.refusals.clear()

    def lead_anew(self) -> None:
        """A new master knows frameworks by their coming back and tasks by the agents that find it."""
        self.id, self.started, self._count, self._agent_count = str(uuid.uuid4()), now(), 0, 0
        self.is_leading = self.is_recovering = True
        logger.info("Master %s leads", self.id)

    # News from agents

    def new_agent_id(self) -> str:
        number, self._agent_count = self._agent_count, self._agent_count + 1
        return f"{self.id}-S{number}"

    def rescind(self, agent_id: str) -> None:
        """The agent is away: its offers are void, and their frameworks hear of it."""
        for offer in self.allocator.offers_of(agent_id):
            self.allocator.take(offer.id, offer.framework_id)
            self.allocator.release(agent_id, offer.resources)
            rescinded = {"type": "RESCIND", "rescind": {"offer_id": {"value": offer.id}}}
            self.frameworks[offer.framework_id].send(rescinded)

    def remove_agent(self, agent_id: str, text: str) -> None:
        """The agent is given up: its tasks are lost to their frameworks, until it should come back."""
        self.rescind(agent_id)
        for framework in self.frameworks.values():
            framework.executors.forget_agent(agent_id)
            for task in [task for task in framework.tasks.values() if task.agent_id == agent_id]:
                del framework.tasks[task.id]
                if task.state not in TERMINAL:
                    answers.send_unreachable(framework, task, text)
            framework.send({"type": "FAILURE", "failure": {"agent_id": {"value": agent_id}}})
        self.agents.pop(agent_id, None)
        self.allocator.remove_agent(agent_id)

    def readmit(self, agent: AgentLink, runs: Iterable[ExecutorRun], tasks: Iterable[AgentTask]) -> None:
        """An agent that was given up is back with what lived on; LOST was not the end of its tasks."""
        self.agents[agent.id] = agent
        self.allocator.add_agent(agent.id, agent.total)
        for run in runs:
            if not run.is_command:
                self.adopt_executor(run.framework_id, agent.id, run.executor_id, run.info or {})
        for known in tasks:
            run = known.run
            is_charged = known.state not in TERMINAL
            executor_id = "" if run.is_command else run.executor_id
            last = known.statuses[-1] if known.statuses else {"state": known.state}
            task = Task(known.id, known.name, agent.id, executor_id, known.resources, known.state, last, is_charged)
            self.adopt_task(run.framework_id, task)
            if is_charged and (framework := self.frameworks.get(run.framework_id)):
                answers.send_readmitted(framework, task, last)
        self.allocate()

    def tasks_on(self, agent_id: str) -> list[tuple[str, str, str]]:
        """Framework, id and name of each task that must still run there."""
        return [
            (framework.id, task.id, task.name)
            for framework in self.frameworks.values()
            for task in framework.tasks.values()
            if task.agent_id == agent_id and task.state not in TERMINAL
        ]

    def forget_executors(self, agent_id: str, living: Container[tuple[str, str]]) -> None:
        """Those that the agent does not know, because the launch that was to start them never arrived."""
        for framework in self.frameworks.values():
            unknown = [each for each in framework.executors.on(agent_id) if (framework.id, each) not in living]
            for executor_id in unknown:
                self.allocator.release(agent_id, framework.executors.pop((agent_id, executor_id)).resources)

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


def _id_problem(framework_id: str) -> str | None:
    try:
        validation.check_id(framework_id or "new")
    except validation.TaskInvalid as error:
        return f"Not a valid FrameworkID: {error}"
    return None
