"""A master that ZooKeeper names, and the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scale_worker.mesos import messages
from tests.devcluster_process import devcluster
from tests.mesos.fake_zookeeper import FakeZooKeeper
from tests.worker.test_framework import Client


@pytest.fixture
def zookeeper() -> Iterator[FakeZooKeeper]:
    zookeeper = FakeZooKeeper()
    yield zookeeper
    zookeeper.close()


def test_whoever_leads_is_followed(zookeeper: FakeZooKeeper, tmp_path: Path) -> None:
    with devcluster(tmp_path / "a") as old, devcluster(tmp_path / "b") as new:
        zookeeper.elect((1, old.master), (2, new.master))
        with Client(f"zk://{zookeeper.address}/mesos") as client:
            framework_id = client.next(messages.Subscribed).framework_id
            assert client.driver.master == old.master
            old.kill()
            client.next(messages.Disconnected)
            zookeeper.elect((2, new.master))
            assert client.next(messages.Subscribed).framework_id == framework_id
            assert client.driver.master == new.master


def test_a_leader_is_waited_for(zookeeper: FakeZooKeeper, tmp_path: Path) -> None:
    with devcluster(tmp_path) as cluster, Client(f"zk://{zookeeper.address}/mesos") as client:
        zookeeper.elect((7, cluster.master))
        assert client.next(messages.Subscribed).framework_id


def test_the_first_master_of_a_new_cluster_is_waited_for(tmp_path: Path) -> None:
    zookeeper = FakeZooKeeper(has_path=False)
    try:
        with devcluster(tmp_path) as cluster, Client(f"zk://{zookeeper.address}/mesos") as client:
            zookeeper.elect((0, cluster.master))
            assert client.next(messages.Subscribed).framework_id
    finally:
        zookeeper.close()


def test_a_master_that_lost_the_election_is_left_though_it_lives(zookeeper: FakeZooKeeper, tmp_path: Path) -> None:
    with devcluster(tmp_path / "a") as old, devcluster(tmp_path / "b") as new:
        zookeeper.elect((1, old.master))
        with Client(f"zk://{zookeeper.address}/mesos") as client:
            client.next(messages.Subscribed)
            zookeeper.elect((2, new.master))
            client.next(messages.Disconnected)
            client.next(messages.Subscribed)
            assert client.driver.master == new.master
