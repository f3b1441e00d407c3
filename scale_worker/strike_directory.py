"""A Strike's directory as a worker sees it: listed, set aside, tidied. Names are whatever the file system allows.

`ingesting/<ingest id>/<name>` holds originals that a node is ingesting, `deferred/` what no rule wanted, `duplicate/`
what was there already.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from scale_core.brokers import move_without_overwriting, resolve_mount, set_aside
from scale_core.errors import BrokerError
from scale_core.patience import within
from scale_core.services.arrival import Listed
from scale_core.services.ingest import StoredIngest

logger = logging.getLogger(__name__)

INGESTING, DEFERRED = "ingesting", "deferred"


def listing(directory: Path) -> list[Listed]:
    """Regular files at the top of the directory; links, directories and devices are left alone.

    Raises BrokerError when the directory cannot be listed. A file that vanishes meanwhile is left out.
    """
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                listed = _listed(entry.name, entry)
                if listed is not None:
                    found.append(listed)
    except OSError as error:
        raise BrokerError(f"the directory {directory} cannot be listed: {error.strerror}") from error
    return found


def look_at(directory: Path, names: Iterable[str]) -> list[Listed]:
    """Those of the names that are regular files at the top of the directory now."""
    return [listed for listed in (_listed(name, directory / name) for name in names) if listed is not None]


def is_gone(directory: Path, name: str, suffix: str) -> bool:
    """Whether a file is there neither under its final name nor under the one with the transfer suffix."""
    return not os.path.lexists(directory / name) and not os.path.lexists(directory / f"{name}{suffix}")


def defer(directory: Path, name: str) -> None:
    """Move a file that no rule wants into deferred/. A failure is logged; the next scan tries again."""
    try:
        if os.path.lexists(directory / name):
            set_aside(directory / name, directory / DEFERRED)
    except BrokerError as error:
        logger.error("%r stays where it is: %s", str(directory / name), error)


def pending_originals(directory: Path) -> list[int]:
    """Ids of the ingests whose originals lie under ingesting/."""
    try:
        return [int(name) for name in os.listdir(directory / INGESTING) if name.isdigit()]
    except OSError:
        return []


def remove_original(original: StoredIngest, mounts: Mapping[str, str]) -> None:
    """The original of an ingest that is over. A failure is logged; the next scan tries again."""
    try:
        within(original.mount, lambda: _remove_original(original, resolve_mount(original.mount, mounts)))
    except BrokerError as error:
        logger.error("the original of ingest %d stays: %s", original.ingest_id, error)


def remove_originals(directory: Path, ingest_id: int, file_size: int | None) -> None:
    """Everything under ingesting/<ingest id>/. What is not `file_size` bytes long was written to after it was stored:
    it goes back to the top of the directory, as a file that is still to be ingested."""
    place = directory / INGESTING / str(ingest_id)
    try:
        for path in place.iterdir():
            if file_size is None or path.lstat().st_size == file_size:
                path.unlink(missing_ok=True)
            elif move_without_overwriting(path, directory / path.name):
                logger.warning("%r was written to after it had been ingested, and is ingested again", str(path))
        place.rmdir()
    except FileNotFoundError:
        return
    except (OSError, BrokerError) as error:
        logger.error("%s stays: %s", place, error)


def _remove_original(original: StoredIngest, directory: Path) -> None:
    remove_originals(directory, original.ingest_id, original.file_size)


def _listed(name: str, entry: os.DirEntry[str] | Path) -> Listed | None:
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    return Listed(
        shown,
        facts.st_size,
        datetime.fromtimestamp(facts.st_atime, UTC),
        datetime.fromtimestamp(facts.st_mtime, UTC),
        is_text=shown == name,
    )
