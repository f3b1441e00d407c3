"""Strike: which files of a directory to ingest, and the statuses that an ingest goes through."""

from __future__ import annotations

from collections.abc import Callable
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


S = IngestStatus

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
