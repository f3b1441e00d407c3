"""Finishing executions whose task has ended, and the sweep for lost wake-ups."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import requests

from scale_core import brokers, history, patience
from scale_core.db.session import transaction
from scale_core.domain.retry import Backoff
from scale_core.errors import BrokerError
from scale_core.services import execution, parse, task_status
from scale_core.services.execution import Elsewhere, Finished
from scale_core.timestamps import utcnow
from scale_worker import strike_directory
from scale_worker.celery_app import app, sessions, settings

logger = logging.getLogger(__name__)

SWEEP_LIMIT = 500
SWEEP_AGE_S = 2.0  # younger ones are probably being finished by the message that was sent for them
AGENT_TIMEOUT_S = 30.0
MOVE_AGE_S = 30.0
MOVE_PATIENCE_S = 30.0  # what takes longer goes on by itself, and is found done later; other workspaces do not wait
OUTCOME_PATIENCE = timedelta(minutes=15)  # as long as agents wait for an executor, and as we wait for an agent
HELD_PAUSES_S = (0.02, 0.1, 0.5)  # whoever holds an execution that could be finished is done by then; else the sweep is
BATCH = 50  # executions in one transaction: a batch shares its commit, and holds its locks only briefly


@app.task(name="finish-executions")
def finish_executions(ids: Sequence[int]) -> None:
    """Finish these executions, then do what had to wait for the commit."""
    held = list(ids)
    for pause_s in (0.0, *HELD_PAUSES_S):
        time.sleep(pause_s)
        held = [id_ for start in range(0, len(held), BATCH) for id_ in _finish(held[start : start + BATCH])]
        if not held:
            return
    logger.info("%d executions are left to the sweep: others hold them", len(held))


@app.task(name="sweep-executions", send_events=False)
def sweep_executions() -> None:
    """Finish what no message came for (Redis may lose anything), and repeat moves that did not succeed."""
    with transaction(sessions()) as session:
        ids = execution.unfinished(session, SWEEP_LIMIT, SWEEP_AGE_S, utcnow())
        moving = parse.overdue_moves(session, MOVE_AGE_S, SWEEP_LIMIT, utcnow())
    if ids:
        logger.info("the sweep found %d executions to finish", len(ids))
        finish_executions(ids)
    _move(moving)


def _finish(ids: list[int]) -> list[int]:
    """Returns those that somebody else holds."""
    with transaction(sessions()) as session:
        finished = execution.finish(session, ids, utcnow(), Backoff(settings().retry_base_s, settings().retry_cap_s))
        history.note("finishing", job_exe_ids=finished.job_exe_ids)
    history.note("finished", job_exe_ids=finished.job_exe_ids)
    _tidy(finished)
    here = [each.job_exe_id for each in finished.absent if _fetch_outcome(each)]
    return [*finished.held, *(_finish(here) if here else ())]


def _tidy(finished: Finished) -> None:
    """Acts after the commit: the next scan of a Strike repeats the removals, the sweep the moves."""
    for original in finished.removable:
        strike_directory.remove_original(original, settings().mounts)
    _move(finished.moving)


def _move(file_ids: Sequence[int]) -> None:
    """Move parsed sources to where their parser wants them; each is recorded before the next is touched."""
    if not file_ids:
        return
    with transaction(sessions()) as session:
        moves = parse.moves(session, file_ids)
    for move in moves:
        try:
            broker = brokers.broker_for(move.broker, settings())
            moving = partial(broker.move, move.old_path, move.new_path)
            patience.within(f"workspace {move.workspace_id}", moving, MOVE_PATIENCE_S)
        except BrokerError as error:
            logger.error("file %d stays where it is for now: %s", move.file_id, error)
            continue
        with transaction(sessions()) as session:
            parse.moved(session, move, utcnow())


def _fetch_outcome(where: Elsewhere) -> bool:
    """Read a large outcome through the agent's files API and keep it; gone for good, the execution is lost.

    False while neither is certain: the sweep asks again.
    """
    url = f"http://{where.hostname}:{where.port}/files/download"
    try:
        with requests.Session() as agent:
            agent.trust_env = False  # a proxy for the outside world knows nothing of the cluster's machines
            response = agent.get(url, params={"path": where.path}, timeout=AGENT_TIMEOUT_S)
    except requests.RequestException as error:
        logger.warning("outcome of execution %d is out of reach: %s", where.job_exe_id, error)
        if utcnow() - where.task_ended < OUTCOME_PATIENCE:
            return False
        return _lose(where, f"{where.hostname}, which holds its outcome, is gone")
    if response.status_code == requests.codes.not_found:
        return _lose(where, f"its outcome {where.path} is gone from {where.hostname}")
    if response.status_code != requests.codes.ok:
        return False
    with transaction(sessions()) as session:
        task_status.store_outcome(session, where.job_exe_id, response.json())
    return True


def _lose(where: Elsewhere, reason: str) -> bool:
    with transaction(sessions()) as session:
        execution.lose_outcome(session, where.job_exe_id, reason)
    return True
