"""The driver on real connections: a devcluster, and masters that misbehave as real ones were seen to."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import pytest

from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.errors import ConfigurationError
from scale_core.settings import Settings
from scale_worker.mesos import messages
from scale_worker.mesos.framework import Driver, Framework, framework_info
from scale_worker.mesos.wire import Calls, Records, Refused
from tests.devcluster_process import Cluster, devcluster, free_ports
from tests.patience import wait_for

WAIT_S = 20.0
TASK: dict[str, Any] = {
    "name": "t",
    "task_id": {"value": "t"},
    "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}],
    "command": {"value": "true"},
}
T = TypeVar("T")


class Client:
    """A driver with its inbox."""

    def __init__(self, master: str, framework_id: str | None = None, **options: Any) -> None:
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        settings = Settings(home=Path("/nowhere"), framework_failover_s=60.0)
        self.driver = Driver(Framework(self.inbox), framework_info(settings, framework_id), master, **options)

    def __enter__(self) -> Client:
        self.driver.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.stop()
        self.driver.join()

    def next(self, kind: type[T]) -> T:
        """The next event of this kind; others are skipped."""
        try:
            while not isinstance(event := self.inbox.get(timeout=WAIT_S), kind):
                pass
        except Empty:
            pytest.fail(f"no {kind.__name__} came")
        return event


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with devcluster(tmp_path_factory.mktemp("devcluster")) as running:
        yield running


def test_subscribes_and_gets_offers_again_after_a_decline(cluster: Cluster) -> None:
    with Client(cluster.master) as client:
        assert client.next(messages.Subscribed).framework_id
        (offer,) = client.next(messages.OffersReceived).offers
        assert offer.hostname == "node-1"
        client.driver.decline([offer.id], 0.0)
        (again,) = client.next(messages.OffersReceived).offers
        assert again.id != offer.id
        client.driver.suppressOffers()
        client.driver.reviveOffers()


def test_a_new_process_goes_on_under_the_same_id(cluster: Cluster) -> None:
    with Client(cluster.master) as first:
        framework_id = first.next(messages.Subscribed).framework_id
    with Client(cluster.master, framework_id) as second:
        assert second.next(messages.Subscribed).framework_id == framework_id


def test_a_task_that_nobody_knows_is_lost(cluster: Cluster) -> None:
    with Client(cluster.master) as client:
        client.next(messages.Subscribed)
        client.driver.reconcile([("ghost", "")])
        update = client.next(messages.UpdateReceived).update
        assert (update.task_id, update.state, update.uuid) == ("ghost", TaskState.LOST, "")


def test_many_calls_at_once_are_answered_in_order(cluster: Cluster) -> None:
    with Client(cluster.master) as client:
        client.next(messages.Subscribed)
        ids = [f"ghost-{number}" for number in range(200)]
        client.driver.kill(ids)
        assert [client.next(messages.UpdateReceived).update.task_id for _ in ids] == ids
        uuid = "AAAAAAAAQACAAAAAAAAAAA=="
        client.driver.acknowledge(TaskUpdate(i, TaskState.FINISHED, agent_id="S0", uuid=uuid) for i in ids)


def test_a_framework_that_failed_over_hears_of_it(cluster: Cluster) -> None:
    with Client(cluster.master) as first:
        framework_id = first.next(messages.Subscribed).framework_id
        with Client(cluster.master, framework_id):
            assert first.next(messages.FrameworkError).message == "Framework failed over"
            first.driver.stop()


def test_a_master_that_comes_back_is_found(tmp_path: Path) -> None:
    with devcluster(tmp_path / "cluster") as cluster, Client(cluster.master) as client:
        framework_id = client.next(messages.Subscribed).framework_id
        cluster.kill()
        client.next(messages.Disconnected)
        with pytest.raises(OSError, match="no master is connected"):
            client.driver.kill(["x"])
        cluster.restart()
        assert client.next(messages.Subscribed).framework_id == framework_id


class OddMaster:
    """Answers each SUBSCRIBE by the next of the script: a status, where else to ask, or records before silence."""

    def __init__(self, *script: int | str | list[dict[str, Any]]) -> None:
        self.subscriptions: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.others: list[dict[str, Any]] = []
        self.closing = threading.Event()
        master = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_error(404)

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if call["type"] != "SUBSCRIBE":
                    master.others.append(call)
                    master.closing.wait()  # hangs
                    return
                master.headers.append(dict(self.headers))
                master.subscriptions.append(call)
                step = script[min(len(master.subscriptions), len(script)) - 1]
                if isinstance(step, int):
                    self.send_error(step)
                    return
                if isinstance(step, str):
                    self.send_response(307)
                    self.send_header("Location", step)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.send_header("Mesos-Stream-Id", "s")
                self.end_headers()
                for record in step:
                    text = json.dumps(record)
                    data = f"{len(text)}\n{text}"
                    self.wfile.write(f"{len(data):x}\r\n{data}\r\n".encode())
                if any(record["type"] == "ERROR" for record in step):
                    self.wfile.write(b"0\r\n\r\n")
                else:
                    master.closing.wait()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> OddMaster:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


def subscribed(framework_id: str = "F", interval_s: float = 15.0) -> dict[str, Any]:
    content = {"framework_id": {"value": framework_id}, "heartbeat_interval_seconds": interval_s}
    return {"type": "SUBSCRIBED", "subscribed": content}


def test_a_booting_master_is_waited_for() -> None:
    with OddMaster(404, 503, [subscribed()]) as master, Client(master.address) as client:
        assert client.next(messages.Subscribed).framework_id == "F"
        assert len(master.subscriptions) == 3


def dead_address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.mark.parametrize("first", ["dead", 503, 404])
def test_of_several_masters_the_one_that_leads_is_found(first: Any) -> None:
    with OddMaster(first if first != "dead" else 500) as other, OddMaster([subscribed()]) as leader:
        start = dead_address() if first == "dead" else other.address
        with Client(f"{start}, {leader.address}") as client:
            assert client.next(messages.Subscribed).framework_id == "F"
            assert client.driver.master == leader.address


def test_a_redirection_is_followed_and_its_end_survived(tmp_path: Path) -> None:
    path = "/master/api/v1/scheduler"
    with (
        devcluster(tmp_path) as cluster,
        OddMaster(f"//{dead_address()}{path}", f"//{cluster.master}{path}") as standby,
        Client(standby.address) as client,
    ):
        client.next(messages.Subscribed)
        assert client.driver.master == cluster.master
        assert len(standby.subscriptions) == 2, "the first leader was dead, so it was asked again"


def test_a_new_leader_of_several_masters_is_found(tmp_path: Path) -> None:
    with (
        devcluster(tmp_path / "a") as old,
        devcluster(tmp_path / "b") as new,
        Client(f"{old.master},{new.master}") as client,
    ):
        framework_id = client.next(messages.Subscribed).framework_id
        old.stop()
        client.next(messages.Disconnected)
        assert client.next(messages.Subscribed).framework_id
        assert client.driver.master == new.master
        assert framework_id == client.driver.framework_id
        client.driver.reconcile([("ghost", "")])
        assert client.next(messages.UpdateReceived).update.task_id == "ghost"


def test_a_hung_master_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung, OddMaster([subscribed()]) as leader:
        address = f"127.0.0.1:{hung.getsockname()[1]}"
        with Client(f"{address},{leader.address}", call_timeout_s=0.3) as client:
            client.next(messages.Subscribed)
            assert client.driver.master == leader.address


def test_who_we_are_is_said(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, framework_name="scale-test", mesos_role="science", mesos_principal="p", framework_failover_s=7.0
    )
    with OddMaster([subscribed()]) as master:
        driver = Driver(Framework(SimpleQueue()), framework_info(settings, None), master.address, "p", "geheim:ä")
        driver.start()
        wait_for("the subscription", lambda: master.subscriptions)
        driver.stop()
        driver.join()
    info = master.subscriptions[0]["subscribe"]["framework_info"]
    assert {k: info[k] for k in ("name", "role", "principal", "failover_timeout", "checkpoint")} == {
        "name": "scale-test",
        "role": "science",
        "principal": "p",
        "failover_timeout": 7.0,
        "checkpoint": True,
    }
    scheme, _, credential = str(master.headers[0]["Authorization"]).partition(" ")
    assert (scheme, base64.b64decode(credential).decode()) == ("Basic", "p:geheim:ä")


def test_a_refusal_is_tried_again_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """401, 400 and 403 would end pymesos' driver; an operator mends the credentials and we go on."""
    with OddMaster(401, 403, 400, [subscribed()]) as master, Client(master.address) as client:
        said = [client.next(messages.FrameworkError).message for _ in range(3)]
        assert [text.split(":")[0] for text in said] == ["HTTP 401", "HTTP 403", "HTTP 400"]
        assert client.next(messages.Subscribed).framework_id == "F"


