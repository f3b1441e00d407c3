"""How large the file systems are that workspaces lie on, as this worker sees them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.orm import Session

from scale_core import patience
from scale_core.brokers import LocalBroker, broker_for
from scale_core.errors import BrokerError
from scale_core.services import workspace
from scale_core.settings import Settings

logger = logging.getLogger(__name__)

THREADS = 16  # so many mounts may hang at once and cost the patience for one


def measure(session: Session, settings: Settings) -> None:
    """Find out used_size and total_size of all workspaces. A mount that hangs or is away keeps the size that it had."""
    mounted = {id_: each for id_, each in workspace.brokers(session).items() if each.get("type") in workspace.MOUNTED}
    with ThreadPoolExecutor(THREADS, "measure") as pool:
        sizes = pool.map(lambda id_: _total_size(id_, mounted[id_], settings), mounted)
        measured = {id_: size for id_, size in zip(mounted, sizes, strict=True) if size is not None}
    workspace.record_sizes(session, measured)


def _total_size(workspace_id: int, config: Mapping[str, Any], settings: Settings) -> int | None:
    def look() -> int:
        broker = broker_for(config, settings)  # which may have to mount it
        assert isinstance(broker, LocalBroker)
        return broker.total_size()

    try:
        return patience.within(f"workspace {workspace_id}", look)
    except BrokerError as error:
        logger.warning("the size of workspace %d is unknown: %s", workspace_id, error)
        return None
