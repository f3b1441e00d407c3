"""Strike: which files of a directory to ingest, and the statuses that an ingest goes through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import PurePosixPath


class IngestStatus(StrEnum):
    TRANSFERRING = "TRANSFERRING"  # the name still ends with the transfer suffix
    TRANSFERRED = "TRANSFERRED"
    DEFERRED = "DEFERRED"  # no rule matched
    QUEUED = "QUEUED"
    INGESTING = "INGESTING"
    INGESTED = "INGESTED"
    ERRORED = "ERRORED"
    DUPLICATE = "DUPLICATE"


class Duplicates(StrEnum):
    """What becomes of a file whose name and content are catalogued already: `duplicates` of a Strike's rule."""

    SET_ASIDE = "set_aside"  # DUPLICATE; the original goes to duplicate/
    DISCARD = "discard"  # DUPLICATE; the original is removed
    KEEP = "keep"  # INGESTED beside the other one
    REPLACE = "replace"  # INGESTED; the one that was there leaves the catalogue, and rules fire for the new one


S = IngestStatus

INGEST_JOB_TYPE = "scale-ingest"  # the system job type that moves files

# Files that one scan saw share an execution up to these limits: starting one costs more than moving a small file
BATCH_FILES = 100
BATCH_BYTES = 64 * 2**20

INGEST_MOVES: dict[IngestStatus, frozenset[IngestStatus]] = {
    S.TRANSFERRING: frozenset({S.TRANSFERRED, S.ERRORED}),
    S.TRANSFERRED: frozenset({S.DEFERRED, S.QUEUED, S.ERRORED}),
    S.QUEUED: frozenset({S.INGESTING, S.INGESTED, S.DUPLICATE, S.ERRORED}),
    S.INGESTING: frozenset({S.INGESTED, S.DUPLICATE, S.ERRORED, S.QUEUED}),
    S.ERRORED: frozenset({S.QUEUED, S.INGESTING, S.INGESTED, S.DUPLICATE}),  # the job was put back on the queue
    S.DEFERRED: frozenset(),
    S.INGESTED: frozenset(),
    S.DUPLICATE: frozenset(),
}

# an ingest in one of these owns its file name in its Strike's directory
OPEN_STATUSES = (S.TRANSFERRING, S.TRANSFERRED, S.QUEUED, S.INGESTING)


@dataclass(frozen=True)
class IngestRule:
    """One entry of files_to_ingest; `matches` tests a name against its expression, from the name's beginning."""

    filename_regex: str
    data_types: tuple[str, ...]
    workspace_path: str
    workspace_name: str
    duplicates: Duplicates
    matches: Callable[[str], bool]

    def file_path(self, file_name: str, day: date) -> str:
        """workspace_path/YYYY/MM/DD/name (Strike Configuration Specification 1.0), relative to the workspace's root."""
        return str(PurePosixPath(self.workspace_path.strip("/") or ".", f"{day:%Y/%m/%d}", file_name))


@dataclass(frozen=True)
class StrikeConfig:
    """A Strike's directory and its rules, in order."""

    mount: str
    transfer_suffix: str
    rules: tuple[IngestRule, ...]

    def final_name(self, name: str) -> str:
        """The name that a listed file will have once its transfer is over: exactly the suffix goes, nothing else."""
        return name[: -len(self.transfer_suffix)] if self.is_transferring(name) else name

    def is_transferring(self, name: str) -> bool:
        return name.endswith(self.transfer_suffix) and len(name) > len(self.transfer_suffix)

    def rule_for(self, file_name: str) -> IngestRule | None:
        """The first rule that matches."""
        return next((rule for rule in self.rules if rule.matches(file_name)), None)


def batches(sizes: Sequence[int]) -> list[slice]:
    """Neighbours that share one scale-ingest execution, given the sizes of files in bytes; a large file has its own."""
    found: list[slice] = []
    start = total = 0
    for index, size in enumerate(sizes):
        if index > start and (index - start >= BATCH_FILES or total + size > BATCH_BYTES):
            found.append(slice(start, index))
            start, total = index, 0
        total += size
    return [*found, slice(start, len(sizes))] if sizes else []
