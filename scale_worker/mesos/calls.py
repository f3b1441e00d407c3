"""The offer handler's calls to Mesos: none raises what Mesos or the network causes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from scale_core.domain.places import Offer
from scale_core.domain.task import TaskUpdate
from scale_worker.mesos.figures import Figures
from scale_worker.mesos.messages import Message
from scale_worker.mesos.wire import Refused

logger = logging.getLogger(__name__)

KILL_AGAIN_S = 10.0


class SchedulerDriver(Protocol):
    """What the handler asks of Mesos. Each call may raise OSError or Refused; then nobody knows whether it arrived."""

    def acknowledge(self, updates: Iterable[TaskUpdate]) -> None: ...
    def launch(self, offer_ids: Iterable[str], tasks: Sequence[Message]) -> None: ...
    def decline(self, offer_ids: Iterable[str], refuse_s: float) -> None: ...
    def kill(self, task_ids: Iterable[str]) -> None: ...
    def reconcile(self, tasks: Sequence[tuple[str, str]]) -> None: ...
    def suppressOffers(self) -> None: ...
    def reviveOffers(self) -> None: ...


class Calls:
    """A call that failed is repeated by its healer, never here; those that return a bool say whether it went through.

    `clock` is monotonic seconds.
    """

    def __init__(self, driver: SchedulerDriver, figures: Figures, clock: Callable[[], float]) -> None:
        self._driver, self._figures, self._clock = driver, figures, clock
        self._killed: dict[str, float] = {}  # when

    def acknowledge(self, updates: Iterable[TaskUpdate]) -> bool:
        return self._try("acknowledge", self._driver.acknowledge, updates)

    def launch(self, offers: Iterable[Offer], tasks: Sequence[Message]) -> bool:
        return self._try("launch", self._driver.launch, [offer.id for offer in offers], tasks)

    def decline(self, offers: Sequence[Offer], refuse_s: float) -> None:
        if offers:
            self._figures.add("declined", len(offers))
            self._try("decline", self._driver.decline, [offer.id for offer in offers], refuse_s)

    def kill(self, task_ids: Iterable[str]) -> None:
        """Those of which that was asked a moment ago are left out."""
        now = self._clock()
        self._killed = {task_id: at for task_id, at in self._killed.items() if now - at < KILL_AGAIN_S}
        fresh = [task_id for task_id in task_ids if task_id not in self._killed]
        if fresh and self._try("kill", self._driver.kill, fresh):
            logger.info("asked for the end of %s", ", ".join(fresh))
            self._killed |= dict.fromkeys(fresh, now)

    def reconcile(self, tasks: Sequence[tuple[str, str]]) -> bool:
        """(task id, agent id) of each; none: of whatever the master knows."""
        return self._try("reconcile", self._driver.reconcile, tasks)

    def suppress(self) -> bool:
        return self._try("suppress", self._driver.suppressOffers)

    def revive(self) -> bool:
        return self._try("revive", self._driver.reviveOffers)

    def _try(self, what: str, call: Callable[..., None], *arguments: Any) -> bool:
        try:
            call(*arguments)
        except (OSError, Refused) as error:
            logger.warning("%s did not reach Mesos: %s", what, error)
            self._figures.add("calls_failed")
            return False
        return True
