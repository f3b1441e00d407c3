"""Named SQL: statements that are design decisions live in .sql files, each headed by ``-- name --``."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from sqlalchemy import TextClause, text

_HEAD = re.compile(r"^-- (\w+) --.*$", re.MULTILINE)


@cache
def load(file: str) -> dict[str, TextClause]:
    """The statements of `file`.sql by name, ready for session.execute with :named parameters."""
    content = (resources.files(__package__) / f"{file}.sql").read_text()
    pieces = _HEAD.split(content)
    return {name: text(body.strip()) for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
