"""The devcluster's arithmetic and its journal."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from scale_core.errors import Conflict
from scale_worker.devcluster.__main__ import HOST, own_name
from scale_worker.devcluster.journal import Journal
from scale_worker.devcluster.resources import Resources
from tests.mesos_client import scalar

PORTS = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31002}]}}


def test_sums_are_exact() -> None:
    """A thousand times 0.1 cpus taken and given back is the same offer again."""
    whole = Resources.of(100, 1000, 0)
    tenth = Resources.parse([scalar("cpus", "0.1"), scalar("mem", 0.1)])
    rest = whole
    for _ in range(1000):
        rest -= tenth
    assert rest.to_message() == [scalar("mem", 900.0)]
    for _ in range(1000):
        rest += tenth
    assert rest == whole


def test_ports_are_cut_out_and_joined_again() -> None:
    whole = Resources.of(1, 1, 1, ((31000, 31009), (32000, 32000)))
    some = Resources.parse([PORTS])
    assert whole.contains(some)
    rest = whole - some
    assert rest.ports == ((31003, 31009), (32000, 32000))
    assert not rest.contains(some)
    assert rest + some == whole
    assert some.to_message()[0] == PORTS
    assert (whole - Resources({}, ((31004, 31005),))).to_state()["ports"] == "[31000-31003, 31006-31009, 32000-32000]"


def test_what_is_too_little_is_not_offered() -> None:
    assert not Resources.of(0.009, 31.9, 1000).is_offerable
    assert Resources.of(0.01, 0, 0).is_offerable
    assert Resources.of(0, 32, 0).is_offerable


def test_a_journal_remembers_what_is_alive(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    journal = Journal(path)
    journal.write("agent", agent_id="S0")
    journal.write("framework", framework_id="f", info={}, registered=1.0)
    journal.write("executor", framework_id="f", executor_id="e", pid=1)
    for task_id in ("a", "b"):
        journal.write("task", framework_id="f", task_id=task_id, executor_id="e")
    journal.write("task_state", framework_id="f", task_id="a", state="TASK_RUNNING", uuid="u1")
    journal.write("task_state", framework_id="f", task_id="a", state="TASK_FINISHED", uuid="u2")
    journal.write("acknowledged", framework_id="f", task_id="a", uuid="u1")
    journal.write("task_gone", framework_id="f", task_id="b")
    journal.write("framework_removed", framework_id="g")
    with pytest.raises(Conflict, match="in use"):
        Journal(path)
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"kind":"task","framework_id":"f","task_')  # the end of a process in the middle of a write
    for _ in range(2):  # the second time after a compaction
        again = Journal(path)
        assert again.contents.agent_id == "S0"
        assert list(again.contents.frameworks) == ["f"]
        assert list(again.contents.removed) == ["g"]
        assert list(again.contents.executors) == [("f", "e")]
        assert list(again.contents.tasks) == [("f", "a")]
        assert again.contents.tasks["f", "a"]["state"] == "TASK_FINISHED"
        assert again.contents.tasks["f", "a"]["uuids"] == ["u2"]
        again.close()
    assert len(path.read_bytes().splitlines()) == 5


@pytest.mark.parametrize("name", ["", "no-such-host.invalid"])
def test_the_agent_is_reached_by_the_name_it_offers(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Also on a machine whose own name leads nowhere, or elsewhere."""
    if name:
        monkeypatch.setattr(socket, "gethostname", lambda: name)
    with socket.create_server((HOST, 0)) as server, socket.create_connection((own_name(), server.getsockname()[1])):
        server.settimeout(5)
        server.accept()[0].close()
