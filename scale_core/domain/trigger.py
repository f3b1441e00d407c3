"""Trigger rules: which files an ingest or parse rule wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class FileRule:
    """Ingest and Parse Trigger Configuration 1.0. Empty media type: any; data types: all of them must be tagged."""

    media_type: str
    data_types: frozenset[str]
    input_data_name: str
    workspace_name: str

    def matches(self, media_type: str, data_types: Iterable[str]) -> bool:
        return self.media_type in ("", media_type) and self.data_types <= set(data_types)