def test_no_exception_of_ours_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OSError would make pymesos subscribe again 148 times a second, any other tear the framework down."""
    failures = [OSError("disk full"), RuntimeError("a mistake"), KeyError("x")]
    parse = messages.parse_update

    def failing(status: dict[str, Any]) -> Any:
        if failures:
            raise failures.pop()
        return parse(status)

    monkeypatch.setattr("scale_worker.mesos.framework.parse_update", failing)
    update = {"type": "UPDATE", "update": {"status": {"task_id": {"value": "t"}, "state": "TASK_RUNNING"}}}
    with OddMaster([subscribed(), update, update, update, update]) as master, Client(master.address) as client:
        assert client.next(messages.UpdateReceived).update.task_id == "t"
        assert len(master.subscriptions) == 1
    assert master.others == [], "and nothing was torn down"


@pytest.mark.parametrize("failover", [True, False])
def test_stopping_never_tears_the_framework_down(cluster: Cluster, failover: bool) -> None:
    with Client(cluster.master) as client:
        framework_id = client.next(messages.Subscribed).framework_id
        client.driver.stop(failover)
        client.driver.join()
    with Client(cluster.master, framework_id) as again:
        assert again.next(messages.Subscribed).framework_id == framework_id


def test_a_cut_stream_and_a_new_master_are_survived(tmp_path: Path) -> None:
    with devcluster(tmp_path) as cluster, Client(cluster.master) as client:
        framework_id = client.next(messages.Subscribed).framework_id
        (offer,) = client.next(messages.OffersReceived).offers
        for order in ("frameworks/cut", "master/restart?seconds=0.3&agents=0.1"):
            cluster.order(order)
            client.next(messages.Disconnected)
            assert client.next(messages.Subscribed).framework_id == framework_id
        client.driver.launch([offer.id], [{**TASK, "agent_id": {"value": offer.agent_id}}])
        update = client.next(messages.UpdateReceived).update
        assert (update.state, update.reason) == (TaskState.LOST, "REASON_INVALID_OFFERS"), "old offers are void"


def test_silence_ends_the_stream_and_it_begins_anew() -> None:
    with OddMaster([subscribed(interval_s=0.05)]) as master, Client(master.address) as client:
        client.next(messages.Subscribed)
        client.next(messages.Disconnected)
        assert client.next(messages.Subscribed).framework_id == "F"
        assert master.subscriptions[1]["framework_id"] == {"value": "F"}


def test_a_removed_framework_subscribes_as_a_new_one() -> None:
    removed = {"type": "ERROR", "error": {"message": "Framework has been removed"}}
    with OddMaster([removed], [subscribed("F2")]) as master, Client(master.address, "F1") as client:
        assert client.next(messages.FrameworkRemoved).message == "Framework has been removed"
        assert client.next(messages.Subscribed).framework_id == "F2"
        assert "framework_id" not in master.subscriptions[1]
        assert "id" not in master.subscriptions[1]["subscribe"]["framework_info"]


def test_an_event_that_makes_no_sense_ends_nothing() -> None:
    odd = [
        {"type": "UPDATE", "update": {"status": {}}},
        {"type": "OFFERS", "offers": {"offers": [{}]}},
        {"type": "NEW"},
        {"type": "FAILURE", "failure": {"agent_id": {"value": "A1"}, "executor_id": {"value": "E1"}}},
    ]
    known = {"type": "RESCIND", "rescind": {"offer_id": {"value": "O1"}}}
    with OddMaster([subscribed(), *odd, known]) as master, Client(master.address) as client:
        assert client.next(messages.OfferRescinded).offer_id == "O1"
        assert len(master.subscriptions) == 1


def test_a_hung_master_holds_up_no_call_for_ever() -> None:
    with OddMaster([subscribed()]) as master, Client(master.address, call_timeout_s=0.2) as client:
        client.next(messages.Subscribed)
        with pytest.raises(OSError, match="failed"):
            client.driver.kill(["x"])


def test_a_refused_call_says_why(cluster: Cluster) -> None:
    with Client(cluster.master) as client:
        client.next(messages.Subscribed)
        with pytest.raises(Refused, match="HTTP 400"):
            client.driver._send({"type": "NONSENSE"})


def test_calls_notice_that_an_idle_connection_was_closed(cluster: Cluster) -> None:
    host, port = cluster.master.split(":")
    calls = Calls((host, int(port)), 5.0)
    (first,) = calls.send([{"type": "NONSENSE"}], {})
    assert first.status == 400
    assert calls._socket is not None
    calls._socket.shutdown(2)
    (second,) = calls.send([{"type": "NONSENSE"}], {})
    assert second.status == 400
    calls.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_records_arrive_whole_however_they_are_cut(size: int) -> None:
    content = [b'{"a":1}', b"", b"x" * 300, "ä".encode()]
    stream = b"".join(b"%d\n%s" % (len(record), record) for record in content)
    records = Records()
    seen = [record for at in range(0, len(stream), size) for record in records.feed(stream[at : at + size])]
    assert seen == content


def test_a_stream_without_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="boundaries"):
        list(Records().feed(b"<html>no record at all</html>"))


@pytest.mark.parametrize("text", ["m1", "m1:5050,m2:5051", " m1 , m2:1 ", "zk://z1:2181,z2:2181/mesos", ""])
def test_addresses_of_masters(text: str) -> None:
    assert Settings.from_environ({"SCALE_MESOS_MASTER": text}).mesos_master == text.strip()


@pytest.mark.parametrize("text", ["m1:", "m1:port", "m1:70000", ":5050", "http://m1:5050", "zk://z1:2181"])
def test_what_is_no_address_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SCALE_MESOS_MASTER"):
        Settings.from_environ({"SCALE_MESOS_MASTER": text})


def test_the_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("geheim\n")
    given = {"SCALE_MESOS_SECRET": "other", "SCALE_MESOS_SECRET_FILE": str(tmp_path / "secret")}
    settings = Settings.from_environ(given)
    assert settings.mesos_secret == "geheim"
    assert "geheim" not in repr(settings)
    with pytest.raises(ConfigurationError, match="SCALE_MESOS_SECRET_FILE"):
        Settings.from_environ({"SCALE_MESOS_SECRET_FILE": str(tmp_path / "none")})


def test_a_master_that_asks_who_we_are(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("scale ge heim\n")
    options = (4, 4096, 10000, "node-1", f"--credentials={tmp_path / 'credentials'}")
    with devcluster(tmp_path / "cluster", *options) as cluster:
        with Client(cluster.master, principal="scale", secret="wrong") as stranger:
            assert "401" in stranger.next(messages.FrameworkError).message
        with Client(cluster.master, principal="scale", secret="ge heim") as client:
            client.next(messages.Subscribed)
            client.driver.reconcile([("ghost", "")])
            assert client.next(messages.UpdateReceived).update.task_id == "ghost"


def test_task_groups_are_refused_by_the_devcluster(cluster: Cluster) -> None:
    with Client(cluster.master) as client:
        client.next(messages.Subscribed)
        (offer,) = client.next(messages.OffersReceived).offers
        group = {"executor": {}, "task_group": {"tasks": [{**TASK, "agent_id": {"value": offer.agent_id}}]}}
        client.driver.acceptOffers([{"value": offer.id}], [{"type": "LAUNCH_GROUP", "launch_group": group}])
        update = client.next(messages.UpdateReceived).update
        assert (update.state, update.reason) == (TaskState.ERROR, "REASON_TASK_GROUP_INVALID")
