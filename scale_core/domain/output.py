"""Where an execution's outputs go in their workspace."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNSAFE = re.compile(r"[^\w.\-]")


def safe_name(text: str) -> str:
    """`text` as one part of a path: blanks become underscores, odd characters go; never empty, never only dots."""
    name = _UNSAFE.sub("", "_".join(text.split()))
    return name if name.strip(".") else "_"


def output_path(
    job_exe_id: int,
    job_type: tuple[str, str],
    recipe_type: tuple[str, str] | None,
    source_started: datetime | None,
    now: datetime,
) -> str:
    """The directory for one execution's outputs, relative to the workspace's root; types are (name, version).

    `source_started` is the earliest data_started of the source files that it descends from; None: nobody knows.
    """
    parts = ["recipes", *map(safe_name, recipe_type)] if recipe_type else []
    parts += ["jobs", *map(safe_name, job_type)]
    if source_started is None:
        parts.append("unknown_source_data_time")
    day = (source_started or now).astimezone(UTC)
    parts += [f"{day:%Y}", f"{day:%m}", f"{day:%d}", f"job_exe_{job_exe_id}"]
    return "/".join(parts)
