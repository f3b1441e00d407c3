"""A recorded client of a real Mesos 1.11 against the devcluster: step by step its answers and events are alike.

Each scene is what one client said and heard. Its calls are made again, with the ids that the devcluster gave instead of
the recorded ones; each event and answer must come, and have the keys, types and words that the real ones had.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.devcluster_process import Cluster, devcluster
from tests.mesos_client import Stream
from tests.mesos_shapes import differences, recorded
from tests.patience import wait_for

SCENES: dict[str, list[dict[str, Any]]] = recorded("client")
PATH = "/api/v1/scheduler"
WAIT_S = 12.0
WORDS = frozenset({"type", "state", "source", "reason", "message"})
# What no two clusters have in common. Texts of the JSON parser are Mesos' own.
ADDRESS = re.compile(r"M\d+-[OS]?\d+|127\.0\.0\.1")


class Replay:
    """`known` maps recorded ids to ours; `pids` are the processes of tasks; events that nobody asked for yet wait."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._streams: dict[int, Stream] = {}
        self._waiting: dict[int, list[dict[str, Any]]] = {}
        self.known: dict[str, str] = {}
        self._pids: dict[str, int] = {}
        self._agent = cluster.agents()[0]["id"]
        self._connection = http.client.HTTPConnection(cluster.master)

    def close(self) -> None:
        self._connection.close()

    # ------------------------------------------------------------------------------------------------- what was done

    def subscribe(self, number: int, call: dict[str, Any]) -> None:
        call = self._ours(call)
        deadline = time.monotonic() + WAIT_S
        while (stream := Stream(self._cluster.master, PATH, call)).status == http.client.SERVICE_UNAVAILABLE:
            assert time.monotonic() < deadline, "nobody leads"
            time.sleep(0.1)
        assert stream.status == http.client.OK
        self._streams[number], self._waiting[number] = stream, []

    def call(self, step: dict[str, Any]) -> None:
        body = json.dumps(self._ours(step["call"]))
        if step["call"]["type"] == "KILL":
            self._let_it_begin(step["call"]["kill"]["task_id"]["value"])
        head = {"Content-Type": "application/json", "Mesos-Stream-Id": self._streams[step["on"]].id}
        self._connection.request("POST", PATH, body, head)
        response = self._connection.getresponse()
        text = response.read().decode()
        assert response.status == step.get("status", http.client.ACCEPTED), text
        if "says" in step:
            assert text.split(":")[0] == step["says"].split(":")[0]

    def _let_it_begin(self, task_id: str) -> None:
        """A command that is to ignore SIGTERM must have said so to the kernel; when it runs, it may not have yet."""
        if task_id.endswith("-ign"):
            wait_for("it to ignore SIGTERM", lambda: any(_ignores_term(pid) for pid in _family(self._pids[task_id])))

    def order(self, path: str) -> None:
        self._cluster.order(path.format(agent=self._agent))

    def kill(self, task_id: str) -> None:
        os.kill(self._pids[task_id], signal.SIGKILL)

    def cut(self, number: int) -> None:
        self._streams[number].close()

    # ------------------------------------------------------------------------------------------------ what was heard

    def expect(self, number: int, event: dict[str, Any]) -> None:
        """The next event of that kind; those of other kinds, and of other tasks, may come in another order."""
        waiting = self._waiting[number]
        deadline = time.monotonic() + WAIT_S
        while True:
            for index, ours in enumerate(waiting):
                if self._is_meant(event, ours):
                    self._learn(event, waiting.pop(index))
                    return
            waiting.append(self._streams[number].next(timeout=deadline - time.monotonic()))

    def expect_end(self, number: int) -> None:
        stream = self._streams[number]
        seen = len(stream.seen)
        assert stream.ends()
        self._waiting[number] += [event for event in stream.seen[seen:] if event]

    def left(self) -> list[dict[str, Any]]:
        """What the devcluster said that a real master did not: nothing but offers, heartbeats and repetitions."""
        known = set(self.known.values())
        return [
            event
            for number, stream in self._streams.items()
            for event in [*self._waiting[number], *_rest(stream)]
            if event["type"] not in {"OFFERS", "RESCIND", "HEARTBEAT", "BROKEN"} and self._uuid(event) not in known
        ]

    def _is_meant(self, expected: dict[str, Any], ours: dict[str, Any]) -> bool:
        if expected["type"] != ours["type"]:
            return False
        if expected["type"] == "RESCIND":
            return bool(self._ours(expected) == ours)
        if expected["type"] != "UPDATE":
            return True
        theirs, mine = expected["update"]["status"], ours["update"]["status"]
        if theirs["task_id"] != mine["task_id"] or theirs["state"] != mine["state"]:
            return False
        if ("uuid" in theirs) != ("uuid" in mine):
            return False
        repeated = self.known.get(theirs.get("uuid", ""))
        return mine.get("uuid") == repeated if repeated else mine.get("uuid") not in self.known.values()

    def _learn(self, expected: dict[str, Any], ours: dict[str, Any]) -> None:
        """They are alike, and what stands in one place means the same."""
        if expected["type"] == "OFFERS":
            expected["offers"]["offers"] = expected["offers"]["offers"][:1]
        for theirs, mine in _pairs(expected, ours):
            if self.known.setdefault(theirs, mine) != mine and not theirs.startswith("C"):
                self.known[theirs] = mine
        found = differences(_worded(self._ours(expected)), _worded(ours), WORDS)
        assert not found, f"{found}\nexpected {expected}\ngot      {ours}"
        if expected["type"] == "UPDATE":
            status = ours["update"]["status"]
            self._pids[status["task_id"]["value"]] = status.get("container_status", {}).get("executor_pid", 0)

    @staticmethod
    def _uuid(event: dict[str, Any]) -> str:
        return str(event.get("update", {}).get("status", {}).get("uuid"))

    def _ours(self, value: Any) -> Any:
        """With our ids in the place of recorded ones."""
        if isinstance(value, dict):
            return {key: self._ours(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self._ours(part) for part in value]
        if isinstance(value, str):
            return self.known.get(value) or ADDRESS.sub(lambda found: self.known.get(found[0], found[0]), value)
        return value


def _family(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _ignores_term(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (ignored,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(ignored & 1 << (signal.SIGTERM - 1))


def _rest(stream: Stream) -> list[dict[str, Any]]:
    found = []
    while not stream.events.empty():
        found.append(stream.events.get())
    return [event for event in found if event]


def _pairs(theirs: Any, mine: Any) -> Iterator[tuple[str, str]]:
    """Ids at the same place of both: what an id message holds, and uuids."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        for key in theirs.keys() & mine.keys():
            if key in {"value", "uuid"} and isinstance(theirs[key], str) and isinstance(mine[key], str):
                yield theirs[key], mine[key]
            else:
                yield from _pairs(theirs[key], mine[key])
    elif isinstance(theirs, list) and isinstance(mine, list):
        for pair in zip(theirs, mine, strict=False):
            yield from _pairs(*pair)


def _worded(event: dict[str, Any]) -> dict[str, Any]:
    """Messages without the amounts that are offered: the clusters have different ones."""
    text = json.dumps(event)
    return dict(json.loads(re.sub(r" available [^\"]*", " available", text)))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """As large as the recorded one; a repetition is not worth ten seconds of waiting."""
    with devcluster(tmp_path, 64, 65536, 100000, "localhost", "--update-retry=1") as running:
        yield running


@pytest.mark.parametrize("name", SCENES)
def test_the_devcluster_answers_a_recorded_client_as_mesos_did(cluster: Cluster, name: str) -> None:
    replay = Replay(cluster)
    for step in SCENES[name]:
        if "subscribe" in step:
            replay.subscribe(step["subscribe"], step["call"])
        elif "call" in step:
            replay.call(step)
        elif "event" in step:
            replay.expect(step["on"], step["event"])
        elif "order" in step:
            replay.order(step["order"])
        elif "kill" in step:
            replay.kill(step["kill"])
        elif "cut" in step:
            replay.cut(step["cut"])
        elif "end" in step:
            replay.expect_end(step["end"])
        else:
            time.sleep(step["pause"])
    assert replay.left() == []
    replay.close()
