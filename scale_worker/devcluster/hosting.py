"""Agents that die, are cut off and come back: `kill`, `partition`, `lose`, `give_back`, as machines of a cluster do.

The agent object lives on while its "process" is dead, as its executors do; only nobody reaches it, nor it anybody.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web

from scale_worker.devcluster import agent_http, calls
from scale_worker.devcluster.agent import Agent
from scale_worker.devcluster.calls import CallError, Handler
from scale_worker.devcluster.journal import Journal
from scale_worker.devcluster.launching import Info
from scale_worker.devcluster.master import Master

logger = logging.getLogger(__name__)

UP, DOWN, PARTITIONED, LOST = "up", "down", "partitioned", "lost"


class DeadAgent:
    """What the master has of an agent whose process is dead: all that it is told is lost."""

    def __init__(self, agent: Agent) -> None:
        self.id, self.hostname, self.port, self.total = agent.id, agent.hostname, agent.port, agent.total

    def launch(self, framework_info: Info, task: Info, executor_info: Info | None) -> None:
        """Lost, as a launch that crosses the agent's death is; reconciliation finds it."""

    def kill(self, framework_id: str, task_id: str) -> None: ...
    def acknowledge(self, framework_id: str, task_id: str, update_uuid: str) -> None: ...
    def message(self, framework_id: str, executor_id: str, data: str) -> None: ...
    def shutdown_executor(self, framework_id: str, executor_id: str) -> None: ...
    def shutdown_framework(self, framework_id: str) -> None: ...
    def resend(self, framework_id: str) -> None: ...


class AwayMaster:
    """What an agent has of its master while one of them is dead: news is lost, or found out at the reunion."""

    def __init__(self) -> None:
        self._news: list[Callable[[Master], None]] = []

    def update(self, fid: str, status: dict[str, Any]) -> None:
        """Lost; the agent repeats it."""

    def executor_message(self, fid: str, agent_id: str, executor_id: str, data: str) -> None:
        """Lost; nobody repeats it."""

    def note_state(self, fid: str, task_id: str, state: str) -> None:
        self._news.append(lambda master: master.note_state(fid, task_id, state))

    def executor_gone(self, fid: str, agent_id: str, executor_id: str, wait_status: int | None) -> None:
        self._news.append(lambda master: master.executor_gone(fid, agent_id, executor_id, wait_status))

    def tell(self, master: Master) -> None:
        for news in self._news:
            news(master)


