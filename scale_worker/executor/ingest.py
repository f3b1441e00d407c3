"""The action "ingest": move files from a Strike's directory into their workspaces."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from scale_core import history
from scale_core.brokers import (
    Broker,
    LocalBroker,
    make_directories,
    move_without_overwriting,
    names_aside,
    resolve_mount,
    set_aside,
)
from scale_core.domain import media_type
from scale_core.domain.execution import IngestItem, IngestOutcome
from scale_core.errors import BrokerError
from scale_worker.executor.failures import Failed
from scale_worker.executor.staging import Workspaces

STORED = "stored"
DUPLICATE = "duplicate"
ERROR = "error"
INGESTING = "ingesting"
DUPLICATES = "duplicate"


def ingest(item: IngestItem, workspaces: Workspaces, mounts: Mapping[str, str]) -> IngestOutcome:
    """Store one file; safe to repeat at any point.

    The original stays under ingesting/<ingest id>/ until the database knows of the file or that it is to be
    discarded, a duplicate's goes to duplicate/. Whatever goes wrong is in the outcome; raises only Killed.
    """
    try:
        _require_plain(item.file_name)
        directory = resolve_mount(item.mount, mounts)
        broker = workspaces.broker(item.workspace_id, "the ingested file")
        is_repeated = os.path.lexists(_claimed(directory, item))
        claimed = _claim(directory, item)
        if is_repeated:
            broker.tidy(item.file_path)
        history.note("claimed", ingest_id=item.ingest_id)
        if claimed is None:
            return _look_among_duplicates(directory, item)
        return _store(directory, claimed, item, broker, workspaces.cancel.check)
    except (BrokerError, Failed) as error:
        reason = str(error)
    except OSError as error:
        reason = f"{item.file_name!r}: {error.strerror or error}"
    return IngestOutcome(item.ingest_id, ERROR, error=reason)


def _store(
    directory: Path, claimed: Path, item: IngestItem, broker: Broker, progress: Callable[[], None]
) -> IngestOutcome:
    stored = broker.store(claimed, item.file_path, duplicates_of=item.known_checksums, progress=progress)
    history.note("copied", ingest_id=item.ingest_id, workspace_id=item.workspace_id, file_path=item.file_path)
    if not stored.stored and not item.discard_duplicate:
        _set_aside(directory, claimed)
    return IngestOutcome(
        item.ingest_id,
        STORED if stored.stored else DUPLICATE,
        file_size=stored.size,
        checksum=stored.checksum,
        media_type=media_type.guess(item.file_name),
    )


def _claim(directory: Path, item: IngestItem) -> Path | None:
    """Move the file to ingesting/<ingest id>/, where no scan sees it; one that is there already is taken as it is.

    None when it is in neither place.
    """
    source = directory / item.file_name
    claimed = _claimed(directory, item)
    if not directory.is_dir():
        raise BrokerError(f"the Strike's directory {directory} does not exist or is not mounted")
    if os.path.lexists(claimed):
        if os.path.lexists(source) and os.path.samestat(os.lstat(source), os.lstat(claimed)):
            source.unlink()  # the move was interrupted between its two halves
        return claimed
    if not os.path.lexists(source):
        return None
    if source.is_symlink() or not source.is_file():
        raise BrokerError(f"{item.file_name!r} is not a regular file")
    make_directories(claimed.parent)
    if not move_without_overwriting(source, claimed):
        raise BrokerError(f"{item.file_name!r} is being ingested by another execution")
    return claimed


def _claimed(directory: Path, item: IngestItem) -> Path:
    return directory / INGESTING / str(item.ingest_id) / item.file_name


def _look_among_duplicates(directory: Path, item: IngestItem) -> IngestOutcome:
    """A file that vanished may have been set aside by an execution whose outcome was lost."""
    duplicates = LocalBroker(directory / DUPLICATES)
    for name in names_aside(item.file_name):
        if not os.path.lexists(duplicates.root / name):
            break
        found = duplicates.measure(name)
        if found.checksum in item.known_checksums:
            guessed = media_type.guess(item.file_name)
            return IngestOutcome(item.ingest_id, DUPLICATE, found.size, found.checksum, guessed)
    raise BrokerError(f"{item.file_name!r} is no longer in {directory}")


def _set_aside(directory: Path, claimed: Path) -> None:
    """Move a duplicate's original to duplicate/."""
    set_aside(claimed, directory / DUPLICATES)
    claimed.parent.rmdir()


def _require_plain(file_name: str) -> None:
    if "/" in file_name or "\0" in file_name or file_name in ("", ".", ".."):
        raise BrokerError(f"{file_name!r} is not the name of a file")
