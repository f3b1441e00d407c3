"""Which file of tests is whose turn, when several run at a time (script/test).

Tests that start servers and containers wait most of the time, the others compute. Were all of one kind to run beside
each other, the machine would first idle and then be too busy for anybody to get a turn. So one process in four keeps
to those that compute, for as long as there are any of both kinds. And each process stays in the folder where it is,
because the files of a folder share a server, which takes longer to start than most of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# folders of tests that mostly wait, the longest first: what comes last should not be long
WAITING = ("faults", "journeys", "ui", "deploy", "examples", "mesos", "bench", "server", "worker")
COMPUTING_OF = 4  # one process of so many


class Turns(LoadFileScheduling):
    """Files stay whole: what they share is made once."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        begun = {other.gateway.id: list(work) for other, work in self.assigned_work.items()}
        chosen = choose(list(self.workqueue), begun, node.gateway.id, self.numnodes)
        self.workqueue.move_to_end(chosen, last=False)
        super()._assign_work_unit(node)


def choose(left: list[str], begun: dict[str, list[str]], process: str, processes: int) -> str:
    """The file that `process` is to run next, of those that are `left`; `begun` is what each process had so far."""
    computing = sorted(begun)[: processes // COMPUTING_OF]
    wanted = [file for file in left if (rank(file) is None) is (process in computing)] or left
    mine = {folder(file) for file in begun.get(process, ())}
    others = {folder(file) for name, files in begun.items() if name != process for file in files}
    return min(wanted, key=lambda file: (_distance(folder(file), mine, others), _order(file), left.index(file)))


def rank(file: str) -> int | None:
    """The place of its folder among those that mostly wait; None for tests that compute."""
    return WAITING.index(folder(file)) if folder(file) in WAITING else None


def folder(file: str) -> str:
    """Below tests/."""
    parts = PurePosixPath(file).parts
    return parts[1] if len(parts) > 2 else ""


def _order(file: str) -> int:
    found = rank(file)
    return len(WAITING) if found is None else found


def _distance(where: str, mine: Iterable[str], others: Iterable[str]) -> int:
    return 0 if where in mine else 1 if where not in others else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return Turns(config, log) if config.getvalue("dist") == "loadfile" else None