class AgentHost:
    """The place of one agent: its port, its journal, and the agent that lives there now."""

    def __init__(self, master: Master, journal: Journal, port: int, build: Callable[[], Agent]) -> None:
        self.state = UP
        self.port = port
        self._master, self._journal, self._build = master, journal, build
        self.agent = build()
        self._away: AwayMaster | None = None
        self._listening: tuple[asyncio.Server, web.Server] | None = None

    @property
    def id(self) -> str:
        return self.agent.id

    def describe(self) -> dict[str, Any]:
        return {"id": self.id, "hostname": self.agent.hostname, "port": self.port, "state": self.state}

    async def listen(self, listener: socket.socket) -> None:
        """Answer on the agent's port."""
        server = calls.server(self._handler())
        self._listening = (await asyncio.get_running_loop().create_server(server, sock=listener), server)

    def _handler(self) -> Handler:
        return agent_http.handler(self.agent, self._master)

    async def close(self) -> None:
        """The port refuses connections from now on, and those that were open end."""
        if self._listening is not None:
            listening, server = self._listening
            self._listening = None
            listening.close()
            await server.shutdown(timeout=0.1)

    async def kill(self) -> None:
        """The agent's process dies: its offers are rescinded, its executors live on and find nobody."""
        if self.state != UP:
            raise CallError(409, f"Agent {self.id} is {self.state}, not {UP}")
        self.state = DOWN
        logger.info("Agent %s is killed", self.id)
        self.cut()
        self.agent.is_down = True
        self._master.rescind(self.id)
        self.agent.hang_up()
        await self.close()

    def cut(self) -> None:
        """Agent and master do not hear of each other from now on."""
        if self._away is None:
            self._away = AwayMaster()
            self.agent.connect(self._away)
            self._master.agents[self.id] = DeadAgent(self.agent)
            self._master.allocator.deactivate(self.id)

    def reunite(self) -> None:
        """They do again: the agent registers anew under its id and repeats what is not acknowledged."""
        away, self._away = self._away, None
        if away is None:
            return
        self.agent.connect(self._master)
        if self.id in self._master.agents:
            self._master.agents[self.id] = self.agent
            away.tell(self._master)
            self._master.forget_executors(self.id, set(self.agent.runs))
            self.agent.disown(self._master.tasks_on(self.id))
            self._master.allocator.activate(self.id)
        else:
            self._master.readmit(self.agent, self.agent.runs.values(), self.agent.tasks())
        self.agent.catch_up(set(self._master.frameworks))

    def partition(self) -> None:
        """The network between agent and master is gone: it lives on with its executors, and its offers stay out."""
        if self.state != UP:
            raise CallError(409, f"Agent {self.id} is {self.state}, not {UP}")
        self.state = PARTITIONED
        logger.info("Agent %s is cut off", self.id)
        self.cut()

    async def lose(self) -> None:
        """The master has had no answer for too long: tasks are LOST to their frameworks, and then the agent is."""
        if self.state == LOST:
            raise CallError(409, f"Agent {self.id} is {LOST} already")
        if self.state == UP:
            await self.kill()
        self.state = LOST
        self._master.remove_agent(self.id, "health check timed out")

    async def give_back(self, bind: Callable[[int], socket.socket], new_id: bool) -> None:
        """Agent and master meet again: under its id with what lived on, or as a new agent on a cleaned machine."""
        if self.state == UP:
            raise CallError(409, f"Agent {self.id} is {UP} already")
        listener = bind(self.port) if self._listening is None else None
        if new_id:
            await self.close()
            listener = listener or bind(self.port)
            self._clean()
        else:
            self.agent.is_down = False
            self.reunite()
        self.state = UP
        logger.info("Agent %s is back", self.id)
        if listener is not None:
            await self.listen(listener)

    def _clean(self) -> None:
        old = self.agent
        if self.state in (DOWN, PARTITIONED):
            self._master.remove_agent(old.id, "a new agent registered at the same address")
        self._away = None  # whoever lived on has nobody to tell
        for run in list(old.runs.values()):
            self._journal.write("executor_gone", framework_id=run.framework_id, executor_id=run.executor_id)
            old.destroy(run)
        for fid, task_id in list(self._journal.contents.tasks):
            self._journal.write("task_gone", framework_id=fid, task_id=task_id)
        self._journal.write("agent", agent_id=self._master.new_agent_id())
        self.agent = self._build()


class Hosts:
    """All agents of a devcluster; found by their present id."""

    def __init__(self, master: Master, bind: Callable[[int], socket.socket]) -> None:
        self.all: list[AgentHost] = []
        self._master = master
        self._bind = bind

    def find(self, agent_id: str) -> AgentHost:
        """Raises CallError."""
        for host in self.all:
            if host.id == agent_id:
                return host
        raise CallError(404, f"There is no agent {agent_id}; GET /devcluster/agents lists them")

    async def give_back(self, agent_id: str, new_id: bool) -> AgentHost:
        host = self.find(agent_id)
        await host.give_back(self._bind, new_id)
        return host

    async def restart_master(self, away_s: float, agents_s: float) -> None:
        """The master dies; after `away_s` seconds a new one leads, and `agents_s` later the agents have found it."""
        for host in self.all:
            host.cut()
        self._master.die()
        await asyncio.sleep(away_s)
        self._master.lead_anew()
        await asyncio.sleep(agents_s)
        for host in self.all:
            if host.state == UP:
                host.reunite()
        self._master.is_recovering = False
