"""Threads beside the offer handler's that wait for work without a clock: they hear of it at once, and of the end."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

from kombu import Connection

from scale_core.domain.task import TaskState, TaskUpdate
from scale_core.settings import Settings
from scale_worker.celery_config import make_app
from scale_worker.mesos.watchers import FINISH_QUEUE, Acknowledger, FinishNotifier, Watcher

END_S = 10.0  # far more than it takes, and less than for ever


def update(task_id: str) -> TaskUpdate:
    return TaskUpdate(task_id, TaskState.RUNNING, agent_id="S0", uuid=task_id)


def has_ended(watcher: Watcher, stopping: threading.Event) -> bool:
    """When it is told to, while it waits."""
    stopping.set()
    watcher.wake()
    watcher.join(END_S)
    return not watcher.is_alive()


def test_what_is_written_is_acknowledged_also_after_a_master_that_went_away() -> None:
    stopping, sent = threading.Event(), SimpleQueue[Any]()

    def acknowledge(updates: Any) -> None:
        sent.put(updates)
        if len(updates) == 1:
            raise ConnectionResetError("the master went away")

    acknowledger = Acknowledger(acknowledge, stopping)
    acknowledger.start()
    for batch in ([update("one")], [update("two"), update("three")]):
        acknowledger.tell(batch)
        assert sent.get(timeout=END_S) == batch
    assert has_ended(acknowledger, stopping)


def test_celery_is_told_what_ended(broker_url: str) -> None:
    stopping = threading.Event()
    notifier = FinishNotifier(make_app(Settings.from_environ({"SCALE_BROKER_URL": broker_url})), stopping)
    with Connection(broker_url) as broker, broker.SimpleQueue(FINISH_QUEUE) as queue:
        queue.clear()
        notifier.start()
        notifier.tell([7, 8])
        message = queue.get(timeout=END_S)
        message.ack()
        arguments, _, _ = message.payload
        assert arguments == [[7, 8]]
    assert has_ended(notifier, stopping)
