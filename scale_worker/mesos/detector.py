"""Which Mesos master leads, as ZooKeeper says: of the masters' nodes below its path the one with the lowest number.

pymesos' own detector looks for that path once, and hears nothing of a cluster whose first master starts after Scale.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from kazoo.client import KazooClient
from kazoo.protocol.states import ZnodeStat
from kazoo.recipe.watchers import ChildrenWatch, DataWatch

SESSION_S = 10
REPLICAS = "log_replicas"  # where masters find each other's replicated logs

logger = logging.getLogger(__name__)


class Follower(Protocol):
    """A driver of pymesos, as far as it is told of masters."""

    def onNewMasterDetectedMessage(self, data: bytes) -> None: ...

    def onNoMasterDetectedMessage(self) -> None: ...


class MasterDetector:
    """Tells the driver of each leader. While ZooKeeper is away the last one stays."""

    def __init__(self, hosts_and_path: str, follower: Follower) -> None:
        hosts, _, path = hosts_and_path.partition("/")
        self._zookeeper, self._path = KazooClient(hosts, SESSION_S), f"/{path.strip('/')}"
        self._follower = follower
        self._round = 0  # of watching the children: one for each time that their path appeared
        self._leader: str | None = None

    def start(self) -> None:
        """Raises an error of kazoo's when ZooKeeper does not answer."""
        for name in ("kazoo.client", "kazoo.protocol.connection"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._zookeeper.start()
        DataWatch(self._zookeeper, self._path, self._masters)

    def stop(self) -> None:
        self._zookeeper.stop()
        self._zookeeper.close()

    def _masters(self, data: bytes | None, stat: ZnodeStat | None) -> None:
        """Called at once, and whenever the masters' path appears, changes or vanishes."""
        self._round += 1
        if stat is not None:
            this = self._round
            ChildrenWatch(self._zookeeper, self._path, lambda children: self._children(this, children))
            return
        logger.warning("ZooKeeper knows no %s yet, where masters register", self._path)
        self._choose(None)

    def _children(self, this: int, children: Sequence[str]) -> bool:
        """Whether to go on watching."""
        if this != self._round:
            return False
        self._choose(min((child for child in children if child != REPLICAS), default=None))
        return True

    def _choose(self, leader: str | None) -> None:
        if leader == self._leader:
            return
        self._leader = leader
        if leader is None:
            self._follower.onNoMasterDetectedMessage()
        else:
            DataWatch(self._zookeeper, f"{self._path.rstrip('/')}/{leader}", lambda data, _: self._found(leader, data))

    def _found(self, leader: str, data: bytes | None) -> bool:
        """Whether to go on watching: until the node has been read, once."""
        if leader != self._leader:
            return False
        if data is None:
            return True  # it has vanished since it was listed; who is next is told by the list
        self._follower.onNewMasterDetectedMessage(data)
        return False
