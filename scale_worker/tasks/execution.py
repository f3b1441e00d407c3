"""Finishing executions whose task has ended, and the sweep for lost wake-ups."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import requests

from scale_core import brokers
from scale_core.db.session import transaction
from scale_core.errors import BrokerError
from scale_core.services import execution, file, task_status
from scale_core.services.execution import Elsewhere, Finished
from scale_core.timestamps import utcnow
from scale_worker import strike_directory
from scale_worker.celery_app import app, sessions, settings

logger = logging.getLogger(__name__)

SWEEP_LIMIT = 500
SWEEP_AGE_S = 2.0  # younger ones are probably being finished by the message that was sent for them
AGENT_TIMEOUT_S = 30.0
BATCH = 50  # executions in one transaction: a batch shares its commit, and holds its locks only briefly


@app.task(name="finish-executions")
def finish_executions(ids: Sequence[int]) -> None:
    """Finish these executions, then do what had to wait for the commit."""
    for start in range(0, len(ids), BATCH):
        _finish(list(ids[start : start + BATCH]))


@app.task(name="sweep-executions")
def sweep_executions() -> None:
    """Finish what no message came for: Redis may lose anything."""
    with transaction(sessions()) as session:
        ids = execution.unfinished(session, SWEEP_LIMIT, SWEEP_AGE_S, utcnow())
    if ids:
        logger.info("the sweep found %d executions to finish", len(ids))
        finish_executions(ids)


def _finish(ids: list[int]) -> None:
    with transaction(sessions()) as session:
        far = execution.elsewhere(session, ids)
    for each in far:
        _fetch_outcome(each)
    with transaction(sessions()) as session:
        finished = execution.finish(session, ids, utcnow())
    _tidy(finished)


def _tidy(finished: Finished) -> None:
    """Acts after the commit. The next scan of a Strike repeats the removals; a file that did not move stays."""
    for original in finished.removable:
        strike_directory.remove_original(original, settings().mounts)
    for move in finished.moves:
        try:
            with transaction(sessions()) as session:
                place = file.locate(session, move.file_id)
            if place is not None and place.file_path != move.new_path:
                brokers.broker_for(place.broker, settings().mounts).move(place.file_path, move.new_path)
                with transaction(sessions()) as session:
                    file.moved(session, move)
        except BrokerError as error:
            logger.error("file %d stays where it is: %s", move.file_id, error)


def _fetch_outcome(where: Elsewhere) -> None:
    """Read a large outcome through the agent's files API and keep it; gone for good, the execution is lost."""
    url = f"http://{where.hostname}:{where.port}/files/download"
    try:
        response = requests.get(url, params={"path": where.path}, timeout=AGENT_TIMEOUT_S)
    except requests.RequestException as error:
        logger.warning("outcome of execution %d is out of reach, the sweep will try again: %s", where.job_exe_id, error)
        return
    with transaction(sessions()) as session:
        if response.status_code == requests.codes.ok:
            task_status.store_outcome(session, where.job_exe_id, response.json())
        elif response.status_code == requests.codes.not_found:
            execution.lose_outcome(session, where.job_exe_id, f"its outcome {where.path} is gone from {where.hostname}")
