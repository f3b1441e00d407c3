"""The offer handler's process: `python -m scale_worker.mesos`. One leads, further ones stand by.

Stopped or killed, it leaves all tasks running; the next one goes on with them under the same framework id.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from queue import SimpleQueue
from types import FrameType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from scale_core import history, logs
from scale_core.db.session import Sessions, make_engine, make_sessions, transaction
from scale_core.domain.node_health import HealthPolicy
from scale_core.errors import ScaleError
from scale_core.services import scheduling
from scale_core.services.scheduling import SchedulerState
from scale_core.settings import Settings
from scale_core.timestamps import Clock, utcnow
from scale_worker.celery_config import make_app
from scale_worker.mesos import messages
from scale_worker.mesos.framework import Driver, Framework, framework_info
from scale_worker.mesos.leadership import HANDLER_APPLICATION, Keeper, Leadership
from scale_worker.mesos.offer_handler import HandlerConfig, OfferHandler
from scale_worker.mesos.watchers import Acknowledger, AgentWatcher, FinishNotifier, QueueListener, Watcher

logger = logging.getLogger(__name__)

RETRY_S = 1.0


def lead(settings: Settings, sessions: Sessions, leadership: Leadership, stopping: threading.Event) -> None:
    """Handle offers until told to stop or until another process leads."""
    resigned = threading.Event()
    keeper = Keeper(leadership, resigned)
    keeper.start()
    try:
        state = _begin(sessions, stopping)
        if state is not None:
            history.note("leading", epoch=state.epoch)
            _handle(settings, sessions, state, keeper, stopping)
    finally:
        resigned.set()
        keeper.doubt()
        keeper.join(timeout=30)


def _handle(
    settings: Settings, sessions: Sessions, state: SchedulerState, keeper: Keeper, stopping: threading.Event
) -> None:
    resigned = keeper.stopping
    inbox: SimpleQueue[Any] = SimpleQueue()
    driver = Driver(
        Framework(inbox),
        framework_info(settings, state.framework_id),
        settings.mesos_master,
        settings.mesos_principal,
        settings.mesos_secret,
    )
    notifier = FinishNotifier(make_app(settings), resigned)
    acknowledger = Acknowledger(driver.acknowledge, resigned)
    watchers: list[Watcher] = [
        notifier,
        acknowledger,
        QueueListener(settings.database_url, inbox, resigned),
        AgentWatcher(
            lambda: driver.master if driver.connected else None,
            (settings.mesos_principal, settings.mesos_secret),
            inbox,
            resigned,
            settings.mesos_role,
        ),
    ]
    config = HandlerConfig(
        executor=messages.executor_config(settings),
        hostname=socket.gethostname(),
        offer_hold_s=settings.offer_hold_s,
        reserve_after_s=settings.reserve_after_s,
        reconcile_s=settings.reconcile_s,
        timeout_grace_s=settings.timeout_grace_s,
        health=HealthPolicy(
            settings.node_error_rate, settings.node_error_window_s, settings.node_error_minimum, settings.node_probe_s
        ),
        epoch=state.epoch,
    )
    handler = OfferHandler(
        sessions, driver, inbox, config, notifier.tell, _clock(sessions).now, acknowledge=acknowledger.tell
    )
    keeper.round_began = lambda: handler.round_began
    for watcher in watchers:
        watcher.start()
    try:
        _start_driver(driver, stopping)
        _run(handler, keeper, stopping)
    finally:
        resigned.set()
        driver.stop()
        driver.join()
        for watcher in watchers:
            watcher.wake()
        for watcher in watchers:
            watcher.join(timeout=5)


def _run(handler: OfferHandler, keeper: Keeper, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            handler.run_once(handler.patience())
        except Exception:
            logger.exception("a round of the offer handler failed")  # a mistake of ours must not stop the cluster
            stopping.wait(RETRY_S)
        if handler.leadership_in_doubt:
            handler.leadership_in_doubt = False
            keeper.doubt()
        if handler.is_deposed or keeper.lost.is_set():
            logger.warning("another offer handler leads now; standing by")
            return


def _begin(sessions: Sessions, stopping: threading.Event) -> SchedulerState | None:
    """Begin our epoch, and learn what the one before left; None when told to stop."""
    while not stopping.is_set():
        try:
            with transaction(sessions) as session:
                scheduling.begin_epoch(session)
                return scheduling.load_scheduler(session)
        except SQLAlchemyError as error:
            logger.error("PostgreSQL: %s", str(error).splitlines()[0])
            stopping.wait(RETRY_S)
    return None


def _clock(sessions: Sessions) -> Clock:
    """PostgreSQL's time, not this machine's: set forward an hour, that would end every job by its timeout."""
    try:
        with transaction(sessions) as session:
            return Clock(scheduling.database_time(session))
    except SQLAlchemyError:  # gone again since we began to lead
        return Clock(utcnow())


def _start_driver(driver: Driver, stopping: threading.Event) -> None:
    """A master's address needs no master; a zk:// address needs ZooKeeper, which may come later."""
    while not stopping.is_set():
        try:
            driver.start()
            return
        except Exception as error:  # kazoo's errors have no common base
            logger.error("ZooKeeper does not answer: %s", error)
            driver.stop()
            driver.join()
            stopping.wait(RETRY_S)


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit status 2: a setting is wrong."""
    try:
        settings = Settings.from_environ()
        settings.require("database_url", "mesos_master", "broker_url")
    except ScaleError as error:
        print(f"scheduler: {error}", file=sys.stderr)
        return 2
    logs.configure("scheduler", settings.log_level, settings.log_format)
    history.configure("scheduler", settings.history_dir)
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        logger.info("stopping; tasks go on")
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    engine = make_engine(
        settings.database_url,
        pool_size=2,
        application_name=HANDLER_APPLICATION,
        pool_pre_ping=False,  # a round that meets a dead connection is repeated
    )
    leadership = Leadership(settings.database_url)
    try:
        while leadership.wait(stopping):
            logger.info("leading")
            lead(settings, make_sessions(engine), leadership, stopping)
    finally:
        leadership.resign()
        engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
