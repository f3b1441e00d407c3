"""The GPUs of a node: which of them an execution has. Mesos counts them; it does not say which."""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scale_worker.executor.failures import GPU, Failed

DEVICES = Path("/dev")
LOCKS = Path("/tmp/scale-gpus")  # noqa: S108 - executors of all versions and users of the machine meet there
LABEL = "scale.gpus"  # of containers: the ids that they have, with commas between
WAIT_S = 20.0  # for what a dead executor's containers have until its guardian removes them
_LOOK_S = 0.2
_DEVICE = re.compile(r"nvidia(\d+)")


class Gpus:
    """Lends each GPU to one execution at a time, also among several executors of the machine.

    Whoever has one holds a lock on its file, which the kernel lets go when the executor dies. Its containers may live
    a moment longer, so what those have that run is nobody's to take.
    """

    def __init__(self, ids: Sequence[str], locks: Path = LOCKS, wait_s: float = WAIT_S) -> None:
        self._ids, self._locks, self._wait_s = tuple(ids), locks, wait_s
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
    def lent(self, count: int, in_containers: Callable[[], Collection[str]] = tuple) -> Iterator[Sequence[str]]:
        """The ids of `count` GPUs. `in_containers` tells those that running containers have.

        Raises Failed when so many are not free.
        """
        taken = self._wait(count, in_containers) if count else []
        try:
            yield taken
        finally:
            self._give_back(taken)

    def variables(self, lent: Sequence[str], in_container: bool = False) -> dict[str, str]:
        """What tells programs which GPUs are theirs: on a node that has any, also that none is.

        A container sees no others, and CUDA numbers what it sees from 0: the node's numbers would hide them from it.
        """
        if not self._ids:
            return {}
        visible = {"NVIDIA_VISIBLE_DEVICES": ",".join(lent) or "void"}
        if in_container and lent:
            return visible
        # CUDA's own order is another than that of the driver, by which the ids go
        return {**visible, "CUDA_VISIBLE_DEVICES": ",".join(lent), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    def _wait(self, count: int, in_containers: Callable[[], Collection[str]]) -> list[str]:
        deadline = time.monotonic() + self._wait_s
        while True:
            used = in_containers()
            taken = self._take_all(count, used)
            if len(taken) == count:
                return taken
            self._give_back(taken)
            # only what nobody holds any more gets free by itself soon
            if time.monotonic() >= deadline or not (set(self._ids) & set(used)) - self._held.keys():
                break
            time.sleep(_LOOK_S)
        there = ", ".join(self._ids) or "none"
        raise Failed(
            GPU,
            f"it needs {count} GPU{'s' if count > 1 else ''}; of the node's ({there}) {len(taken)} are free. "
            "SCALE_NODE_GPUS names them where they are not found",
        )

    def _take_all(self, count: int, used: Collection[str]) -> list[str]:
        taken: list[str] = []
        with self._lock:
            for gpu in self._ids:
                if len(taken) < count and gpu not in used and self._take(gpu):
                    taken.append(gpu)
        return taken

    def _give_back(self, taken: Sequence[str]) -> None:
        with self._lock:
            for gpu in taken:
                os.close(self._held.pop(gpu))

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
