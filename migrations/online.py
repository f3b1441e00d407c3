"""Indexes of tables that are in use: whoever writes is not held up while one is made, however long it takes.

These end the transaction of their migration: what comes before and after them must bear being done again, as they do
themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op

LOCK_TIMEOUT = "10s"  # of everything else that a migration does


def add_index(name: str, table: str, columns: Sequence[str], **options: Any) -> None:
    """`options` as of op.create_index. A half of it that a failed attempt has left is made anew."""
    with op.get_context().autocommit_block():
        _make(name, table, columns, options)


def replace_index(name: str, table: str, columns: Sequence[str], **options: Any) -> None:
    """Another index by that name; the old one serves until the new one does."""
    new = f"{name}_new"
    with op.get_context().autocommit_block():
        _make(new, table, columns, options)
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.execute(f"ALTER INDEX {new} RENAME TO {name}")


def remove_index(name: str, table: str) -> None:
    with op.get_context().autocommit_block():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def _make(name: str, table: str, columns: Sequence[str], options: dict[str, Any]) -> None:
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    # it waits for whoever has been reading for long, a backup for instance, and nobody waits for it
    op.execute("SET lock_timeout = 0")
    op.create_index(name, table, columns, postgresql_concurrently=True, **options)
    op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
