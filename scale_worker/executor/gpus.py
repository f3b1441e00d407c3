"""The GPUs of a node: which of them an execution has. Mesos counts them; it does not say which."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scale_worker.executor.failures import TASK_LAUNCH, Failed

DEVICES = Path("/dev")
LOCKS = Path("/tmp/scale-gpus")  # noqa: S108 - executors of all versions and users of the machine meet there
_DEVICE = re.compile(r"nvidia(\d+)")


class Gpus:
    """Lends each GPU to one execution at a time, also among several executors of the machine.

    Whoever has one holds a lock on its file, which the kernel lets go when the executor dies.
    """

    def __init__(self, ids: Sequence[str], locks: Path = LOCKS) -> None:
        self._ids, self._locks = tuple(ids), locks
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()

    @classmethod
    def of_machine(cls, ids: Sequence[str] | None, devices: Path = DEVICES, locks: Path = LOCKS) -> Gpus:
        """`ids` as the engine knows them (numbers or UUIDs); None: those that the NVIDIA driver shows."""
        if ids is None:
            found = (_DEVICE.fullmatch(path.name) for path in devices.glob("nvidia*"))
            ids = sorted((match.group(1) for match in found if match), key=int)
        return cls(ids, locks)

    @contextmanager
    def lent(self, count: int) -> Iterator[Sequence[str]]:
        """The ids of `count` GPUs. Raises Failed when so many are not free."""
        taken: list[str] = []
        try:
            with self._lock:
                for gpu in self._ids:
                    if len(taken) == count:
                        break
                    if self._take(gpu):
                        taken.append(gpu)
            if len(taken) < count:
                there = ", ".join(self._ids) or "none"
                raise Failed(
                    TASK_LAUNCH,
                    f"it needs {count} GPU{'s' if count > 1 else ''}; of the node's ({there}) {len(taken)} are free. "
                    "SCALE_NODE_GPUS names them where they are not found",
                )
            yield taken
        finally:
            with self._lock:
                for gpu in taken:
                    os.close(self._held.pop(gpu))

    def variables(self, lent: Sequence[str]) -> dict[str, str]:
        """What tells programs which GPUs are theirs: on a node that has any, also that none is."""
        if not self._ids:
            return {}
        return {"CUDA_VISIBLE_DEVICES": ",".join(lent), "NVIDIA_VISIBLE_DEVICES": ",".join(lent) or "void"}

    def _take(self, gpu: str) -> bool:
        if gpu in self._held:
            return False
        if not self._locks.exists():
            self._locks.mkdir(exist_ok=True)
            self._locks.chmod(0o1777)
        path = self._locks / re.sub(r"[^\w.-]", "_", gpu)
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
            return False
        self._held[gpu] = opened
        return True
